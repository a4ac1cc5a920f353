"""Score distances and neighbours, each beside its chance level and a permutation p-value.

Needs a Gram matrix and its linear maps. Makes scores/{cell}/{representation}_l2~{l2}/: scores.tsv and
nulls.npz; from the Gram matrices of layers, scores/{cell}/{representation}.layers.tsv.
"""


rule score:
    """Score one representation of one cell."""
    input:
        unpack(linear_maps),
        gram="<results>/vectors/{cell}/{representation}.gram.npy",
        index="<results>/vectors/{cell}/{representation}.tsv",
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
        maps=lambda wildcards: " ".join(f"{name}={path}" for name, path in linear_maps(wildcards).items()),
        permutations=SETTINGS["scores"]["permutations"],
        seed=SEED,
        code=fingerprint("egara.scores"),
    shell:
        "python -m egara.scores"
        " --gram {input.gram}"
        " --index {input.index}"
        " --cell {wildcards.cell}"
        " --representation {wildcards.representation}"
        " --l2 {wildcards.l2}"
        " --maps {params.maps}"
        " --permutations {params.permutations}"
        " --seed {params.seed}"
        " --output {output.scores}"
        " --nulls {output.nulls}"
        " 2> {log}"


rule score_layers:
    """Score every layer of one cell alone, and layers of one position or kind together."""
    input:
        "<results>/vectors/{cell}/{representation}.layers.npz",
    output:
        "<results>/scores/{cell}/{representation}.layers.tsv",
    log:
        "<logs>/scores/{cell}/{representation}.layers.log",
    benchmark:
        "<results>/benchmarks/scores/{cell}/{representation}.layers.tsv"
    wildcard_constraints:
        representation="[a-z]+",
    conda:
        "../../envs/tables.yaml"
    params:
        l2=L2,
        permutations=SETTINGS["scores"]["permutations"],
        seed=SEED,
        code=fingerprint("egara.scores.layers"),
    shell:
        "python -m egara.scores.layers"
        " --grams {input}"
        " --cell {wildcards.cell}"
        " --representation {wildcards.representation}"
        " --l2 {params.l2}"
        " --permutations {params.permutations}"
        " --seed {params.seed}"
        " --output {output}"
        " 2> {log}"
