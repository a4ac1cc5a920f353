"""What all rules share: checked settings, lists of works, sets and cells, and wildcard constraints."""

import gc
import json
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

HERE = workflow.current_basedir  # of this file, also where the project is a module of another workflow
if not HERE.is_local:
    raise WorkflowError(f"egara: the Snakefile is read from {HERE}; expected a checkout, in which its library lies")
CHECKOUT = Path(HERE.get_path_or_uri(secret_free=True)).parents[1]
sys.path.insert(0, str(CHECKOUT / "workflow"))

from snakemake.logging import logger

from egara.captions import check_caption, make_caption
from egara.cells import DRAWN, parse_cell
from egara.settings import FILES, complete_config, find_files
from egara.corpus.sources import resolve_volumes
from egara.cells import list_cells, list_controls
from egara.demo.casts import read_casts
from egara.io.errors import EgaraError
from egara.faces.detectors import parse_detector, threshold_files
from egara.feasibility import plan_study
from egara.fingerprint import fingerprint
from egara.literal import command_prefix, literal, project_path, take_literally, verbatim
from egara.loras.base.components import local_files
from egara.scheduling import share_timers
from egara.sets import set_name
from egara.works import look_alikes, read_works

# A plan's objects stay to the end; to look for garbage among them at Python's usual pace takes a seventh of planning.
gc.set_threshold(500_000)
share_timers()
TAKEN_LITERALLY = take_literally()

# Where Snakemake itself deploys environments, their Python counts.
PYTHON = None if workflow.deployment_settings.deployment_method else sys.executable
shell.prefix(command_prefix(CHECKOUT, PYTHON, shell._process_prefix))

REMARKS = []
try:
    SETTINGS = find_files(complete_config(config), CHECKOUT)
    WORKS = {work.work: work for work in read_works(SETTINGS["works"], REMARKS)}
    CASTS = read_casts(SETTINGS["casts"], list(WORKS.values()))
    VOLUMES = {} if CASTS else resolve_volumes(list(WORKS.values()))
    for path in (CHECKOUT, *(SETTINGS[key] or "" for key in FILES), SETTINGS["faces"]["detector"]):
        literal(path)
    BASE_FILES = [literal(path) for path in local_files(Path(SETTINGS["base"]))]
    VOLUMES = {work: [literal(path) for path in paths] for work, paths in VOLUMES.items()}
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
try:
    CONTROLS = list_controls(SETTINGS["controls"], CELLS, len(SETS))
except EgaraError as error:
    raise WorkflowError(str(error)) from None
PLAN = plan_study(SETTINGS, list(WORKS.values()))
if workflow.is_main_process:  # jobs in processes of their own read this file, too
    if not TAKEN_LITERALLY:
        logger.warning("egara: in this version of Snakemake, braces and < > in a path are read as a pattern")
    for remark in [*REMARKS, *look_alikes(list(WORKS.values())), *PLAN.remarks]:
        logger.warning(f"egara: {remark}")
CONTROL_CELLS = [cell for cell in CONTROLS.values() if cell not in CELLS]
REPRESENTATIONS = SETTINGS["representations"]
FLAT = ["factors", "sketch"]  # representations with a vector of numbers for IncrementalPCA
MATRIX = SETTINGS["maps"]["incremental"] == "vectors"  # whether it reads them, or n coordinates a LoRA
LAYERS = SETTINGS["scores"]["layers"]
L2 = ["on" if scaled else "off" for scaled in SETTINGS["l2"]]
SEED = SETTINGS["seed"]


# Literal to Snakemake: with a wildcard so early in all paths it would try every rule for every file.
pathvars:
    results=f"results/{CORPUS}",
    logs=f"logs/{CORPUS}",


wildcard_constraints:
    work="|".join(map(re.escape, WORKS)),
    set="[0-9]+",
    cell="|".join(map(re.escape, [*CELLS, *CONTROL_CELLS])),
    draw="drawn|disjoint|same",
    token="author|work|none",
    representation="|".join(dict.fromkeys([*REPRESENTATIONS, "norms"])),
    l2="on|off",
    resolution="[0-9]+",
    map="ipca|pca|umap",


def as_json(value):
    """Write settings as one sorted string, so that Snakemake sees which value belongs to which name."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def own(path):
    """Return a file of the project, by its path in the checkout."""
    return literal(project_path(CHECKOUT, path))


def volumes_of(wildcards):
    """Return the volumes of a work: the user's own, or the folder of composed ones."""
    if CASTS:
        return f"<results>/volumes/{wildcards.work}"
    return VOLUMES[wildcards.work]


def kits_of_casts():
    """Return each composed work and its drawing kit."""
    return [(work, cast["style"]) for work, cast in CASTS.items()]


def caption_of(token, name):
    """Return the caption of all pictures of a work under a token policy."""
    text = SETTINGS["captions"]["text"]
    return make_caption(text, token, WORKS[name].author, name, AUTHORS, list(WORKS))


def training_of(wildcards):
    """Return the training settings of a cell as one string."""
    cell = parse_cell(wildcards.cell)
    adapter = {key: cell[key] for key in ("rank", "alpha", "resolution", "init")}
    return as_json(SETTINGS["training"] | adapter | {"seed": SEED})


def training_extras():
    """Return the trainer's flags that change time and memory only."""
    recompute = {"auto": "auto", True: "yes", False: "no"}[SETTINGS["machine"]["recompute"]]
    return f"--recompute {recompute}" + (" --compile" if SETTINGS["machine"]["compile"] else "")


def detector_files(wildcards):
    """Return the files that the configured detector reads."""
    backend, path = parse_detector(SETTINGS["faces"]["detector"])
    return literal(path) if path else own(backend.weights) if backend.weights else []


def detector_thresholds(wildcards):
    """Return the files that state the configured detector's own threshold."""
    return [literal(path) for path in threshold_files(SETTINGS["faces"]["detector"])]


def rows_of_samples(wildcards):
    """Return author, work and caption of every row of a cell's grid of samples, as one string."""
    token = parse_cell(wildcards.cell)["token"]
    return as_json([{"author": WORKS[n].author, "work": n, "caption": caption_of(token, n)} for n in WORKS])


def material_of(wildcards):
    """Return where the sets of a cell's work and their latents lie, without the ending; a control has its own."""
    cell = parse_cell(wildcards.cell)
    draw = f"{cell.get('sets', DRAWN)}/" if wildcards.cell in CONTROL_CELLS else ""
    latents = f"resolution~{cell['resolution']}" + (f"_sets~{draw}" if draw else "/")
    return {
        "sets": f"<results>/sets/{draw}{wildcards.work}.tsv",
        "latents": f"<results>/latents/{latents}{wildcards.work}.safetensors",
    }


def sets_of(cell):
    """Return the names of the sets of each work in a cell: all, or a control's few."""
    return SETS if cell in CELLS else SETS[: SETTINGS["controls"]["sets"]]


def loras_of_cell(wildcards):
    """Return all LoRAs of one cell."""
    return collect(
        "<results>/loras/{cell}/{work}/{set}.safetensors",
        cell=wildcards.cell,
        work=WORKS,
        set=sets_of(wildcards.cell),
    )


def linear_maps(wildcards):
    """Return the maps in which distances are scored: the papers' IncrementalPCA where there are vectors, exact PCA for all."""
    folder = f"<results>/projections/{wildcards.cell}/{wildcards.representation}_l2~{wildcards.l2}"
    names = ["ipca", "pca"] if wildcards.representation in FLAT else ["pca"]
    return {name: f"{folder}/{name}.tsv" for name in names}


def clustered_maps(wildcards):
    """Return the maps that are clustered: exact PCA, and UMAP where there are enough LoRAs for it."""
    folder = f"<results>/projections/{wildcards.cell}/{wildcards.representation}_l2~{wildcards.l2}"
    return {name: f"{folder}/{name}.tsv" for name in (["pca", "umap"] if PLAN.umap else ["pca"])}


def control_vectors(pattern):
    """Return vectors of all cells, and of the controls, for each representation and the norms."""
    kinds = list(dict.fromkeys([*REPRESENTATIONS, "norms"]))
    return collect(pattern, cell=[*CELLS, *CONTROL_CELLS], representation=kinds, allow_missing=True)


def of_works(pattern):
    """Return one file a work."""
    return collect(pattern, work=WORKS, allow_missing=True)


def of_spaces(pattern):
    """Return one file for each cell, representation and l2."""
    return collect(pattern, cell=CELLS, representation=REPRESENTATIONS, l2=L2, allow_missing=True)


def figures_of(wildcards):
    """Return the report's figures: factors in the papers' IncrementalPCA, everything else in exact PCA, all in UMAP; losses."""
    spaces = of_spaces("<results>/figures/{cell}/{representation}_l2~{l2}/")
    distances = collect("<results>/figures/{cell}/distances_l2~{l2}.svg", cell=CELLS, l2=L2, allow_missing=True)
    linear = [f"{folder}{'ipca' if 'factors_l2' in folder else 'pca'}.svg" for folder in spaces]
    linear += [f"{folder}incremental.svg" for folder in spaces if Path(folder).name.partition("_l2~")[0] in FLAT]
    umap = [f"{folder}umap.svg" for folder in spaces] if PLAN.umap else []
    losses = collect("<results>/figures/{cell}/losses.svg", cell=CELLS, allow_missing=True)
    if not PLAN.compared:
        return losses
    layers = collect(
        "<results>/figures/{cell}/layers_{representation}_l2~{l2}.svg",
        cell=CELLS,
        representation=LAYERS,
        l2=L2,
        allow_missing=True,
    )
    overview = "<results>/figures/overview.svg"
    return [overview, *layers, *distances, *linear, *umap, *losses]
