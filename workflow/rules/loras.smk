"""Train one LoRA per set and cell over the frozen base.

Needs sets/{work}.tsv, the crops and base/base.json. Makes latents, caption embeddings,
loras/{cell}/{work}/{set}.safetensors and losses/{cell}.tsv. The cell never depends on l2, representation or map. Device and pack are
resources, which Snakemake does not compare between runs: another machine trains nothing anew.
"""

GPUS = 0 if SETTINGS["machine"]["device"] == "cpu" else 1


rule encode_faces:
    """Encode all faces of a work's sets once for all cells of a resolution; what the cache holds is not encoded again."""
    input:
        sets="results/{corpus}/sets/{work}.tsv",
        crops="results/{corpus}/faces/{work}",
        base="results/{corpus}/base/base.json",
    output:
        "results/{corpus}/latents/resolution~{resolution}/{work}.safetensors",
    log:
        "logs/{corpus}/latents/resolution~{resolution}/{work}.log",
    benchmark:
        "results/{corpus}/benchmarks/latents/resolution~{resolution}/{work}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        device=SETTINGS["machine"]["device"],
    params:
        resample=SETTINGS["training"]["resample"],
        code=fingerprint("egara.loras.latents"),
    shell:
        "python -m egara.loras.latents"
        " --sets {input.sets}"
        " --crops {input.crops}"
        " --base {input.base}"
        " --resolution {wildcards.resolution}"
        " --resample {params.resample}"
        " --device {resources.device}"
        " --threads {threads}"
        " --cache results/store/latents"
        " --output {output}"
        " 2> {log}"


rule embed_captions:
    """Tokenize and embed the captions of all works under one token policy."""
    input:
        "results/{corpus}/base/base.json",
    output:
        "results/{corpus}/captions/token~{token}.safetensors",
    log:
        "logs/{corpus}/captions/token~{token}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        captions=lambda wildcards: as_json(sorted({caption_of(wildcards.token, name) for name in WORKS})),
        code=fingerprint("egara.loras.embeddings"),
    shell:
        "python -m egara.loras.embeddings"
        " --captions {params.captions:q}"
        " --base {input}"
        " --cache results/store/captions"
        " --output {output}"
        " 2> {log}"


rule train_loras:
    """Train the LoRAs of all sets of one work in one cell, in one process."""
    input:
        unpack(material_of),
        captions=lambda wildcards: (
            f"results/{wildcards.corpus}/captions/token~{parse_cell(wildcards.cell)['token']}.safetensors"
        ),
        base="results/{corpus}/base/base.json",
    output:
        collect("results/{corpus}/loras/{cell}/{work}/{set}.safetensors", set=SETS, allow_missing=True),
    log:
        "logs/{corpus}/loras/{cell}/{work}.log",
    benchmark:
        "results/{corpus}/benchmarks/loras/{cell}/{work}.tsv"
    wildcard_constraints:
        cell="|".join(map(re.escape, CELLS)),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        device=SETTINGS["machine"]["device"],
        pack=SETTINGS["machine"]["pack"],
        checkpoint=SETTINGS["machine"]["checkpoint"],
        extras=training_extras(),
    params:
        author=lambda wildcards: WORKS[wildcards.work].author,
        token=lambda wildcards: parse_cell(wildcards.cell)["token"],
        caption=lambda wildcards: caption_of(parse_cell(wildcards.cell)["token"], wildcards.work),
        settings=training_of,
        stored_as=SETTINGS["stored_as"],
        code=fingerprint("egara.loras"),
    shell:
        "python -m egara.loras"
        " --sets {input.sets}"
        " --latents {input.latents}"
        " --captions {input.captions}"
        " --base {input.base}"
        " --author {params.author:q}"
        " --work {wildcards.work}"
        " --token {params.token}"
        " --caption {params.caption:q}"
        " --settings {params.settings:q}"
        " --stored-as {params.stored_as}"
        " --pack {resources.pack}"
        " --checkpoint {resources.checkpoint}"
        " {resources.extras}"
        " --device {resources.device}"
        " --threads {threads}"
        " --store results/store"
        " --output results/{wildcards.corpus}/loras/{wildcards.cell}/{wildcards.work}"
        " 2> {log}"


rule gather_losses:
    """Gather the losses that all LoRAs of a cell carry in their headers."""
    input:
        loras_of_cell,
    output:
        "results/{corpus}/losses/{cell}.tsv",
    log:
        "logs/{corpus}/losses/{cell}.log",
    conda:
        "../../envs/tables.yaml"
    params:
        works=list(WORKS),
        sets=len(SETS),
        code=fingerprint("egara.loras.losses"),
    shell:
        "python -m egara.loras.losses"
        " --folder results/{wildcards.corpus}/loras/{wildcards.cell}"
        " --works {params.works}"
        " --sets {params.sets}"
        " --output {output}"
        " 2> {log}"
