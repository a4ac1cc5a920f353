"""Write the configuration's JSON schema and config/README.md from the settings."""

from pathlib import Path

from egara.config.readme import write_readme
from egara.config.schema import schema
from egara.io.atomic import write_text
from egara.io.progress import parser
from egara.shipped import CHECKOUT

HEAD = "# Written by `egara config` from workflow/egara/settings/.\n"


def contents() -> dict[str, str]:
    """Return the text of each generated file, by its path in the checkout."""
    import yaml

    text = yaml.safe_dump(schema(), sort_keys=False, allow_unicode=True, width=120)
    return {"workflow/schemas/config.schema.yaml": HEAD + text, "config/README.md": write_readme()}


def main(argv: list[str] | None = None) -> None:
    """Write both files."""
    arguments = parser(__doc__)
    arguments.add_argument("--checkout", type=Path, default=CHECKOUT, help="folder to write them to")
    options = arguments.parse_args(argv)
    for path, text in contents().items():
        write_text(options.checkout / path, text)
