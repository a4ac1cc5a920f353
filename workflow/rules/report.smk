"""The report: tables, figures and a map of all LoRAs on one page.

Needs everything that it shows. Makes report.html, config.json (the checked settings) and explorer.json (its map).
"""

from egara.report.page import TEMPLATES


rule gather_maps:
    """Gather all projections and neighbours for the report's map, and faces where config.yaml shows them."""
    input:
        maps=per_space("<results>/projections/{cell}/{representation}_l2~{l2}/umap.tsv") if PLAN.umap else [],
        exact=per_space("<results>/projections/{cell}/{representation}_l2~{l2}/pca.tsv"),
        incremental=collect(
            "<results>/projections/{cell}/{representation}_l2~{l2}/ipca.tsv",
            cell=CELLS,
            representation=[name for name in REPRESENTATIONS if name in FLAT],
            l2=L2,
            allow_missing=True,
        ),
        gram=per_space("<results>/spaces/{cell}/{representation}.gram.npy"),
        sets=per_work("<results>/sets/{work}.tsv") if SETTINGS["report"]["show_faces"] else [],
        crops=per_work("<results>/faces/{work}") if SETTINGS["report"]["show_faces"] else [],
    output:
        "<results>/explorer.json",
    log:
        "<logs>/explorer.log",
    conda:
        "../../envs/tables.yaml"
    params:
        vectors=lambda wildcards, input: str(Path(input.gram[0]).parents[1]),
        spaces=lambda wildcards, input: [str(Path(path).parent) for path in input.exact],
        names=["pca", "ipca", "umap"] if PLAN.umap else ["pca", "ipca"],
        faces=lambda wildcards, input: ["--sets", *input.sets, "--crops", *input.crops] if input.sets else [],
        code=fingerprint("egara.report.explorer"),
    shell:
        "egara report explorer"
        " --spaces {params.spaces:q}"
        " --maps {params.names:q}"
        " --vectors {params.vectors:q}"
        " {params.faces:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule write_report:
    """Put everything on one self-contained page."""
    input:
        tables=collect("<results>/tables/{table}.tsv", table=TABLES, allow_missing=True),
        figures=planned_figures,
        skipped=per_work("<results>/pages/{work}.skipped.tsv") + per_work("<results>/faces/{work}.skipped.tsv"),
        base="<results>/base/base.json",
        samples="<results>/base/samples.png",
        sheets=per_work("<results>/faces/{work}.png") if SETTINGS["report"]["show_faces"] else [],
        casts=[literal(SETTINGS["casts"])] if CASTS else [],
        explorer="<results>/explorer.json" if PLAN.compared else [],
        templates=[own(f"workflow/egara/report/templates/{name}") for name in TEMPLATES],
    output:
        page="<results>/report.html",
        config="<results>/config.json",
    log:
        "<logs>/report.log",
    benchmark:
        "<results>/benchmarks/report.tsv"
    conda:
        "../../envs/tables.yaml"
    params:
        corpus=CORPUS,
        settings=verbatim(as_json(SETTINGS)),
        benchmarks=lambda wildcards, output: str(Path(output.page).parent / "benchmarks"),
        sheets=lambda wildcards, input: (
            ["--show-faces", "--sheets", *input.sheets] if SETTINGS["report"]["show_faces"] else []
        ),
        explorer=lambda wildcards, input: ["--explorer", input.explorer] if PLAN.compared else [],
        casts=lambda wildcards, input: ["--casts", *input.casts] if CASTS else [],
        seed=SEED,
        code=fingerprint("egara.report"),
    shell:
        "printf '%s\\n' {params.settings:q} > {output.config:q} 2> {log:q}; "
        "egara report"
        " --corpus {params.corpus:q}"
        " --tables {input.tables:q}"
        " --figures {input.figures:q}"
        " --skipped {input.skipped:q}"
        " --config {output.config:q}"
        " --base {input.base:q}"
        " --samples {input.samples:q}"
        " {params.sheets:q}"
        " {params.casts:q}"
        " {params.explorer:q}"
        " --benchmarks {params.benchmarks:q}"
        " --seed {params.seed:q}"
        " --output {output.page:q}"
        " 2>> {log:q}"
