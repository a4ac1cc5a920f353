"""Look after the store of finished LoRAs: prune, verify, export and import.

python -m egara.loras.store prune results/store
python -m egara.loras.store verify results/store
python -m egara.loras.store export results/store loras.tar --results results/demo
python -m egara.loras.store import results/store loras.tar
"""

from pathlib import Path

from egara.io.errors import run
from egara.io.progress import logger, parser
from egara.loras.store.checking import verify
from egara.loras.store.moving import bring, export
from egara.loras.store.pruning import prune


def main(argv: list[str] | None = None) -> int:
    """Run one of the commands; a file that is not what it should be makes the exit status 1."""
    arguments = parser(__doc__)
    commands = arguments.add_subparsers(dest="command", required=True)
    for name, what in (
        ("prune", "remove LoRAs, latents, captions and checkpoints that no result uses; no job may run meanwhile"),
        ("verify", "read everything and compare it with checksums and names; nothing is changed"),
        ("export", "write finished LoRAs to a tar archive"),
        ("import", "take LoRAs from such an archive, each checked"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("store", type=Path, help="folder of the store, beside the results")
        if name in ("export", "import"):
            command.add_argument("archive", type=Path, help="tar archive")
        if name == "export":
            command.add_argument("--results", type=Path, help="folder of a corpus: only the LoRAs that it uses")
    options = arguments.parse_args(argv)
    log = logger("loras.store")
    mistakes = []
    if options.command == "prune":
        for kind, (count, freed) in prune(options.store).items():
            log.info("removed %d %s, %.1f MB", count, kind, freed / 1e6)
    elif options.command == "verify":
        found = list(verify(options.store))
        mistakes = [error for error in found if error is not None]
        log.info("%d files are as they were written, %d are not", len(found) - len(mistakes), len(mistakes))
    elif options.command == "export":
        count, size = export(options.store, options.archive, options.results)
        log.info("%d LoRAs, %.1f MB: %s", count, size / 1e6, options.archive)
    else:
        came, there, mistakes = bring(options.store, options.archive)
        log.info("%d LoRAs came, %d were there, %d were refused", came, there, len(mistakes))
    for error in mistakes:
        log.error("%s", error)
    return 1 if mistakes else 0


if __name__ == "__main__":
    run(main)
