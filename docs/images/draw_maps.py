"""Draw the README's picture, the two maps that open a report, from a study's explorer.json.

python docs/images/draw_maps.py results/demo/explorer.json docs/images/maps.svg
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))
from egara.figures.style import add_legend, save, set_theme, strip

HEADS = {"factors": "Factors A and B, flattened (published)", "delta": "Update ΔW = BA, same files"}


def read_points(space: dict, name: str, count: int) -> np.ndarray:
    """Return the first two dimensions of a map: (n_loras, 2)."""
    stored = space["maps"][name]
    values = np.frombuffer(base64.b64decode(stored["data"]), dtype="<i2").reshape(-1, count).T
    return values[:, :2] * np.array(stored["scale"])[:2]


def main(source: str, output: str) -> None:
    """Read explorer.json and write the picture."""
    set_theme()
    from matplotlib import pyplot

    content = json.loads(Path(source).read_text(encoding="utf-8"))
    pair, loras = content["pair"], content["loras"]
    figure, panels = pyplot.subplots(1, 2, figsize=(8.6, 3.5), layout="constrained")
    for axes, side in zip(panels, pair["sides"], strict=True):
        name = side["representation"]
        wanted = (name, pair["cell"], pair["l2"])
        space = next(s for s in content["spaces"] if (s["representation"], s["cell"], s["l2"]) == wanted)
        for (author, work, _), (x, y) in zip(loras, read_points(space, pair["map"], len(loras)), strict=True):
            colour, marker = content["colours"]["author"][author], content["markers"]["work"][work]
            axes.plot(x, y, marker, color=colour, markersize=6, markeredgecolor="white", markeredgewidth=0.5)
        share, chance = (
            f"{100 * value:.0f} %" for value in (side["same_work"]["dimensions"], content["chance"]["work"])
        )
        axes.set_title(f"{HEADS[name]}\nnearest LoRA of the same work: {share} (chance {chance})", fontsize=9)
        axes.set_aspect("equal", "datalim")
        axes.spines[["top", "right"]].set_visible(True)
        strip(axes)
    add_legend(figure, [(author, work) for author, work, _ in loras])
    title = "The same LoRA files, by their factors and by their update"
    save(figure, [output], title, f"{content['words']['map'][pair['map']]}, L2 {pair['l2']}.", ["maps"])


if __name__ == "__main__":
    main(*sys.argv[1:])
