"""List the pages of every volume: folders, CBZ, CBT, CB7, CBR, EPUB, PDF and Manga109's layout.

Needs the works table. Makes pages/{work}.tsv with size and SHA-256 of every page, and pages/{work}.skipped.tsv
with everything left out, and why.
"""


rule list_pages:
    """Read all volumes of one work and list their pages."""
    input:
        volumes=volumes_of,
    output:
        pages="<results>/pages/{work}.tsv",
        skipped="<results>/pages/{work}.skipped.tsv",
    log:
        "<logs>/pages/{work}.log",
    benchmark:
        "<results>/benchmarks/pages/{work}.tsv"
    conda:
        "../../envs/pages.yaml"
    params:
        author=lambda wildcards: WORKS[wildcards.work].author,
        unreadable=SETTINGS["pages"]["unreadable"],
        max_pixels=SETTINGS["pages"]["max_pixels"],
        dpi=SETTINGS["pages"]["dpi"],
        limits=[f"{key}={value}" for key, value in SETTINGS["pages"]["limits"].items()],
        code=fingerprint("egara.corpus"),
    shell:
        "egara corpus"
        " --author={params.author:q}"
        " --work {wildcards.work:q}"
        " --volumes {input.volumes:q}"
        " --unreadable {params.unreadable:q}"
        " --max-pixels {params.max_pixels:q}"
        " --dpi {params.dpi:q}"
        " --limits {params.limits:q}"
        " --output {output.pages:q}"
        " --skipped {output.skipped:q}"
        " 2> {log:q}"
