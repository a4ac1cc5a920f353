"""Score the points: what the weights carry, each score with its chance level and a permutation p-value.

Needs Gram matrices, their projections and clusters. Makes scores/{cell}/{representation}_l2~{l2}/: scores.tsv with
nulls.npz, clusters.tsv and, where works belong to series, series.tsv; from the Gram matrices of layers,
scores/{cell}/{representation}.layers.tsv.
"""


rule score:
    """Score one representation of one cell."""
    input:
        unpack(linear_maps),
        gram="<results>/spaces/{cell}/{representation}.gram.npy",
        index="<results>/spaces/{cell}/{representation}.tsv",
    output:
        scores="<results>/scores/{cell}/{representation}_l2~{l2}/scores.tsv",
        nulls="<results>/scores/{cell}/{representation}_l2~{l2}/nulls.npz",
    log:
        "<logs>/scores/{cell}/{representation}_l2~{l2}.log",
    benchmark:
        "<results>/benchmarks/scores/{cell}/{representation}_l2~{l2}.tsv"
    conda:
        "../../envs/tables.yaml"
    params:
        maps=lambda wildcards, input: [f"{name}={input[name]}" for name in linear_maps(wildcards)],
        permutations=SETTINGS["scores"]["permutations"],
        seed=SEED,
        code=fingerprint("egara.scores"),
    shell:
        "egara scores"
        " --gram {input.gram:q}"
        " --index {input.index:q}"
        " --cell {wildcards.cell:q}"
        " --representation {wildcards.representation:q}"
        " --l2 {wildcards.l2:q}"
        " --maps {params.maps:q}"
        " --permutations {params.permutations:q}"
        " --seed {params.seed:q}"
        " --output {output.scores:q}"
        " --nulls {output.nulls:q}"
        " 2> {log:q}"


rule score_groups:
    """Compare groups of LoRAs with works and authors: HDBSCAN's clusters, or the series of the works table."""
    input:
        unpack(groups_inputs),
    output:
        "<results>/scores/{cell}/{representation}_l2~{l2}/{groups}.tsv",
    log:
        "<logs>/scores/{cell}/{representation}_l2~{l2}.{groups}.log",
    wildcard_constraints:
        groups="clusters|series",
    conda:
        "../../envs/tables.yaml"
    params:
        files=lambda wildcards, input: [word for kind, file in input.items() for word in (f"--{kind}", file)],
        series=lambda wildcards: ["--series", as_json(SERIES)] if wildcards.groups == "series" else [],
        permutations=SETTINGS["scores"]["permutations"],
        seed=SEED,
        code=lambda wildcards: fingerprint(f"egara.scores.{wildcards.groups}"),
    shell:
        "egara scores {wildcards.groups:q}"
        " {params.files:q}"
        " {params.series:q}"
        " --cell {wildcards.cell:q}"
        " --representation {wildcards.representation:q}"
        " --l2 {wildcards.l2:q}"
        " --permutations {params.permutations:q}"
        " --seed {params.seed:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule score_layers:
    """Score every layer of one cell alone, and layers of one position or kind together."""
    input:
        "<results>/spaces/{cell}/{representation}.layers.npz",
    output:
        "<results>/scores/{cell}/{representation}.layers.tsv",
    log:
        "<logs>/scores/{cell}/{representation}.layers.log",
    benchmark:
        "<results>/benchmarks/scores/{cell}/{representation}.layers.tsv"
    wildcard_constraints:
        representation="|".join(map(re.escape, representations.REPRESENTATIONS)),
    conda:
        "../../envs/tables.yaml"
    params:
        l2=L2,
        permutations=SETTINGS["scores"]["permutations"],
        seed=SEED,
        code=fingerprint("egara.scores.layers"),
    shell:
        "egara scores layers"
        " --grams {input:q}"
        " --cell {wildcards.cell:q}"
        " --representation {wildcards.representation:q}"
        " --l2 {params.l2:q}"
        " --permutations {params.permutations:q}"
        " --seed {params.seed:q}"
        " --output {output:q}"
        " 2> {log:q}"
