"""Train one LoRA per set and cell over the frozen base.

Needs sets/{work}.tsv, the crops and base/base.json. Makes latents, caption embeddings,
loras/{cell}/{work}/{set}.safetensors and losses/{cell}.tsv. A cell never depends on l2, representation or projection.
Device and pack are resources, which Snakemake does not compare between runs: another machine retrains nothing.
"""


rule encode_faces:
    """Encode all faces of a work's sets once for all cells of a resolution; what the cache holds is not encoded again."""
    input:
        sets="<results>/sets/{work}.tsv",
        crops="<results>/faces/{work}",
        base="<results>/base/base.json",
    output:
        "<results>/latents/resolution~{resolution}/{work}.safetensors",
    log:
        "<logs>/latents/resolution~{resolution}/{work}.log",
    benchmark:
        "<results>/benchmarks/latents/resolution~{resolution}/{work}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        device=SETTINGS["machine"]["device"],
    params:
        interpolation=SETTINGS["training"]["image_interpolation_mode"],
        code=fingerprint("egara.loras.encoding.latents"),
    shell:
        "egara loras encoding latents"
        " --sets {input.sets:q}"
        " --crops {input.crops:q}"
        " --base {input.base:q}"
        " --resolution {wildcards.resolution:q}"
        " --image-interpolation-mode {params.interpolation:q}"
        " --device {resources.device:q}"
        " --threads {threads}"
        " --cache results/store/latents"
        " --output {output:q}"
        " 2> {log:q}"


rule embed_captions:
    """Tokenize and embed the captions of all works under one token policy."""
    input:
        "<results>/base/base.json",
    output:
        "<results>/captions/token~{token}.safetensors",
    log:
        "<logs>/captions/token~{token}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        captions=lambda wildcards: as_json(sorted({caption_of(wildcards.token, name) for name in WORKS})),
        code=fingerprint("egara.loras.encoding.captions"),
    shell:
        "egara loras encoding captions"
        " --captions {params.captions:q}"
        " --base {input:q}"
        " --cache results/store/captions"
        " --output {output:q}"
        " 2> {log:q}"


rule train_loras:
    """Train the LoRAs of all sets of one work in one cell, in one process."""
    input:
        unpack(get_training_inputs),
        captions=lambda wildcards: f"<results>/captions/token~{parse_cell(wildcards.cell)['token']}.safetensors",
        base="<results>/base/base.json",
    output:
        collect("<results>/loras/{cell}/{work}/{set}.safetensors", set=SETS, allow_missing=True),
        losses="<results>/losses/{cell}/{work}.tsv",
    log:
        "<logs>/loras/{cell}/{work}.log",
    benchmark:
        "<results>/benchmarks/loras/{cell}/{work}.tsv"
    wildcard_constraints:
        cell="|".join(map(re.escape, CELLS)),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        device=SETTINGS["machine"]["device"],
        pack=SETTINGS["machine"]["pack"],
        checkpoint=SETTINGS["machine"]["checkpoint_minutes"],
        gradient_checkpointing=str(SETTINGS["machine"]["gradient_checkpointing"]).lower(),
        compile="--compile" if SETTINGS["machine"]["compile"] else "--no-compile",
    params:
        folder=lambda wildcards, output: str(Path(output[0]).parent),
        author=lambda wildcards: WORKS[wildcards.work].author,
        token=lambda wildcards: parse_cell(wildcards.cell)["token"],
        caption=lambda wildcards: caption_of(parse_cell(wildcards.cell)["token"], wildcards.work),
        settings=get_training_settings,
        save_dtype=SETTINGS["save_dtype"],
        code=fingerprint("egara.loras"),
    shell:
        "egara loras"
        " --sets {input.sets:q}"
        " --latents {input.latents:q}"
        " --captions {input.captions:q}"
        " --base {input.base:q}"
        " --author={params.author:q}"
        " --work {wildcards.work:q}"
        " --token {params.token:q}"
        " --caption={params.caption:q}"
        " --settings {params.settings:q}"
        " --save-dtype {params.save_dtype:q}"
        " --pack {resources.pack:q}"
        " --checkpoint-minutes {resources.checkpoint:q}"
        " --gradient-checkpointing {resources.gradient_checkpointing:q}"
        " {resources.compile:q}"
        " --device {resources.device:q}"
        " --threads {threads}"
        " --store results/store"
        " --output {params.folder:q}"
        " --losses {output.losses:q}"
        " 2> {log:q}"


rule gather_losses:
    """Gather the losses of all works of a cell."""
    input:
        per_work("<results>/losses/{cell}/{work}.tsv"),
    output:
        "<results>/losses/{cell}.tsv",
    log:
        "<logs>/losses/{cell}.log",
    conda:
        "../../envs/tables.yaml"
    params:
        code=fingerprint("egara.loras.training.losses"),
    shell:
        "egara loras training losses --losses {input:q} --output {output:q} 2> {log:q}"
