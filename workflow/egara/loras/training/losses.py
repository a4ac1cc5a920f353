"""Gather training losses: of a work's LoRA files, or of all works of a cell.

    egara loras training losses --losses results/demo/losses/<cell>/*.tsv --output losses.tsv

A file's header may hold, under `egara_losses`, the mean loss of consecutive blocks of steps and each block's last step.
"""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError, counted
from egara.io.json import parse_json
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv, write_tsv
from egara.io.tensors import open_tensors

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["author", "work", "set", "step", "loss"]
EXPECTED = '{"step": [last step of each block], "loss": [mean loss of each block]}'


def read_losses(path: Path) -> "pd.DataFrame | None":
    """Read a LoRA's losses: author, work, set, step, loss; None where the file holds none.

    Raises
    ------
    EgaraError : the losses are not two lists of one length, with steps that rise from 1 or more.
    """
    import pandas as pd

    with open_tensors(path, "a trained LoRA", "delete it and run again") as file:
        losses, owner = file.metadata.get("egara_losses"), file.json()
    if losses is None:
        return None
    losses = parse_json(losses, f"{path}: egara_losses in the header", EXPECTED)
    try:
        named = {key: str(owner[key]) for key in ("author", "work", "set")}
        steps, values = [int(step) for step in losses["step"]], [float(loss) for loss in losses["loss"]]
    except (ValueError, KeyError, TypeError) as error:
        raise EgaraError(f"{path}: losses in the header cannot be read ({error!r}); expected {EXPECTED}") from error
    if not steps or len(steps) != len(values) or any(step <= before for before, step in pairwise([0, *steps])):
        raise EgaraError(f"{path}: {len(steps)} steps and {len(values)} losses in the header; expected {EXPECTED}")
    return pd.DataFrame(named | {"step": steps, "loss": values}, columns=COLUMNS)


def gather_losses(paths: list[Path]) -> "tuple[pd.DataFrame, int]":
    """Return the losses of all files in one table, and how many files hold none."""
    import pandas as pd

    found = [read_losses(path) for path in paths]
    tables = [table for table in found if table is not None]
    whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)
    return whole, len(found) - len(tables)


def write_losses(path: Path, loras: list[Path]) -> None:
    """Write the losses of LoRA files as one table."""
    table, silent = gather_losses(loras)
    write_tsv(path, table)
    log = logger("loras.losses")
    if silent:
        log.warning("%d of %d LoRA files hold no losses", silent, len(loras))
    log.info("losses of %s: %s", counted(len(loras) - silent, "LoRA"), path)


def main(argv: list[str] | None = None) -> None:
    """Gather the losses of a cell's works in one table."""
    arguments = parser(__doc__)
    arguments.add_argument("--losses", type=Path, required=True, nargs="+", help="losses of works (.tsv)")
    arguments.add_argument("--output", type=Path, required=True, help="losses to write (.tsv)")
    options = arguments.parse_args(argv)

    import pandas as pd

    tables = [read_tsv(path, COLUMNS, text=COLUMNS[:3]) for path in options.losses]
    whole = pd.concat(tables, ignore_index=True)
    write_tsv(options.output, whole)
    log = logger("loras.losses")
    if without := [path.stem for path, table in zip(options.losses, tables, strict=True) if table.empty]:
        log.warning("no losses for %d of %d works: %s", len(without), len(tables), ", ".join(without))
    log.info("losses of %s: %s", counted(len(whole[COLUMNS[:3]].drop_duplicates()), "LoRA"), options.output)
