"""Report what a study contains, needs and what would stop it; run nothing."""

import sys
import time

from egara.io.progress import parser

DEADLINE = 3.5  # seconds after the start at which nothing more is waited for


def main(argv: list[str] | None = None) -> int:
    """Check a study, print what was found; returns 1 where something would stop it."""
    deadline = time.monotonic() + DEADLINE
    command = parser(__doc__)
    command.add_argument("config", help="configuration of the study, such as config/paper.yaml")
    command.add_argument("--works", metavar="TABLE", help="works table instead of the configuration's")
    command.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE",
        help="override a setting, such as sets.size=20; may be repeated",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument(
        "--measure", action="store_true", help="time training steps on this machine now; takes a minute or more"
    )
    options = command.parse_args(argv)

    from egara.check.findings import examine
    from egara.check.words import as_json, as_text

    found = examine(options.config, options.overrides, options.works, options.measure, deadline)
    print(as_json(found) if options.json else as_text(found), file=sys.stdout)
    return 1 if found.study.stops else 0
