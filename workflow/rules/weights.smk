"""Turn LoRAs into points of a space: what counts downstream is their exact Gram matrix.

Needs all LoRAs of a cell. Makes spaces/{cell}/{representation}.gram.npy with its index, {representation}.layers.npz
with one Gram matrix per layer, and the vectors themselves, {representation}.npy, where IncrementalPCA is to read them.
"""


rule compute_gram:
    """Compute all inner products of a representation, exactly: from the LoRAs, or from the layers' where those are made."""
    input:
        gram_inputs,
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
        source=gram_source,
        code=fingerprint("egara.weights"),
    shell:
        "egara weights"
        " {params.source:q}"
        " --representation {wildcards.representation:q}"
        " --cache results/store/products"
        " --gram {output.gram:q}"
        " --index {output.index:q}"
        " 2> {log:q}"


rule compute_layer_grams:
    """Compute all inner products of each layer alone."""
    input:
        loras_of_cell,
    output:
        "<results>/spaces/{cell}/{representation}.layers.npz",
    log:
        "<logs>/spaces/{cell}/{representation}.layers.log",
    benchmark:
        "<results>/benchmarks/spaces/{cell}/{representation}.layers.tsv"
    wildcard_constraints:
        representation="|".join(representations.REPRESENTATIONS),
    conda:
        "../../envs/tables.yaml"
    params:
        source=lora_source,
        code=fingerprint("egara.weights.layer_grams"),
    shell:
        "egara weights layer_grams"
        " {params.source:q}"
        " --representation {wildcards.representation:q}"
        " --cache results/store/products"
        " --output {output:q}"
        " 2> {log:q}"


rule flatten_loras:
    """Write the vectors, one row per LoRA, as the paper's IncrementalPCA reads them."""
    input:
        loras_of_cell,
    output:
        "<results>/spaces/{cell}/{representation}.npy",
    log:
        "<logs>/spaces/{cell}/{representation}.vectors.log",
    benchmark:
        "<results>/benchmarks/spaces/{cell}/{representation}.vectors.tsv"
    wildcard_constraints:
        representation="|".join(name for name, one in representations.REPRESENTATIONS.items() if one.vectors),
    conda:
        "../../envs/tables.yaml"
    params:
        source=lora_source,
        code=fingerprint("egara.weights.vectors"),
    shell:
        "egara weights vectors"
        " {params.source:q}"
        " --representation {wildcards.representation:q}"
        " --output {output:q}"
        " 2> {log:q}"
