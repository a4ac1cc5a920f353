"""From volumes of drawings to the papers' tables: the map of the workflow, one rule file a stage."""

from pathlib import Path

from snakemake.exceptions import WorkflowError

HERE = workflow.current_basedir
if HERE.is_local and not Path(HERE.get_path_or_uri(secret_free=True), "workflow/rules/common.smk").exists():
    raise WorkflowError(f"egara: no rules in {HERE}; expected the Snakefile in its checkout, no link to it and no copy")


# Not merged into a configuration that is given: the demo's settings must not leak into another study.
if "corpus" not in config:

    configfile: workflow.source_path("config/demo.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/volumes.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/faces.smk"
include: "workflow/rules/sets.smk"
include: "workflow/rules/base.smk"
include: "workflow/rules/loras.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/vectors.smk"
include: "workflow/rules/maps.smk"
include: "workflow/rules/clusters.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/controls.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/pretraining.smk"


report: "workflow/report/workflow.rst"


rule all:
    """Make the report and everything that it shows."""
    default_target: True
    input:
        "<results>/report.html",
