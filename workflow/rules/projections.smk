"""Project the points: IncrementalPCA as published, exact PCA, UMAP.

Needs a Gram matrix and its index. Makes projections/{cell}/{representation}_l2~{l2}/{projection}.tsv, and the variance
of the principal components: those of the projection, or those that UMAP starts from.
"""

# Options of each projection besides the number of components.
PROJECTION_OPTIONS = {
    "ipca": ["--batch-size", SETTINGS["projections"]["batch_size"]],
    "pca": [],
    "umap": [
        "--n-neighbors",
        SETTINGS["projections"]["n_neighbors"],
        "--min-dist",
        SETTINGS["projections"]["min_dist"],
    ],
}


rule project:
    """Project the points of a space by IncrementalPCA, exact PCA or UMAP."""
    input:
        gram="<results>/spaces/{cell}/{representation}.gram.npy",
        index="<results>/spaces/{cell}/{representation}.tsv",
        matrix=lambda wildcards: (
            ["<results>/spaces/{cell}/{representation}.npy"] if MATRIX and wildcards.projection == "ipca" else []
        ),
    output:
        points="<results>/projections/{cell}/{representation}_l2~{l2}/{projection}.tsv",
        variance="<results>/projections/{cell}/{representation}_l2~{l2}/{projection}.variance.tsv",
    log:
        "<logs>/projections/{cell}/{representation}_l2~{l2}/{projection}.log",
    benchmark:
        "<results>/benchmarks/projections/{cell}/{representation}_l2~{l2}/{projection}.tsv"
    conda:
        "../../envs/tables.yaml"
    params:
        components=SETTINGS["projections"]["n_components"],
        options=lambda wildcards: PROJECTION_OPTIONS[wildcards.projection],
        matrix=lambda wildcards, input: ["--matrix", *input.matrix] if input.matrix else [],
        seed=SEED,
        code=fingerprint("egara.projections"),
    shell:
        "egara projections"
        " --map {wildcards.projection:q}"
        " --gram {input.gram:q}"
        " --index {input.index:q}"
        " {params.matrix:q}"
        " --l2 {wildcards.l2:q}"
        " --n-components {params.components:q}"
        " {params.options:q}"
        " --seed {params.seed:q}"
        " --output {output.points:q}"
        " --variance {output.variance:q}"
        " 2> {log:q}"
