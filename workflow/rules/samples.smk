"""Sample images with and without each LoRA.

Not part of `all`: `snakemake samples` samples with the first LoRA of every work, off and at rising scales. Needs
base/base.json, LoRAs, and sets and faces for the training crops. Makes samples/{cell}.png, which is not in the report.
"""

CROPS_SHOWN = SETTINGS["report"]["show_faces"]


rule samples:
    """Sample the grid of images of every cell."""
    input:
        collect("<results>/samples/{cell}.png", cell=CELLS),


rule sample_loras:
    """Sample with the first LoRA of every work of a cell, off and at rising scales."""
    input:
        base="<results>/base/base.json",
        loras=collect(
            "<results>/loras/{cell}/{work}/{set}.safetensors",
            work=WORKS,
            set=SETS[0],
            allow_missing=True,
        ),
        sets=per_work("<results>/sets/{work}.tsv") if CROPS_SHOWN else [],
        crops=per_work("<results>/faces/{work}") if CROPS_SHOWN else [],
    output:
        "<results>/samples/{cell}.png",
    log:
        "<logs>/samples/{cell}.log",
    benchmark:
        "<results>/benchmarks/samples/{cell}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        device=SETTINGS["machine"]["device"],
    params:
        folder=lambda wildcards, input: str(Path(input.loras[0]).parents[1]),
        rows=get_sample_rows,
        crops=lambda wildcards, input: (
            ["--sets", str(Path(input.sets[0]).parent), "--crops", str(Path(input.crops[0]).parent)]
            + ["--image-interpolation-mode", SETTINGS["training"]["image_interpolation_mode"]]
            if CROPS_SHOWN
            else []
        ),
        scales=SETTINGS["samples"]["lora_scales"],
        images=SETTINGS["samples"]["num_images"],
        resolution=lambda wildcards: parse_cell(wildcards.cell)["resolution"],
        steps=SETTINGS["samples"]["num_inference_steps"],
        guidance=SETTINGS["samples"]["guidance_scale"],
        seed=SEED,
        code=fingerprint("egara.samples.loras"),
    shell:
        "egara samples loras"
        " --base {input.base:q}"
        " --folder {params.folder:q}"
        " --rows {params.rows:q}"
        " --cell {wildcards.cell:q}"
        " {params.crops:q}"
        " --lora-scales {params.scales:q}"
        " --num-images {params.images:q}"
        " --resolution {params.resolution:q}"
        " --num-inference-steps {params.steps:q}"
        " --guidance-scale {params.guidance:q}"
        " --seed {params.seed:q}"
        " --device {resources.device:q}"
        " --threads {threads}"
        " --output {output:q}"
        " 2> {log:q}"
