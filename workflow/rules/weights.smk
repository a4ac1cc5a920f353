"""Turn LoRAs into points of a space: what counts downstream is their exact Gram matrix.

Needs all LoRAs of a cell. Makes spaces/{cell}/{representation}.gram.npy with its index; factors, the
papers' vectors, and sketches also as a memory-mapped matrix, where IncrementalPCA is to read it; {representation}.layers.npz for layers.
"""


rule flatten_loras:
    """Make one vector a LoRA, factors or sketch, stack them, and take all inner products."""
    input:
        loras_of_cell,
    output:
        gram="<results>/spaces/{cell}/{representation}.gram.npy",
        index="<results>/spaces/{cell}/{representation}.tsv",
        matrix="<results>/spaces/{cell}/{representation}.npy",
    log:
        "<logs>/spaces/{cell}/{representation}.log",
    benchmark:
        "<results>/benchmarks/spaces/{cell}/{representation}.tsv"
    wildcard_constraints:
        representation="|".join(FLAT) if MATRIX else "none",
    conda:
        "../../envs/tables.yaml"
    params:
        folder=lambda wildcards, input: str(Path(input[0]).parents[1]),
        works=list(WORKS),
        sets=lambda wildcards: len(sets_of(wildcards.cell)),
        code=fingerprint("egara.weights"),
    shell:
        "python -m egara.weights"
        " --folder {params.folder:q}"
        " --works {params.works:q}"
        " --sets {params.sets:q}"
        " --representation {wildcards.representation}"
        " --cache results/store/products"
        " --gram {output.gram:q}"
        " --index {output.index:q}"
        " --matrix {output.matrix:q}"
        " 2> {log:q}"


ruleorder: sum_layers > flatten_loras > compare_loras


rule compare_loras:
    """Take all inner products of another representation, exactly and without forming an update."""
    input:
        loras_of_cell,
    output:
        gram="<results>/spaces/{cell}/{representation}.gram.npy",
        index="<results>/spaces/{cell}/{representation}.tsv",
    log:
        "<logs>/spaces/{cell}/{representation}.log",
    benchmark:
        "<results>/benchmarks/spaces/{cell}/{representation}.tsv"
    conda:
        "../../envs/tables.yaml"
    params:
        folder=lambda wildcards, input: str(Path(input[0]).parents[1]),
        works=list(WORKS),
        sets=lambda wildcards: len(sets_of(wildcards.cell)),
        code=fingerprint("egara.weights"),
    shell:
        "python -m egara.weights"
        " --folder {params.folder:q}"
        " --works {params.works:q}"
        " --sets {params.sets:q}"
        " --representation {wildcards.representation}"
        " --cache results/store/products"
        " --gram {output.gram:q}"
        " --index {output.index:q}"
        " 2> {log:q}"


rule compare_layers:
    """Take all inner products of every layer alone."""
    input:
        loras_of_cell,
    output:
        "<results>/spaces/{cell}/{representation}.layers.npz",
    log:
        "<logs>/spaces/{cell}/{representation}.layers.log",
    benchmark:
        "<results>/benchmarks/spaces/{cell}/{representation}.layers.tsv"
    wildcard_constraints:
        representation="[a-z]+",
    conda:
        "../../envs/tables.yaml"
    params:
        folder=lambda wildcards, input: str(Path(input[0]).parents[1]),
        works=list(WORKS),
        sets=len(SETS),
        code=fingerprint("egara.weights.layer_grams"),
    shell:
        "python -m egara.weights.layer_grams"
        " --folder {params.folder:q}"
        " --works {params.works:q}"
        " --sets {params.sets:q}"
        " --representation {wildcards.representation}"
        " --cache results/store/products"
        " --output {output:q}"
        " 2> {log:q}"


rule sum_layers:
    """Sum the inner products of layers where they are kept anyway."""
    input:
        "<results>/spaces/{cell}/delta.layers.npz",
    output:
        gram="<results>/spaces/{cell}/{representation}.gram.npy",
        index="<results>/spaces/{cell}/{representation}.tsv",
    log:
        "<logs>/spaces/{cell}/{representation}.log",
    benchmark:
        "<results>/benchmarks/spaces/{cell}/{representation}.tsv"
    wildcard_constraints:
        cell="|".join(map(re.escape, CELLS)),
        representation="delta|delta-layerwise|norms" if "delta" in LAYERS else "none",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.weights.sums"),
    shell:
        "python -m egara.weights.sums"
        " --layers {input:q}"
        " --representation {wildcards.representation}"
        " --gram {output.gram:q}"
        " --index {output.index:q}"
        " 2> {log:q}"
