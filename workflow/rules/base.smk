"""Describe the base model that LoRAs are trained on, and sample images from it.

Needs a folder in diffusers' layout or a hub id. Makes base/base.json and base/samples.png.
"""


rule describe_base:
    """Find the base model and hash its parts."""
    input:
        lambda wildcards: BASE_FILES,
    output:
        "<results>/base/base.json",
    log:
        "<logs>/base/base.log",
    conda:
        "../../envs/torch.yaml"
    params:
        base=verbatim(SETTINGS["base"]),
        code=fingerprint("egara.loras.base.find"),
    shell:
        "egara loras base find --base={params.base:q} --output {output:q} 2> {log:q}"


rule sample_base:
    """Sample images from the base model without a LoRA."""
    input:
        "<results>/base/base.json",
    output:
        report(
            "<results>/base/samples.png",
            caption="../report/samples.rst",
            category="Base model",
        ),
    log:
        "<logs>/base/samples.log",
    benchmark:
        "<results>/benchmarks/base/samples.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        device=SETTINGS["machine"]["device"],
    params:
        caption=verbatim(SETTINGS["captions"]["text"]),
        resolution=max(SETTINGS["grid"]["resolution"]),
        steps=SETTINGS["samples"]["num_inference_steps"],
        guidance=SETTINGS["samples"]["guidance_scale"],
        seed=SEED,
        code=fingerprint("egara.samples.base"),
    shell:
        "egara samples base"
        " --base {input:q}"
        " --caption={params.caption:q}"
        " --resolution {params.resolution:q}"
        " --num-inference-steps {params.steps:q}"
        " --guidance-scale {params.guidance:q}"
        " --seed {params.seed:q}"
        " --device {resources.device:q}"
        " --threads {threads}"
        " --output {output:q}"
        " 2> {log:q}"
