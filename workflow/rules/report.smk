"""Tables, figures and the report: ours beside the published numbers beside chance.

Needs pages, faces, sets, losses, vectors, maps, clusters and scores. Makes tables/*.{tsv,md,tex}, figures/**.svg and
report.html.
"""

GROUPS = ["<results>/volumes/groups.tsv"] if CASTS else []


rule list_groups:
    """Say which works are casts of one drawing kit."""
    input:
        SETTINGS["casts"] or [],
    output:
        "<results>/volumes/groups.tsv",
    log:
        "<logs>/volumes/groups.log",
    conda:
        "../../envs/tables.yaml"
    shell:
        "cut -f 1,2 {input} | sed '1s/style/group/' > {output} 2> {log}"


rule write_config:
    """Keep the checked settings of this run, defaults filled in."""
    output:
        "<results>/config.json",
    log:
        "<logs>/config.log",
    conda:
        "../../envs/tables.yaml"
    params:
        settings=as_json(SETTINGS),
    shell:
        "printf '%s\\n' {params.settings:q} > {output} 2> {log}"


rule tabulate_works:
    """Tabulate works, volumes, pages and faces (the paper's Table 1)."""
    input:
        pages=of_works("<results>/pages/{work}.tsv"),
        skipped=of_works("<results>/pages/{work}.skipped.tsv"),
        faces=of_works("<results>/faces/{work}.tsv"),
        sets=of_works("<results>/sets/{work}.tsv"),
        published="resources/published/works.tsv",
    output:
        report("<results>/tables/works.tsv", caption="../report/works.rst", category="Tables"),
        "<results>/tables/works.md",
        "<results>/tables/works.tex",
    log:
        "<logs>/tables/works.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.tables.works"),
    shell:
        "python -m egara.tables.works"
        " --pages {input.pages}"
        " --skipped {input.skipped}"
        " --faces {input.faces}"
        " --sets {input.sets}"
        " --published {input.published}"
        " --output {output}"
        " 2> {log}"


rule tabulate_environment:
    """Tabulate the machine and the versions of this run (the paper's Table 2)."""
    input:
        base="<results>/base/base.json",
        published="resources/published/environment.tsv",
    output:
        report("<results>/tables/environment.tsv", caption="../report/environment.rst", category="Tables"),
        "<results>/tables/environment.md",
        "<results>/tables/environment.tex",
    log:
        "<logs>/tables/environment.log",
    conda:
        "../../envs/torch.yaml"
    params:
        code=fingerprint("egara.tables.environment"),
    shell:
        "python -m egara.tables.environment"
        " --base {input.base}"
        " --published {input.published}"
        " --output {output}"
        " 2> {log}"


rule tabulate_cosine:
    """Tabulate mean cosine distances (the paper's Table 3)."""
    input:
        scores=of_spaces("<results>/scores/{cell}/{representation}_l2~{l2}/scores.tsv"),
        published="resources/published/cosine.tsv",
    output:
        report("<results>/tables/cosine.tsv", caption="../report/cosine.rst", category="Tables"),
        "<results>/tables/cosine.md",
        "<results>/tables/cosine.tex",
    log:
        "<logs>/tables/cosine.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.tables.cosine"),
    shell:
        "python -m egara.tables.cosine"
        " --scores {input.scores}"
        " --published {input.published}"
        " --output {output}"
        " 2> {log}"


rule tabulate_neighbours:
    """Tabulate Top-1 and Top-5 (the paper's Table 4)."""
    input:
        scores=of_spaces("<results>/scores/{cell}/{representation}_l2~{l2}/scores.tsv"),
        published="resources/published/neighbours.tsv",
    output:
        report("<results>/tables/neighbours.tsv", caption="../report/neighbours.rst", category="Tables"),
        "<results>/tables/neighbours.md",
        "<results>/tables/neighbours.tex",
    log:
        "<logs>/tables/neighbours.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.tables.neighbours"),
    shell:
        "python -m egara.tables.neighbours"
        " --scores {input.scores}"
        " --published {input.published}"
        " --output {output}"
        " 2> {log}"


rule tabulate_grid:
    """Gather every score of the grid, corrected for their number, beside the published values."""
    input:
        scores=of_spaces("<results>/scores/{cell}/{representation}_l2~{l2}/scores.tsv"),
        published=["resources/published/cosine.tsv", "resources/published/neighbours.tsv"],
    output:
        report("<results>/tables/grid.tsv", caption="../report/grid.rst", category="Tables"),
        "<results>/tables/grid.md",
        "<results>/tables/grid.tex",
    log:
        "<logs>/tables/grid.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.tables.grid"),
    shell:
        "python -m egara.tables.grid"
        " --scores {input.scores}"
        " --published {input.published}"
        " --output {output}"
        " 2> {log}"


rule tabulate_methods:
    """Tabulate nearest centroid, linear probe, silhouette and explained variance."""
    input:
        of_spaces("<results>/scores/{cell}/{representation}_l2~{l2}/scores.tsv"),
    output:
        report("<results>/tables/methods.tsv", caption="../report/methods.rst", category="Tables"),
        "<results>/tables/methods.md",
        "<results>/tables/methods.tex",
    log:
        "<logs>/tables/methods.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.tables.methods"),
    shell:
        "python -m egara.tables.methods --scores {input} --output {output} 2> {log}"


rule tabulate_layers:
    """Tabulate where in the network work and author show."""
    input:
        collect(
            "<results>/scores/{cell}/{representation}.layers.tsv",
            cell=CELLS,
            representation=LAYERS,
            allow_missing=True,
        ),
    output:
        report("<results>/tables/layers.tsv", caption="../report/layers.rst", category="Tables"),
        "<results>/tables/layers.md",
        "<results>/tables/layers.tex",
    log:
        "<logs>/tables/layers.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.tables.layers"),
    shell:
        "python -m egara.tables.layers --layers {input} --output {output} 2> {log}"


rule draw_layers:
    """Draw where in the network work and author show."""
    input:
        "<results>/scores/{cell}/{representation}.layers.tsv",
    output:
        report(
            "<results>/figures/{cell}/layers_{representation}_l2~{l2}.svg",
            caption="../report/layers.rst",
            category="Figures",
            labels={"cell": "{cell}", "representation": "{representation}", "l2": "{l2}", "map": "layers"},
        ),
    log:
        "<logs>/figures/{cell}/layers_{representation}_l2~{l2}.log",
    wildcard_constraints:
        representation="[a-z]+",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.figures.layers"),
    shell:
        "python -m egara.figures.layers"
        " --layers {input}"
        " --cell {wildcards.cell}"
        " --representation {wildcards.representation}"
        " --l2 {wildcards.l2}"
        " --output {output}"
        " 2> {log}"


rule tabulate_clusters:
    """Compare clusters with works and authors, each agreement beside chance."""
    input:
        of_spaces("<results>/clusters/{cell}/{representation}_l2~{l2}/hdbscan.tsv"),
    output:
        report("<results>/tables/clusters.tsv", caption="../report/clusters.rst", category="Tables"),
        "<results>/tables/clusters.md",
        "<results>/tables/clusters.tex",
    log:
        "<logs>/tables/clusters.log",
    priority: 1  # takes longer than others of its stage
    conda:
        "../../envs/tables.yaml"
    params:
        permutations=SETTINGS["scores"]["permutations"],
        seed=SEED,
        code=fingerprint("egara.tables.clusters"),
    shell:
        "python -m egara.tables.clusters"
        " --clusters {input}"
        " --permutations {params.permutations}"
        " --seed {params.seed}"
        " --output {output}"
        " 2> {log}"


rule tabulate_overlap:
    """Tabulate how much two sets of a work have in common."""
    input:
        faces=of_works("<results>/faces/{work}.tsv"),
        sets=of_works("<results>/sets/{work}.tsv"),
    output:
        report("<results>/tables/overlap.tsv", caption="../report/overlap.rst", category="Tables"),
        "<results>/tables/overlap.md",
        "<results>/tables/overlap.tex",
    log:
        "<logs>/tables/overlap.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.tables.overlap"),
    shell:
        "python -m egara.tables.overlap"
        " --faces {input.faces}"
        " --sets {input.sets}"
        " --output {output}"
        " 2> {log}"


rule tabulate_detector:
    """Tabulate the face detector's precision, recall and average precision."""
    input:
        of_works("<results>/faces/{work}.detector.tsv"),
    output:
        report("<results>/tables/detector.tsv", caption="../report/detector.rst", category="Tables"),
        "<results>/tables/detector.md",
        "<results>/tables/detector.tex",
    log:
        "<logs>/tables/detector.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.tables.detector"),
    shell:
        "python -m egara.tables.detector" " --evaluations {input}" " --output {output}" " 2> {log}"


rule tabulate_pairs:
    """Tabulate distances within a kit, between kits of one author, and between authors."""
    input:
        gram=collect(
            "<results>/vectors/{cell}/{representation}.gram.npy",
            cell=CELLS,
            representation=REPRESENTATIONS,
            allow_missing=True,
        ),
        index=collect(
            "<results>/vectors/{cell}/{representation}.tsv",
            cell=CELLS,
            representation=REPRESENTATIONS,
            allow_missing=True,
        ),
        groups="<results>/volumes/groups.tsv",
    output:
        report("<results>/tables/pairs.tsv", caption="../report/pairs.rst", category="Tables"),
        "<results>/tables/pairs.md",
        "<results>/tables/pairs.tex",
    log:
        "<logs>/tables/pairs.log",
    priority: 1  # takes longer than others of its stage
    conda:
        "../../envs/tables.yaml"
    params:
        l2=L2,
        permutations=SETTINGS["scores"]["permutations"],
        seed=SEED,
        code=fingerprint("egara.tables.pairs"),
    shell:
        "python -m egara.tables.pairs"
        " --gram {input.gram}"
        " --index {input.index}"
        " --l2 {params.l2}"
        " --groups {input.groups}"
        " --permutations {params.permutations}"
        " --seed {params.seed}"
        " --output {output}"
        " 2> {log}"


rule tabulate_verdict:
    """Say in a sentence a row what the weights carry."""
    input:
        neighbours="<results>/tables/neighbours.tsv",
        pairs=["<results>/tables/pairs.tsv"] if CASTS else [],
        nulls=of_spaces("<results>/scores/{cell}/{representation}_l2~{l2}/nulls.npz"),
    output:
        report("<results>/tables/verdict.tsv", caption="../report/verdict.rst", category="Tables"),
        "<results>/tables/verdict.md",
        "<results>/tables/verdict.tex",
    log:
        "<logs>/tables/verdict.log",
    conda:
        "../../envs/tables.yaml"
    params:
        pairs=lambda wildcards, input: f" --pairs {input.pairs}" if CASTS else "",
        code=fingerprint("egara.tables.verdict"),
    shell:
        "python -m egara.tables.verdict"
        " --neighbours {input.neighbours}"
        "{params.pairs}"
        " --nulls {input.nulls}"
        " --output {output}"
        " 2> {log}"


rule draw_components:
    """Scatter components 1-2 and 41-42 (the paper's Figures 2-5)."""
    input:
        map="<results>/maps/{cell}/{representation}_l2~{l2}/{map}.tsv",
        variance="<results>/maps/{cell}/{representation}_l2~{l2}/{map}.variance.tsv",
    output:
        report(
            "<results>/figures/{cell}/{representation}_l2~{l2}/{map}.svg",
            caption="../report/components.rst",
            category="Figures",
            labels={"cell": "{cell}", "representation": "{representation}", "l2": "{l2}", "map": "{map}"},
        ),
    log:
        "<logs>/figures/{cell}/{representation}_l2~{l2}/{map}.log",
    wildcard_constraints:
        map="ipca|pca",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.figures.components"),
    shell:
        "python -m egara.figures.components"
        " --map {input.map}"
        " --variance {input.variance}"
        " --cell {wildcards.cell}"
        " --representation {wildcards.representation}"
        " --l2 {wildcards.l2}"
        " --method {wildcards.map}"
        " --output {output}"
        " 2> {log}"


rule draw_incremental:
    """Show how far IncrementalPCA is from exact PCA."""
    input:
        gram="<results>/vectors/{cell}/{representation}.gram.npy",
        index="<results>/vectors/{cell}/{representation}.tsv",
        ipca="<results>/maps/{cell}/{representation}_l2~{l2}/ipca.tsv",
        pca="<results>/maps/{cell}/{representation}_l2~{l2}/pca.tsv",
        variance=[
            "<results>/maps/{cell}/{representation}_l2~{l2}/ipca.variance.tsv",
            "<results>/maps/{cell}/{representation}_l2~{l2}/pca.variance.tsv",
        ],
    output:
        report(
            "<results>/figures/{cell}/{representation}_l2~{l2}/incremental.svg",
            caption="../report/incremental.rst",
            category="Figures",
            labels={"cell": "{cell}", "representation": "{representation}", "l2": "{l2}", "map": "ipca and pca"},
        ),
    log:
        "<logs>/figures/{cell}/{representation}_l2~{l2}/incremental.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.figures.incremental"),
    shell:
        "python -m egara.figures.incremental"
        " --gram {input.gram}"
        " --index {input.index}"
        " --ipca {input.ipca}"
        " --pca {input.pca}"
        " --variance {input.variance}"
        " --cell {wildcards.cell}"
        " --representation {wildcards.representation}"
        " --l2 {wildcards.l2}"
        " --output {output}"
        " 2> {log}"


rule draw_clusters:
    """Scatter UMAP coordinates with HDBSCAN's clusters."""
    input:
        map="<results>/maps/{cell}/{representation}_l2~{l2}/umap.tsv",
        clusters="<results>/clusters/{cell}/{representation}_l2~{l2}/hdbscan.tsv",
    output:
        report(
            "<results>/figures/{cell}/{representation}_l2~{l2}/umap.svg",
            caption="../report/umap.rst",
            category="Figures",
            labels={"cell": "{cell}", "representation": "{representation}", "l2": "{l2}", "map": "umap"},
        ),
    log:
        "<logs>/figures/{cell}/{representation}_l2~{l2}/umap.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.figures.clusters"),
    shell:
        "python -m egara.figures.clusters"
        " --map {input.map}"
        " --clusters {input.clusters}"
        " --name umap"
        " --cell {wildcards.cell}"
        " --representation {wildcards.representation}"
        " --l2 {wildcards.l2}"
        " --output {output}"
        " 2> {log}"


rule draw_distances:
    """Draw the distributions of distances within and between authors."""
    input:
        gram=collect(
            "<results>/vectors/{cell}/{representation}.gram.npy",
            representation=REPRESENTATIONS,
            allow_missing=True,
        ),
        index=collect(
            "<results>/vectors/{cell}/{representation}.tsv",
            representation=REPRESENTATIONS,
            allow_missing=True,
        ),
    output:
        report(
            "<results>/figures/{cell}/distances_l2~{l2}.svg",
            caption="../report/distances.rst",
            category="Figures",
            labels={"cell": "{cell}", "representation": "all", "l2": "{l2}", "map": "none"},
        ),
    log:
        "<logs>/figures/{cell}/distances_l2~{l2}.log",
    conda:
        "../../envs/tables.yaml"
    params:
        gram=lambda wildcards, input: [f"{n}={p}" for n, p in zip(REPRESENTATIONS, input.gram)],
        index=lambda wildcards, input: [f"{n}={p}" for n, p in zip(REPRESENTATIONS, input.index)],
        code=fingerprint("egara.figures.distances"),
    shell:
        "python -m egara.figures.distances"
        " --gram {params.gram}"
        " --index {params.index}"
        " --cell {wildcards.cell}"
        " --l2 {wildcards.l2}"
        " --output {output}"
        " 2> {log}"


rule draw_losses:
    """Draw the losses of all LoRAs of a cell while they trained."""
    input:
        "<results>/losses/{cell}.tsv",
    output:
        report(
            "<results>/figures/{cell}/losses.svg",
            caption="../report/losses.rst",
            category="Figures",
            labels={"cell": "{cell}", "representation": "none", "l2": "none", "map": "none"},
        ),
    log:
        "<logs>/figures/{cell}/losses.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.figures.losses"),
    shell:
        "python -m egara.figures.losses" " --losses {input}" " --cell {wildcards.cell}" " --output {output}" " 2> {log}"


rule draw_overview:
    """Draw all neighbour scores with their chance levels side by side."""
    input:
        "<results>/tables/neighbours.tsv",
    output:
        report("<results>/figures/overview.svg", caption="../report/overview.rst", category="Figures"),
    log:
        "<logs>/figures/overview.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.figures.overview"),
    shell:
        "python -m egara.figures.overview --neighbours {input} --output {output} 2> {log}"


TABLES = [
    "works",
    "environment",
    "cosine",
    "neighbours",
    "methods",
    "controls",
    "grid",
    "clusters",
    "overlap",
    "verdict",
]
TABLES += ["detector", "pairs"] if CASTS else []
TABLES += ["layers"] if LAYERS else []


rule gather_maps:
    """Gather all maps and neighbours, and faces where they may be shown, for the report's explorer."""
    input:
        maps=of_spaces("<results>/maps/{cell}/{representation}_l2~{l2}/umap.tsv"),
        exact=of_spaces("<results>/maps/{cell}/{representation}_l2~{l2}/pca.tsv"),
        incremental=collect(
            "<results>/maps/{cell}/{representation}_l2~{l2}/ipca.tsv",
            cell=CELLS,
            representation=[name for name in REPRESENTATIONS if name in FLAT],
            l2=L2,
            allow_missing=True,
        ),
        gram=of_spaces("<results>/vectors/{cell}/{representation}.gram.npy"),
        sets=of_works("<results>/sets/{work}.tsv") if SETTINGS["report"]["show_faces"] else [],
        crops=of_works("<results>/faces/{work}") if SETTINGS["report"]["show_faces"] else [],
    output:
        "<results>/explorer.json",
    log:
        "<logs>/explorer.log",
    conda:
        "../../envs/tables.yaml"
    params:
        vectors=lambda wildcards: f"{RESULTS}/vectors",
        spaces=lambda wildcards, input: [str(Path(path).parent) for path in input.maps],
        faces=lambda wildcards, input: (f" --sets {input.sets} --crops {input.crops}" if input.sets else ""),
        code=fingerprint("egara.explorer"),
    shell:
        "python -m egara.explorer"
        " --spaces {params.spaces}"
        " --vectors {params.vectors}"
        "{params.faces}"
        " --output {output}"
        " 2> {log}"


rule write_report:
    """Put everything on one self-contained page."""
    input:
        tables=collect("<results>/tables/{table}.tsv", table=TABLES, allow_missing=True),
        figures=figures_of,
        config="<results>/config.json",
        base="<results>/base/base.json",
        samples="<results>/base/samples.png",
        sheets=of_works("<results>/faces/{work}.png") if SETTINGS["report"]["show_faces"] else [],
        groups=GROUPS,
        explorer="<results>/explorer.json",
        parts=collect("workflow/egara/explorer/explorer.{ending}", ending=["css", "html", "js"]),
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<results>/benchmarks/report.tsv"
    conda:
        "../../envs/tables.yaml"
    params:
        corpus=CORPUS,
        benchmarks=lambda wildcards: f"{RESULTS}/benchmarks",
        sheets=lambda wildcards, input: (
            f"--show-faces --sheets {input.sheets}" if SETTINGS["report"]["show_faces"] else ""
        ),
        groups=lambda wildcards, input: f"--groups {input.groups}" if CASTS else "",
        seed=SEED,
        code=fingerprint("egara.report"),
    shell:
        "python -m egara.report"
        " --corpus {params.corpus}"
        " --tables {input.tables}"
        " --figures {input.figures}"
        " --config {input.config}"
        " --base {input.base}"
        " --samples {input.samples}"
        " {params.sheets}"
        " {params.groups}"
        " --explorer {input.explorer}"
        " --benchmarks {params.benchmarks}"
        " --seed {params.seed}"
        " --output {output}"
        " 2> {log}"
