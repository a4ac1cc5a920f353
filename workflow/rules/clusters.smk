"""Cluster the projections with HDBSCAN.

Needs projections/{cell}/{representation}_l2~{l2}/. Makes clusters/{cell}/{representation}_l2~{l2}/hdbscan.tsv.
"""


rule cluster:
    """Cluster exact PCA coordinates, and UMAP's where there are enough LoRAs for it."""
    input:
        unpack(clustered_maps),
    output:
        "<results>/clusters/{cell}/{representation}_l2~{l2}/hdbscan.tsv",
    log:
        "<logs>/clusters/{cell}/{representation}_l2~{l2}.log",
    benchmark:
        "<results>/benchmarks/clusters/{cell}/{representation}_l2~{l2}.tsv"
    conda:
        "../../envs/tables.yaml"
    params:
        maps=lambda wildcards, input: [f"{name}={input[name]}" for name in clustered_maps(wildcards)],
        min_cluster_size=SETTINGS["clusters"]["min_cluster_size"],
        min_samples=SETTINGS["clusters"]["min_samples"],
        code=fingerprint("egara.clusters"),
    shell:
        "egara clusters"
        " --maps {params.maps:q}"
        " --min-cluster-size {params.min_cluster_size:q}"
        " --min-samples {params.min_samples:q}"
        " --output {output:q}"
        " 2> {log:q}"
