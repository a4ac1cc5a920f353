"""Let a person see whether LoRAs took on the style.

Not part of `all`: `snakemake samples` draws with the first LoRA of every work, off and at rising strengths. Needs
base/base.json, LoRAs, and for crops at the left sets and faces. Makes samples/{cell}.png, which enters no report.
"""

CROPS_SHOWN = SETTINGS["report"]["show_faces"]


rule samples:
    """Draw the grid of samples of every cell."""
    input:
        collect("results/{corpus}/samples/{cell}.png", corpus=CORPUS, cell=CELLS),


rule sample_loras:
    """Draw with the first LoRA of every work of a cell, off and at rising strengths."""
    input:
        base="results/{corpus}/base/base.json",
        loras=collect(
            "results/{corpus}/loras/{cell}/{work}/{set}.safetensors",
            work=WORKS,
            set=SETS[0],
            allow_missing=True,
        ),
        sets=of_works("results/{corpus}/sets/{work}.tsv") if CROPS_SHOWN else [],
        crops=of_works("results/{corpus}/faces/{work}") if CROPS_SHOWN else [],
    output:
        "results/{corpus}/samples/{cell}.png",
    log:
        "logs/{corpus}/samples/{cell}.log",
    benchmark:
        "results/{corpus}/benchmarks/samples/{cell}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        device=SETTINGS["machine"]["device"],
    params:
        rows=rows_of_samples,
        crops=lambda wildcards: (
            f" --sets results/{wildcards.corpus}/sets --crops results/{wildcards.corpus}/faces"
            f" --resample {SETTINGS['training']['resample']}"
            if CROPS_SHOWN
            else ""
        ),
        strengths=SETTINGS["samples"]["strengths"],
        pictures=SETTINGS["samples"]["count"],
        resolution=lambda wildcards: parse_cell(wildcards.cell)["resolution"],
        steps=SETTINGS["samples"]["steps"],
        guidance=SETTINGS["samples"]["guidance"],
        seed=SEED,
        code=fingerprint("egara.loras.samples"),
    shell:
        "python -m egara.loras.samples"
        " --base {input.base}"
        " --folder results/{wildcards.corpus}/loras/{wildcards.cell}"
        " --rows {params.rows:q}"
        " --cell {wildcards.cell}"
        "{params.crops}"
        " --strengths {params.strengths}"
        " --count {params.pictures}"
        " --resolution {params.resolution}"
        " --steps {params.steps}"
        " --guidance {params.guidance}"
        " --seed {params.seed}"
        " --device {resources.device}"
        " --threads {threads}"
        " --output {output}"
        " 2> {log}"
