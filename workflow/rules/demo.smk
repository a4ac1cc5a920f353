"""Compose the demo's volumes from openly licensed drawings.

Needs nothing but the table of casts. Makes volumes/{work}/*.cbz and their true face boxes.
"""


rule compose_volumes:
    """Compose all volumes of one work as CBZ with ComicInfo.xml."""
    output:
        volumes=directory("<results>/volumes/{work}"),
        boxes="<results>/volumes/{work}.boxes.tsv",
    log:
        "<logs>/volumes/{work}.log",
    benchmark:
        "<results>/benchmarks/volumes/{work}.tsv"
    conda:
        "../../envs/pages.yaml"
    params:
        cast=lambda wildcards: [
            f"--{key}={CASTS[wildcards.work][key]}"
            for key in ("style", "part", "parts", "characters", "volumes", "pages")
        ],
        author=lambda wildcards: WORKS[wildcards.work].author,
        seed=SEED,
        code=fingerprint("egara.demo"),
    shell:
        "egara demo"
        " {params.cast:q}"
        " --author={params.author:q}"
        " --work {wildcards.work:q}"
        " --seed {params.seed:q}"
        " --output {output.volumes:q}"
        " --boxes {output.boxes:q}"
        " 2> {log:q}"
