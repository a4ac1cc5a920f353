"""Remove from the store what no result uses: LoRAs without another link, and latents and captions that no file lists.

No job may run meanwhile. Checkpoints of killed jobs, in `unfinished/`, are removed when all their LoRAs are finished,
or when they are corrupt.
"""

from collections.abc import Iterable
from pathlib import Path

from egara.io.errors import EgaraError
from egara.io.tensors import open_tensors
from egara.loras.store import stored
from egara.loras.training.checkpoints import find_checkpoints, find_stale


def prune_checkpoints(store: Path) -> tuple[int, int]:
    """Remove stale and corrupt checkpoints, and those whose LoRAs are all stored; returns files and bytes removed."""
    finished = [path for path, keys in find_checkpoints(store) if all(stored(store, key).is_file() for key in keys)]
    return _remove([*finished, *find_stale(store)])


def prune_loras(store: Path) -> tuple[int, int]:
    """Remove stored LoRAs with no other link; returns files and bytes removed."""
    if not store.is_dir():
        raise EgaraError(f"{store}: no such store; expected a folder of LoRAs")
    return _remove([path for path in sorted(store.glob("??/*.safetensors")) if path.stat().st_nlink == 1])


def prune_cache(cache: Path, gathered: Iterable[Path]) -> tuple[int, int]:
    """Remove entries that no gathered file lists, and temporary files; returns files and bytes removed."""
    kept = {key for path in gathered for key in _listed(path)}
    return _remove([path for path in sorted(cache.glob("??/*.safetensors")) if path.stem not in kept])


def prune(store: Path) -> dict[str, tuple[int, int]]:
    """Prune a store and the caches in it; returns files and bytes removed, by kind."""
    removed = {"checkpoints": prune_checkpoints(store), "LoRAs": prune_loras(store)}
    for kind, pattern in (("latents", "*/latents/*/*.safetensors"), ("captions", "*/captions/*.safetensors")):
        removed[kind] = prune_cache(store / kind, sorted(store.parent.glob(pattern)))
    return removed


def _listed(path: Path) -> list[str]:
    """Return the keys of the entries that a gathered file was made of."""
    advice = "delete it and run again"
    with open_tensors(path, "gathered latents or captions", advice) as file:
        note = file.json()
    try:
        return [key for _, _, key in note["faces"]] if "faces" in note else list(note["captions"].values())
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise EgaraError(f"{path}: does not say which faces or captions it holds; {advice}") from error


def _remove(paths: list[Path]) -> tuple[int, int]:
    freed = 0
    for path in paths:
        size = path.stat().st_size
        path.unlink()
        freed += size
    return len(paths), freed
