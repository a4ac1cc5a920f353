"""Tables, as TSV, Markdown and LaTeX: ours beside the published numbers beside chance.

Needs pages, faces, sets, Gram matrices, clusters and scores. Makes tables/*.{tsv,md,tex}.
"""


rule tabulate_works:
    """Tabulate volumes, pages, faces and sets of each work, and what was left out (the paper's Table 1)."""
    input:
        pages=of_works("<results>/pages/{work}.tsv"),
        skipped=of_works("<results>/pages/{work}.skipped.tsv"),
        faces=of_works("<results>/faces/{work}.tsv"),
        faces_skipped=of_works("<results>/faces/{work}.skipped.tsv"),
        sets=of_works("<results>/sets/{work}.tsv"),
        published=own("resources/published/works.tsv"),
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
        " --pages {input.pages:q}"
        " --skipped {input.skipped:q}"
        " --faces {input.faces:q}"
        " --faces-skipped {input.faces_skipped:q}"
        " --sets {input.sets:q}"
        " --published {input.published:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule tabulate_environment:
    """Tabulate the machine and the versions of this run (the paper's Table 2)."""
    input:
        base="<results>/base/base.json",
        published=own("resources/published/environment.tsv"),
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
        " --base {input.base:q}"
        " --published {input.published:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule tabulate_cosine:
    """Tabulate mean cosine distances (the paper's Table 3)."""
    input:
        scores=of_spaces("<results>/scores/{cell}/{representation}_l2~{l2}/scores.tsv"),
        published=own("resources/published/cosine.tsv"),
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
        " --scores {input.scores:q}"
        " --published {input.published:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule tabulate_neighbours:
    """Tabulate Top-1 and Top-5 (the paper's Table 4)."""
    input:
        scores=of_spaces("<results>/scores/{cell}/{representation}_l2~{l2}/scores.tsv"),
        published=own("resources/published/neighbours.tsv"),
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
        " --scores {input.scores:q}"
        " --published {input.published:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule tabulate_grid:
    """Gather every score of the grid, corrected for their number, beside the published values."""
    input:
        scores=of_spaces("<results>/scores/{cell}/{representation}_l2~{l2}/scores.tsv"),
        published=[own("resources/published/cosine.tsv"), own("resources/published/neighbours.tsv")],
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
        " --scores {input.scores:q}"
        " --published {input.published:q}"
        " --output {output:q}"
        " 2> {log:q}"


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
        "python -m egara.tables.methods --scores {input:q} --output {output:q} 2> {log:q}"


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
        "python -m egara.tables.layers --layers {input:q} --output {output:q} 2> {log:q}"


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
        " --clusters {input:q}"
        " --permutations {params.permutations:q}"
        " --seed {params.seed:q}"
        " --output {output:q}"
        " 2> {log:q}"


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
        " --faces {input.faces:q}"
        " --sets {input.sets:q}"
        " --output {output:q}"
        " 2> {log:q}"


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
        "python -m egara.tables.detector" " --evaluations {input:q}" " --output {output:q}" " 2> {log:q}"


rule tabulate_pairs:
    """Tabulate distances within a kit, between kits of one author, and between authors."""
    input:
        gram=collect(
            "<results>/spaces/{cell}/{representation}.gram.npy",
            cell=CELLS,
            representation=REPRESENTATIONS,
            allow_missing=True,
        ),
        index=collect(
            "<results>/spaces/{cell}/{representation}.tsv",
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
        " --gram {input.gram:q}"
        " --index {input.index:q}"
        " --l2 {params.l2:q}"
        " --groups {input.groups:q}"
        " --permutations {params.permutations:q}"
        " --seed {params.seed:q}"
        " --output {output:q}"
        " 2> {log:q}"


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
        pairs=lambda wildcards, input: ["--pairs", *input.pairs] if CASTS else [],
        code=fingerprint("egara.tables.verdict"),
    shell:
        "python -m egara.tables.verdict"
        " --neighbours {input.neighbours:q}"
        " {params.pairs:q}"
        " --nulls {input.nulls:q}"
        " --output {output:q}"
        " 2> {log:q}"
