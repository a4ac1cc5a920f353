"""Tables, as TSV, Markdown and LaTeX: ours next to the published numbers and to chance.

Needs pages, faces, sets and scores. Makes tables/{table}.{tsv,md,tex}, each laid out by egara.tables.{table}.
"""


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
        "egara tables {wildcards.table} {params.files:q} --output {output:q} 2> {log:q}"
