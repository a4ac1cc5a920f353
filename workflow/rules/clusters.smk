"""Cluster the maps with HDBSCAN.

Needs maps/{cell}/{representation}_l2~{l2}/. Makes clusters/{cell}/{representation}_l2~{l2}/hdbscan.tsv.
"""


rule cluster_maps:
    """Cluster exact PCA and UMAP coordinates."""
    input:
        pca="<results>/maps/{cell}/{representation}_l2~{l2}/pca.tsv",
        umap="<results>/maps/{cell}/{representation}_l2~{l2}/umap.tsv",
    output:
        "<results>/clusters/{cell}/{representation}_l2~{l2}/hdbscan.tsv",
    log:
        "<logs>/clusters/{cell}/{representation}_l2~{l2}.log",
    benchmark:
        "<results>/benchmarks/clusters/{cell}/{representation}_l2~{l2}.tsv"
    conda:
        "../../envs/tables.yaml"
    params:
        min_cluster_size=SETTINGS["clusters"]["min_cluster_size"],
        min_samples=SETTINGS["clusters"]["min_samples"],
        code=fingerprint("egara.clusters"),
    shell:
        "python -m egara.clusters"
        " --maps pca={input.pca} umap={input.umap}"
        " --min-cluster-size {params.min_cluster_size}"
        " --min-samples {params.min_samples}"
        " --output {output}"
        " 2> {log}"
