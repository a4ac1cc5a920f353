"""Tables, as TSV, Markdown and LaTeX: ours next to the published numbers and to chance.

Needs pages, faces, sets and scores. Makes tables/{table}.{tsv,md,tex}, each laid out by egara.tables.{table}.
"""

from egara.registry import discover
from egara.tables.registry import TABLES as REGISTERED_TABLES, table_names

discover("egara.tables")
TABLES = table_names(
    {
        "composed": bool(CASTS),
        "compared": PLAN.compared,
        "layers": PLAN.compared and bool(LAYERS),
        "series": PLAN.compared and PLAN.series,
    }
)
# Files of each kind that tables are made from, `egara.tables.registry.KINDS`.
TABLE_INPUTS = {
    "pages": per_work("<results>/pages/{work}.tsv"),
    "skipped": per_work("<results>/pages/{work}.skipped.tsv"),
    "faces": per_work("<results>/faces/{work}.tsv"),
    "faces-skipped": per_work("<results>/faces/{work}.skipped.tsv"),
    "detector": per_work("<results>/faces/{work}.detector.tsv"),
    "sets": per_work("<results>/sets/{work}.tsv"),
    "base": ["<results>/base/base.json"],
    "scores": per_space("<results>/scores/{cell}/{representation}_l2~{l2}/scores.tsv"),
    "nulls": per_space("<results>/scores/{cell}/{representation}_l2~{l2}/nulls.npz"),
    "clusters": per_space("<results>/scores/{cell}/{representation}_l2~{l2}/clusters.tsv"),
    "series": per_space("<results>/scores/{cell}/{representation}_l2~{l2}/series.tsv") if PLAN.series else [],
    "layers": collect(
        "<results>/scores/{cell}/{representation}.layers.tsv", cell=CELLS, representation=LAYERS, allow_missing=True
    ),
    "controls": ["<results>/scores/controls.tsv"],
}


rule tabulate:
    """Make one table: read the files that it is registered for and lay them out."""
    input:
        unpack(table_inputs),
    output:
        report(
            "<results>/tables/{table}.tsv",
            caption="../report/table.rst",
            category="Tables",
            labels=lambda wildcards: {"table": REGISTERED_TABLES[wildcards.table].heading},
        ),
        "<results>/tables/{table}.md",
        "<results>/tables/{table}.tex",
    log:
        "<logs>/tables/{table}.log",
    wildcard_constraints:
        table="|".join(REGISTERED_TABLES),
    conda:
        # The environment's versions are those of training.
        lambda wildcards: "../../envs/tables.yaml" if wildcards.table != "environment" else "../../envs/torch.yaml"
    params:
        files=lambda wildcards, input: [
            word for kind, files in input.items() for word in (f"--{kind.replace('_', '-')}", *as_list(files))
        ],
        caption=lambda wildcards: REGISTERED_TABLES[wildcards.table].note,
        code=lambda wildcards: fingerprint(f"egara.tables.{wildcards.table}"),
    shell:
        "egara tables {wildcards.table:q} {params.files:q} --output {output:q} 2> {log:q}"
