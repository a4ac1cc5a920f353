"""Write NOTICE: the artists of the drawings, their licences and their role."""

import textwrap
from typing import TYPE_CHECKING

from egara.io.atomic import write_text
from egara.io.progress import logger, parser

if TYPE_CHECKING:
    import pandas as pd

HEAD = """\
NOTICE

The demonstration volumes are composed from drawing kits that their artists published under open licences. The kits come
with the Python package dicebear-styles and are drawn by dicebear-core and resvg-py; names and licences below are those
that each kit states. No kit's artist has endorsed this project or its results.

Changes to the drawings: parts are chosen at random, skin, hair and clothes are recoloured to white, grey and black,
figures are tilted, mirrored, scaled and cropped, and set into pages with panels, tones, balloons and lettering.
"""
EVALUATED = """\
Evaluated artists. Their drawings make the demonstration volumes when a user runs the workflow. No embedded weights
were trained on them.
"""
HELD_OUT = """\
Held-out artists. Their drawings were used only to train the embedded weights in this folder, the base model and the
face detector. They are never evaluated.
"""


def notice_text(attributions: "pd.DataFrame") -> str:
    """Return the text of NOTICE from the table of `egara.demo.notice.attributions`."""
    parts = [HEAD]
    for heading, role in ((EVALUATED, "evaluated"), (HELD_OUT, "held out")):
        parts.append(heading)
        for row in attributions[attributions["role"] == role].sort_values("style").to_dict("records"):
            work = f"{row['title']} by {row['creator']} (kit {row['style']}), {row['licence']}"
            lines = [work, row["source_url"], row["licence_url"] if row["licence"].startswith("CC BY") else ""]
            parts.append(textwrap.indent("\n".join(line for line in lines if line), "  ") + "\n")
    return "\n".join(parts)


def main(argv: list[str] | None = None) -> None:
    """Write the file."""
    arguments = parser(__doc__)
    arguments.add_argument("--output", required=True, help="text to write")
    options = arguments.parse_args(argv)

    from egara.demo.artists import STYLES
    from egara.demo.notice import attributions

    table = attributions(sorted(STYLES))
    write_text(options.output, notice_text(table))
    logger("notice").info("%d drawing kits: %s", len(table), options.output)
