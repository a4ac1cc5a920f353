"""A small study for tests of what comes last: LoRAs with a series and a work in them, through the real stages."""

import json

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from egara.clusters import main as cluster
from egara.demo.casts import CAST_COLUMNS
from egara.projections import main as draw_map
from egara.scores.__main__ import main as score
from egara.scores.clusters import main as score_clusters
from egara.scores.series import main as score_series
from egara.sets import draw_sets
from egara.skipped import COLUMNS, skipped
from egara.tables.__main__ import main as make
from egara.weights.__main__ import main as vectorise

INDEPENDENT = "rank~2_alpha~2_resolution~64_init~independent_token~none"
SHARED = "rank~2_alpha~2_resolution~64_init~shared_token~none"
# Author, work, series: one author with two series, two with one; a name in another script.
SERIES = {"pen": "横槍 メンゴ", "ink": "横槍 メンゴ", "chalk": "Jörg & Co", "wax": "Zoë_Z"}
WORKS = [(author, f"{series}-{part}", series) for series, author in SERIES.items() for part in "ab"]
SIZES = {"unet.a.to_q": (20, 24), "unet.b.ff": (30, 20)}  # outputs, inputs
SETS = 4


def train(folder, cell, works=WORKS, sets=SETS):
    """LoRAs whose update has a direction per series and one per work; A is random, or shared in a `shared` cell."""
    generator = np.random.default_rng(3)
    directions = {
        name: {key: generator.normal(size=shape) for row in WORKS for key in row[1:]} for name, shape in SIZES.items()
    }
    common = {name: np.random.default_rng(1).normal(size=(2, shape[1])) for name, shape in SIZES.items()}
    for author, work, series in works:
        for number in range(sets):
            own = np.random.default_rng([number, len(cell), *map(ord, work)])
            tensors = {}
            for name, (outputs, inputs) in SIZES.items():
                down = common[name] if "shared" in cell else own.normal(size=(2, inputs))
                target = 2 * directions[name][series] + directions[name][work] + own.normal(size=(outputs, inputs))
                tensors[f"{name}.lora_A.weight"] = down.astype(np.float32)
                tensors[f"{name}.lora_B.weight"] = np.ascontiguousarray(target @ np.linalg.pinv(down) / 20, np.float32)
            path = folder / cell / work / f"{number:02d}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            header = {"author": author, "work": work, "set": f"{number:02d}"}
            save_file(tensors, path, metadata={"egara": json.dumps(header)})


def build(root, cells=(INDEPENDENT, SHARED), works=WORKS, sets=SETS, l2=("on", "off")):
    """Run Gram matrices, projections, clusters and scores below `root`, and write pages, faces and sets."""
    for cell in cells:
        train(root / "loras", cell, works, sets)
        for name in ("factors", "delta"):
            folder = root / "spaces" / cell
            folder.mkdir(parents=True, exist_ok=True)
            files = ["--gram", str(folder / f"{name}.gram.npy"), "--index", str(folder / f"{name}.tsv")]
            vectorise(
                ["--folder", str(root / "loras" / cell), "--works", *(w for _, w, _ in works), "--sets", str(sets)]
                + ["--representation", name, *files]
            )
            for setting in l2:
                place = f"{cell}/{name}_l2~{setting}"
                pairs = []
                for kind in ("ipca", "pca"):
                    path = root / "projections" / place / f"{kind}.tsv"
                    draw_map(
                        [*files, "--map", kind, "--l2", setting, "--n-components", "8", "--seed", "0"]
                        + ["--output", str(path), "--variance", str(path.with_suffix(".variance.tsv"))]
                    )
                    pairs.append(f"{kind}={path}")
                out = root / "clusters" / place
                cluster(["--maps", *pairs, "--min-cluster-size", "3", "--output", str(out / "hdbscan.tsv")])
                space = [
                    "--cell",
                    cell,
                    "--representation",
                    name,
                    "--l2",
                    setting,
                    "--permutations",
                    "199",
                    "--seed",
                    "0",
                ]
                scores = root / "scores" / place
                score(
                    [*files, *space, "--maps", *pairs, "--output", str(scores / "scores.tsv")]
                    + ["--nulls", str(scores / "nulls.npz")]
                )
                series = json.dumps({work: series for _, work, series in works})
                score_series([*files, *space, "--series", series, "--output", str(scores / "series.tsv")])
                found = ["--clusters", str(out / "hdbscan.tsv"), "--output", str(scores / "clusters.tsv")]
                score_clusters([*space, *found])
    write_material(root, works, sets)
    return root


def left_of(path, rows):
    """Write a table of what a stage left out."""
    pd.DataFrame(rows, columns=COLUMNS).to_csv(path, sep="\t", index=False)


def write_material(root, works=WORKS, sets=SETS):
    """Write pages, faces, and sets of every work, and the table of casts."""
    for folder in ("pages", "faces", "sets"):
        (root / folder).mkdir(exist_ok=True)
    for place, (author, work, _) in enumerate(works):
        pages = pd.DataFrame({"author": author, "work": work, "volume": ["v1"] * 6 + ["v2"] * 4, "page": range(10)})
        pages.to_csv(root / f"pages/{work}.tsv", sep="\t", index=False)
        left = [
            skipped("a.cbz", "x.png", "unreadable", "cut short"),
            skipped("b", "Thumbs.db", "system", "by its name"),
        ]
        left_of(root / f"pages/{work}.skipped.tsv", left if place == 0 else [])
        small = [skipped("v1", "3", "small", "at most 40 x 40; faces.min_pixels is 10000", 10 + place)]
        left_of(root / f"faces/{work}.skipped.tsv", small)
        faces = pd.DataFrame({"face": [f"{n:05d}" for n in range(40)], "file": "x.png", "sha256": "0"})
        faces.to_csv(root / f"faces/{work}.tsv", sep="\t", index=False)
        draw_sets(faces, work, sets, 10, 0).to_csv(root / f"sets/{work}.tsv", sep="\t", index=False)
    casts = pd.DataFrame([dict.fromkeys(CAST_COLUMNS, "1") | {"work": w, "style": s} for _, w, s in works])
    casts.to_csv(root / "casts.tsv", sep="\t", index=False)


def files_of(root, kind, works=WORKS):
    """Return the files below `root` that tables are made from, of one kind."""
    found = {"scores": "scores.tsv", "nulls": "nulls.npz", "clusters": "clusters.tsv", "series": "series.tsv"}
    if kind in found:
        return sorted(map(str, root.glob(f"scores/*/*/{found[kind]}")))
    folder, _, skipped = kind.partition("-")
    ending = ".skipped.tsv" if skipped or kind == "skipped" else ".tsv"
    return [str(root / ("pages" if kind == "skipped" else folder) / f"{work}{ending}") for _, work, _ in works]


def make_table(root, name, *kinds, forms=("tsv",), published=()):
    """Make a table of the study from files of these kinds, `root/tables/name.tsv`."""
    given = [word for kind in kinds for word in (f"--{kind}", *files_of(root, kind))]
    given += ["--published", *map(str, published)] if published else []
    make([name, *given, "--output", *(str(root / f"tables/{name}.{form}") for form in forms)])
