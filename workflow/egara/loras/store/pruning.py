"""Remove from the store what no result uses any more: LoRAs that nothing links to, latents and captions in no file.

No job may run meanwhile. Checkpoints of killed jobs, in `unfinished/`, go when all their LoRAs are finished, or when
they are not whole.
"""

from pathlib import Path

from egara.io.errors import EgaraError
from egara.loras.encoding import cache
from egara.loras.store import stored
from egara.loras.training.checkpoints import find_checkpoints, find_leavings


def prune_checkpoints(store: Path) -> tuple[int, int]:
    """Remove checkpoints that are not whole, or whose LoRAs are all stored; returns how many files and bytes went."""
    finished = [path for path, keys in find_checkpoints(store) if all(stored(store, key).is_file() for key in keys)]
    gone = [*finished, *find_leavings(store)]
    freed = sum(path.stat().st_size for path in gone)
    for path in gone:
        path.unlink()
    return len(gone), freed


def prune_loras(store: Path) -> tuple[int, int]:
    """Remove stored LoRAs with no other link; returns how many files and bytes went."""
    if not store.is_dir():
        raise EgaraError(f"{store}: no such store; expected a folder of LoRAs")
    count = freed = 0
    for path in sorted(store.glob("??/*.safetensors")):
        status = path.stat()
        if status.st_nlink == 1:
            path.unlink()
            count, freed = count + 1, freed + status.st_size
    return count, freed


def prune(store: Path) -> dict[str, tuple[int, int]]:
    """Prune a store and the caches in it; returns how many files and bytes of each kind went."""
    gone = {"checkpoints": prune_checkpoints(store), "LoRAs": prune_loras(store)}
    for kind, pattern in (("latents", "*/latents/*/*.safetensors"), ("captions", "*/captions/*.safetensors")):
        gone[kind] = cache.prune(store / kind, sorted(store.parent.glob(pattern)))
    return gone
