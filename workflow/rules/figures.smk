"""Figures: maps, distances, losses, layers and an overview of the scores.

Needs losses, Gram matrices, maps, clusters, scores and the table of neighbours. Makes figures/**.svg.
"""


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
        " --layers {input:q}"
        " --cell {wildcards.cell}"
        " --representation {wildcards.representation}"
        " --l2 {wildcards.l2}"
        " --output {output:q}"
        " 2> {log:q}"


rule draw_components:
    """Scatter components 1-2 and 41-42 (the paper's Figures 2-5)."""
    input:
        map="<results>/projections/{cell}/{representation}_l2~{l2}/{map}.tsv",
        variance="<results>/projections/{cell}/{representation}_l2~{l2}/{map}.variance.tsv",
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
        " --map {input.map:q}"
        " --variance {input.variance:q}"
        " --cell {wildcards.cell}"
        " --representation {wildcards.representation}"
        " --l2 {wildcards.l2}"
        " --method {wildcards.map}"
        " --output {output:q}"
        " 2> {log:q}"


rule draw_incremental:
    """Show how far IncrementalPCA is from exact PCA."""
    input:
        gram="<results>/spaces/{cell}/{representation}.gram.npy",
        index="<results>/spaces/{cell}/{representation}.tsv",
        ipca="<results>/projections/{cell}/{representation}_l2~{l2}/ipca.tsv",
        pca="<results>/projections/{cell}/{representation}_l2~{l2}/pca.tsv",
        variance=[
            "<results>/projections/{cell}/{representation}_l2~{l2}/ipca.variance.tsv",
            "<results>/projections/{cell}/{representation}_l2~{l2}/pca.variance.tsv",
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
        " --gram {input.gram:q}"
        " --index {input.index:q}"
        " --ipca {input.ipca:q}"
        " --pca {input.pca:q}"
        " --variance {input.variance:q}"
        " --cell {wildcards.cell}"
        " --representation {wildcards.representation}"
        " --l2 {wildcards.l2}"
        " --output {output:q}"
        " 2> {log:q}"


rule draw_clusters:
    """Scatter UMAP coordinates with HDBSCAN's clusters."""
    input:
        map="<results>/projections/{cell}/{representation}_l2~{l2}/umap.tsv",
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
        " --map {input.map:q}"
        " --clusters {input.clusters:q}"
        " --name umap"
        " --cell {wildcards.cell}"
        " --representation {wildcards.representation}"
        " --l2 {wildcards.l2}"
        " --output {output:q}"
        " 2> {log:q}"


rule draw_distances:
    """Draw the distributions of distances within and between authors."""
    input:
        gram=collect(
            "<results>/spaces/{cell}/{representation}.gram.npy",
            representation=REPRESENTATIONS,
            allow_missing=True,
        ),
        index=collect(
            "<results>/spaces/{cell}/{representation}.tsv",
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
        " --gram {params.gram:q}"
        " --index {params.index:q}"
        " --cell {wildcards.cell}"
        " --l2 {wildcards.l2}"
        " --output {output:q}"
        " 2> {log:q}"


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
        "python -m egara.figures.losses"
        " --losses {input:q}"
        " --cell {wildcards.cell}"
        " --output {output:q}"
        " 2> {log:q}"


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
        "python -m egara.figures.overview --neighbours {input:q} --output {output:q} 2> {log:q}"
