"""What all rules share: checked settings, lists of works, sets and cells, and wildcard constraints."""

import json
import re
import sys
from pathlib import Path

import pandas as pd
from snakemake.exceptions import WorkflowError
from snakemake.utils import Paramspace

# The library: in a checkout its own, also where the project is a module of another workflow; else an installed one.
if IN_CHECKOUT:
    sys.path.insert(0, HERE.get_path_or_uri(secret_free=True))
else:
    wanted = re.search('__version__ = "(.+)"', Path(workflow.source_path("../egara/__init__.py")).read_text())[1]
    try:
        from egara import __version__ as found
    except ImportError:
        found = "none"
    if found != wanted:
        raise WorkflowError(
            f"egara: the Snakefile is read from {HERE}; expected its library, egara {wanted}, to be installed next to "
            f"Snakemake (pip install), found {found}"
        )

from snakemake.logging import logger

from egara.captions import POLICIES, check_caption, make_caption
from egara.cells import DRAWN, expand_grid, list_controls, parse_cell
from egara.config import FILES, complete_config, find_files
from egara.corpus.sources import resolve_volumes
from egara.demo.casts import read_casts
from egara.faces.detectors import parse_detector, threshold_files
from egara.feasibility import plan_study
from egara.fingerprint import fingerprint
from egara.io.errors import EgaraError
from egara.literal import command_prefix, literal, project_path, take_literally, verbatim
from egara.loras.base.components import local_files
from egara.sets import DRAWS, set_name
from egara.shipped import CHECKOUT, MAIN, shipped
from egara.vocabulary import AXES, PROJECTIONS
from egara.weights import representations
from egara.works import look_alikes, read_works, series_of

TAKEN_LITERALLY = take_literally()

# Where Snakemake itself deploys environments, their Python counts.
PYTHON = None if workflow.deployment_settings.deployment_method else sys.executable
shell.prefix(command_prefix(MAIN, PYTHON, shell._process_prefix))

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
    SERIES = series_of(list(WORKS.values()))
    AUTHORS = list(dict.fromkeys(work.author for work in WORKS.values()))
    for token in SETTINGS["grid"]["token"]:
        for work in WORKS.values():
            caption = make_caption(SETTINGS["captions"]["text"], token, work.author, work.work, AUTHORS, list(WORKS))
            check_caption(caption, [*AUTHORS, *WORKS, *SETTINGS["captions"]["names"]])
except EgaraError as error:
    raise WorkflowError(str(error)) from None

CORPUS = SETTINGS["corpus"]
SETS = [set_name(number) for number in range(SETTINGS["sets"]["count"])]
try:
    GRID = Paramspace(
        pd.DataFrame(expand_grid(SETTINGS["grid"]), dtype=object), filename_params="*", single_wildcard="cell"
    )
    CELLS = list(GRID.instance_patterns)
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
FLAT = [name for name in REPRESENTATIONS if representations.find(name).vectors]  # projected by IncrementalPCA
MATRIX = SETTINGS["projections"]["incremental"] == "vectors"  # whether it reads the vectors, or n coordinates per LoRA
LAYERS = SETTINGS["scores"]["layers"]
L2 = ["on" if scaled else "off" for scaled in SETTINGS["l2"]]
SEED = SETTINGS["seed"]
# What a machine offers goes to jobs as resources: unlike params, they may change without running a job again.
GPUS = 0 if SETTINGS["machine"]["device"] == "cpu" else 1


# Literal to Snakemake: with a wildcard so early in all paths it would try every rule for every file.
pathvars:
    results=f"results/{CORPUS}",
    logs=f"logs/{CORPUS}",


wildcard_constraints:
    work="|".join(map(re.escape, WORKS)),
    set="[0-9]+",
    cell="|".join(map(re.escape, [*CELLS, *CONTROL_CELLS])),
    draw="|".join(DRAWS),
    token="|".join(POLICIES),
    representation="|".join(dict.fromkeys([*REPRESENTATIONS, "norms"])),
    l2="on|off",
    resolution="[0-9]+",
    projection="|".join(PROJECTIONS),


def as_json(value):
    """Write settings as one sorted string, so that Snakemake sees which value belongs to which name."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def as_list(files):
    """Return the files of a rule's named input as a list, also where there is one."""
    return [files] if isinstance(files, str) else list(files)


def space_of(wildcards):
    """Return the folder name of a space in a cell."""
    return f"{wildcards.representation}_l2~{wildcards.l2}"


def own(path):
    """Return a file of the project, by its path in a checkout."""
    return literal(project_path(path, shipped(path)))
