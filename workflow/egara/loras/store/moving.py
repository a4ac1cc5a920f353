"""Finished LoRAs from one machine to another: a tar archive of stored files, each checked when it is imported.

The other machine finds them by content: a study with the same images, settings, base and version of the training links
them and trains only the rest.
"""

import re
import shutil
import tarfile
from pathlib import Path
from typing import IO

from egara.io.atomic import replacing
from egara.io.errors import EgaraError
from egara.loras.store import stored
from egara.loras.store.checking import check_stored, key_of

MEMBER = re.compile(r"([0-9a-f]{2})/((?:\1)[0-9a-f]{62})\.safetensors")


def export(store: Path, archive: Path, results: Path | None = None) -> tuple[int, int]:
    """Write LoRAs of a store to a tar archive, in one step; returns how many, and their bytes.

    Parameters
    ----------
    results : folder of a corpus; only the LoRAs that it uses are written. All when None.
    """
    if not store.is_dir():
        raise EgaraError(f"{store}: no such store; expected a folder of LoRAs")
    paths = sorted(store.glob("??/[!.]*.safetensors"))
    if results is not None:
        used = {key_of(path) for path in sorted(results.glob("loras/*/*/*.safetensors"))}
        if not used:
            raise EgaraError(f"{results}: holds no LoRA in loras/; expected the results of a corpus")
        paths = [path for path in paths if path.stem in used]
    size = 0
    with replacing(archive) as part, tarfile.open(part, "w") as file:
        for path in paths:
            file.add(path, f"{path.parent.name}/{path.name}", recursive=False)
            size += path.stat().st_size
    return len(paths), size


def import_archive(store: Path, archive: Path) -> tuple[int, int, list[EgaraError]]:
    """Add the LoRAs of an archive to a store; those already in it are kept, others than their names say are refused.

    Returns
    -------
    How many were added, how many were in the store already, and an error for each member that was refused.
    """
    added, present, refused = 0, 0, []
    try:
        with tarfile.open(archive, "r|*") as file:
            for member in file:
                where = f"{archive}: member {member.name!a}"
                name = MEMBER.fullmatch(member.name)
                if not name or not member.isreg():
                    refused.append(EgaraError(f"{where}: expected a file ab/abcd….safetensors, as a store has them"))
                elif stored(store, name[2]).is_file():
                    present += 1
                else:
                    try:
                        _put(file.extractfile(member), stored(store, name[2]), name[2])
                        added += 1
                    except EgaraError as error:
                        refused.append(EgaraError(f"{where}: {str(error).partition(': ')[2]}"))
    except (OSError, EOFError, tarfile.TarError) as error:
        raise EgaraError(f"{archive}: not a whole archive ({error}); {added} LoRAs were added before") from error
    return added, present, refused


def _put(source: IO[bytes], target: Path, key: str) -> None:
    with replacing(target) as part:
        with part.open("wb") as file:
            shutil.copyfileobj(source, file, 2**20)
        check_stored(part, key)
