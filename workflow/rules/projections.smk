"""Project the points: IncrementalPCA as published, exact PCA, UMAP.

Needs a Gram matrix and its index. Makes projections/{cell}/{representation}_l2~{l2}/{map}.tsv.
"""


rule map_incrementally:
    """Run the papers' IncrementalPCA in batches: on coordinates with the vectors' inner products, or on the vectors."""
    input:
        gram="<results>/spaces/{cell}/{representation}.gram.npy",
        index="<results>/spaces/{cell}/{representation}.tsv",
        matrix=["<results>/spaces/{cell}/{representation}.npy"] if MATRIX else [],
    output:
        map="<results>/projections/{cell}/{representation}_l2~{l2}/ipca.tsv",
        variance="<results>/projections/{cell}/{representation}_l2~{l2}/ipca.variance.tsv",
    log:
        "<logs>/projections/{cell}/{representation}_l2~{l2}/ipca.log",
    benchmark:
        "<results>/benchmarks/projections/{cell}/{representation}_l2~{l2}/ipca.tsv"
    conda:
        "../../envs/tables.yaml"
    params:
        components=SETTINGS["projections"]["n_components"],
        batch=SETTINGS["projections"]["batch_size"],
        matrix=lambda wildcards, input: ["--matrix", *input.matrix] if MATRIX else [],
        seed=SEED,
        code=fingerprint("egara.projections"),
    shell:
        "python -m egara.projections"
        " --map ipca"
        " --gram {input.gram:q}"
        " --index {input.index:q}"
        " {params.matrix:q}"
        " --l2 {wildcards.l2}"
        " --n-components {params.components:q}"
        " --batch-size {params.batch:q}"
        " --seed {params.seed:q}"
        " --output {output.map:q}"
        " --variance {output.variance:q}"
        " 2> {log:q}"


rule map_exactly:
    """Take the exact principal components from the Gram matrix."""
    input:
        gram="<results>/spaces/{cell}/{representation}.gram.npy",
        index="<results>/spaces/{cell}/{representation}.tsv",
    output:
        map="<results>/projections/{cell}/{representation}_l2~{l2}/pca.tsv",
        variance="<results>/projections/{cell}/{representation}_l2~{l2}/pca.variance.tsv",
    log:
        "<logs>/projections/{cell}/{representation}_l2~{l2}/pca.log",
    benchmark:
        "<results>/benchmarks/projections/{cell}/{representation}_l2~{l2}/pca.tsv"
    conda:
        "../../envs/tables.yaml"
    params:
        components=SETTINGS["projections"]["n_components"],
        seed=SEED,
        code=fingerprint("egara.projections"),
    shell:
        "python -m egara.projections"
        " --map pca"
        " --gram {input.gram:q}"
        " --index {input.index:q}"
        " --l2 {wildcards.l2}"
        " --n-components {params.components:q}"
        " --seed {params.seed:q}"
        " --output {output.map:q}"
        " --variance {output.variance:q}"
        " 2> {log:q}"


rule map_neighbourhoods:
    """Lay the points out in the plane by UMAP on their exact principal components."""
    input:
        gram="<results>/spaces/{cell}/{representation}.gram.npy",
        index="<results>/spaces/{cell}/{representation}.tsv",
    output:
        "<results>/projections/{cell}/{representation}_l2~{l2}/umap.tsv",
    log:
        "<logs>/projections/{cell}/{representation}_l2~{l2}/umap.log",
    benchmark:
        "<results>/benchmarks/projections/{cell}/{representation}_l2~{l2}/umap.tsv"
    conda:
        "../../envs/tables.yaml"
    params:
        components=SETTINGS["projections"]["n_components"],
        neighbours=SETTINGS["projections"]["n_neighbors"],
        min_dist=SETTINGS["projections"]["min_dist"],
        seed=SEED,
        code=fingerprint("egara.projections"),
    shell:
        "python -m egara.projections"
        " --map umap"
        " --gram {input.gram:q}"
        " --index {input.index:q}"
        " --l2 {wildcards.l2}"
        " --n-components {params.components:q}"
        " --n-neighbors {params.neighbours:q}"
        " --min-dist {params.min_dist:q}"
        " --seed {params.seed:q}"
        " --output {output:q}"
        " 2> {log:q}"
