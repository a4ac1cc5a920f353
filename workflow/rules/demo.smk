"""Compose the demo's volumes from openly licensed drawings.

Needs nothing but the table of casts. Makes volumes/{work}/*.cbz, their true face boxes and
volumes/attributions.tsv.
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
        " --work {wildcards.work}"
        " --seed {params.seed:q}"
        " --output {output.volumes:q}"
        " --boxes {output.boxes:q}"
        " 2> {log:q}"


rule list_attributions:
    """List creator and licence of every drawing kit, evaluated or held out."""
    output:
        "<results>/volumes/attributions.tsv",
    log:
        "<logs>/volumes/attributions.log",
    conda:
        "../../envs/pages.yaml"
    params:
        code=fingerprint("egara.demo.notice"),
    shell:
        "egara demo notice --output {output:q} 2> {log:q}"
