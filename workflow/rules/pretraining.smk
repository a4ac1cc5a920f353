"""Train the embedded models again: the base model and the face detector, on held-out artists only.

Not part of `all`: their weights ship in resources/. `snakemake pretrain` writes new ones to results/pretraining/; copy
them to resources/ to use them.
"""


rule pretrain:
    """Train the embedded base model and the detector from scratch."""
    input:
        "results/pretraining/base",
        "results/pretraining/detector.onnx",


rule draw_pretraining_art:
    """Draw heads in the styles of all held-out artists."""
    output:
        "results/pretraining/art.npz",
    log:
        "logs/pretraining/art.log",
    benchmark:
        "results/pretraining/benchmarks/art.tsv"
    conda:
        "../../envs/torch.yaml"
    params:
        code=fingerprint("egara.pretraining.art"),
    shell:
        "egara pretraining art --output {output:q} 2> {log:q}"


rule train_autoencoder:
    """Train the autoencoder between images and latents."""
    input:
        "results/pretraining/art.npz",
    output:
        directory("results/pretraining/vae"),
    log:
        "logs/pretraining/vae.log",
    benchmark:
        "results/pretraining/benchmarks/vae.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    params:
        code=fingerprint("egara.pretraining.autoencoder"),
    shell:
        "egara pretraining autoencoder --art {input:q} --threads {threads} --output {output:q} 2> {log:q}"


rule train_denoiser:
    """Train U-Net and text encoder, and write the whole base model."""
    input:
        art="results/pretraining/art.npz",
        vae="results/pretraining/vae",
    output:
        directory("results/pretraining/base"),
    log:
        "logs/pretraining/base.log",
    benchmark:
        "results/pretraining/benchmarks/base.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    params:
        code=fingerprint("egara.pretraining.denoiser"),
    shell:
        "egara pretraining denoiser"
        " --art {input.art:q}"
        " --vae {input.vae:q}"
        " --threads {threads}"
        " --output {output:q}"
        " 2> {log:q}"


rule train_detector:
    """Train the face detector on composed pages."""
    output:
        "results/pretraining/detector.onnx",
    log:
        "logs/pretraining/detector.log",
    benchmark:
        "results/pretraining/benchmarks/detector.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    params:
        code=fingerprint("egara.pretraining.detector"),
    shell:
        "egara pretraining detector --threads {threads} --output {output:q} 2> {log:q}"
