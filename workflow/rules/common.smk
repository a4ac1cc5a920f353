"""What all rules share: checked settings, lists of works, sets and cells, and wildcard constraints."""

import json
import os
import sys
from pathlib import Path

LIBRARY = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(LIBRARY))

from snakemake.exceptions import WorkflowError

from egara.captions import check_caption, make_caption
from egara.cells import parse_cell
from egara.config import complete_config, find_volumes, list_cells, read_casts
from egara.errors import EgaraError
from egara.fingerprint import fingerprint
from egara.sets import set_name
from egara.works import read_works

# Commands find the library, and the Python that runs Snakemake, without an installation or an activated environment;
# a conda environment, which is activated later, goes before both.
os.environ["PYTHONPATH"] = os.pathsep.join([str(LIBRARY), *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

try:
    SETTINGS = complete_config(config)
    WORKS = {work.work: work for work in read_works(SETTINGS["works"])}
    CASTS = read_casts(SETTINGS["casts"], list(WORKS.values()))
    VOLUMES = {} if CASTS else find_volumes(list(WORKS.values()))
    AUTHORS = list(dict.fromkeys(work.author for work in WORKS.values()))
    for token in SETTINGS["grid"]["token"]:
        for work in WORKS.values():
            caption = make_caption(SETTINGS["captions"]["text"], token, work.author, work.work, AUTHORS, list(WORKS))
            check_caption(caption, [*AUTHORS, *WORKS, *SETTINGS["captions"]["names"]])
except EgaraError as error:
    raise WorkflowError(str(error)) from None

CORPUS = SETTINGS["corpus"]
SETS = [set_name(number) for number in range(SETTINGS["sets"]["count"])]
CELLS = list_cells(SETTINGS["grid"])
REPRESENTATIONS = SETTINGS["representations"]
L2 = ["on" if scaled else "off" for scaled in SETTINGS["l2"]]
SEED = SETTINGS["seed"]


wildcard_constraints:
    corpus=CORPUS,
    work="|".join(WORKS),
    set="[0-9]+",
    cell="|".join(CELLS),
    token="author|work|none",
    representation="factors|delta",
    l2="on|off",
    map="ipca|pca|umap",


def as_json(value):
    """Write settings as one sorted string, so that Snakemake sees which value belongs to which name."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def volumes_of(wildcards):
    """Return the volumes of a work: the user's own, or the folder of composed ones."""
    if CASTS:
        return f"results/{wildcards.corpus}/volumes/{wildcards.work}"
    return VOLUMES[wildcards.work]


def caption_of(token, name):
    """Return the caption of all pictures of a work under a token policy."""
    text = SETTINGS["captions"]["text"]
    return make_caption(text, token, WORKS[name].author, name, AUTHORS, list(WORKS))


def training_of(wildcards):
    """Return the training settings of a cell as one string."""
    cell = parse_cell(wildcards.cell)
    adapter = {key: cell[key] for key in ("rank", "alpha", "init")}
    return as_json(SETTINGS["training"] | adapter | {"seed": SEED})
