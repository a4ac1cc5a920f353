"""Maintain the store of finished LoRAs: prune, verify, export, import.

egara loras store prune results/store
egara loras store verify results/store
egara loras store export results/store loras.tar --results results/demo
egara loras store import results/store loras.tar
"""

from pathlib import Path

from egara.io.progress import logger, parser
from egara.loras.store.checking import verify
from egara.loras.store.moving import export, import_archive
from egara.loras.store.pruning import prune


def main(argv: list[str] | None = None) -> int:
    """Run one of the commands; the exit status is 1 where a file is corrupt."""
    arguments = parser(__doc__)
    commands = arguments.add_subparsers(dest="command", required=True)
    for name, what in (
        ("prune", "remove LoRAs, latents, captions and checkpoints that no result uses; no job may run meanwhile"),
        ("verify", "read everything and compare it with checksums and names; nothing is changed"),
        ("export", "write finished LoRAs to a tar archive"),
        ("import", "take LoRAs from such an archive, each checked"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("store", type=Path, help="folder of the store, in results/")
        if name in ("export", "import"):
            command.add_argument("archive", type=Path, help="tar archive")
        if name == "export":
            command.add_argument("--results", type=Path, help="folder of a corpus: only the LoRAs that it uses")
    options = arguments.parse_args(argv)
    log = logger("loras.store")
    errors = []
    if options.command == "prune":
        for kind, (count, freed) in prune(options.store).items():
            log.info("removed %d %s, %.1f MB", count, kind, freed / 1e6)
    elif options.command == "verify":
        found = list(verify(options.store))
        errors = [error for error in found if error is not None]
        log.info("%d files are whole, %d are corrupt", len(found) - len(errors), len(errors))
    elif options.command == "export":
        count, size = export(options.store, options.archive, options.results)
        log.info("%d LoRAs, %.1f MB: %s", count, size / 1e6, options.archive)
    else:
        added, present, errors = import_archive(options.store, options.archive)
        log.info("%d LoRAs added, %d already in the store, %d refused", added, present, len(errors))
    for error in errors:
        log.error("%s", error)
    return 1 if errors else 0
