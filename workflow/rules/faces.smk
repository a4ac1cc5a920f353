"""Detect faces on pages and crop them.

Needs pages/{work}.tsv. Makes faces/{work}.tsv, a table of what is left out, the crops and a contact sheet; for the demo's
volumes also the detector's precision, recall and average precision against the true boxes.
"""

from egara.faces.detectors import list_arguments


rule detect_faces:
    """Detect the faces of one work and crop them."""
    input:
        pages="<results>/pages/{work}.tsv",
        volumes=volumes_of,
        detector=detector_files,
        threshold=detector_thresholds,
    output:
        faces="<results>/faces/{work}.tsv",
        skipped="<results>/faces/{work}.skipped.tsv",
        crops=directory("<results>/faces/{work}"),
        sheet=(
            report(
                "<results>/faces/{work}.png",
                caption="../report/faces.rst",
                category="Faces",
                labels={"work": "{work}"},
            )
            if SETTINGS["report"]["show_faces"]
            else "<results>/faces/{work}.png"
        ),
    log:
        "<logs>/faces/{work}.log",
    benchmark:
        "<results>/benchmarks/faces/{work}.tsv"
    conda:
        "../../envs/pages.yaml"
    threads: 1
    params:
        detector=verbatim(SETTINGS["faces"]["detector"]),
        settings=lambda wildcards: list_arguments(SETTINGS["faces"], SETTINGS["pages"]["limits"]),
        margin=SETTINGS["faces"]["margin"],
        min_pixels=SETTINGS["faces"]["min_pixels"],
        unreadable=SETTINGS["pages"]["unreadable"],
        code=fingerprint("egara.faces"),
    shell:
        "egara faces"
        " --pages {input.pages:q}"
        " --work {wildcards.work:q}"
        " --detector {params.detector:q}"
        " {params.settings:q}"
        " --margin {params.margin:q}"
        " --min-pixels {params.min_pixels:q}"
        " --unreadable {params.unreadable:q}"
        " --threads {threads}"
        " --output {output.faces:q}"
        " --skipped {output.skipped:q}"
        " --crops {output.crops:q}"
        " --sheet {output.sheet:q}"
        " 2> {log:q}"


rule score_detector:
    """Compare detected faces with the true boxes of a work of the demo."""
    input:
        pages="<results>/pages/{work}.tsv",
        volumes=volumes_of,
        boxes="<results>/volumes/{work}.boxes.tsv",
        detector=detector_files,
        threshold=detector_thresholds,
    output:
        "<results>/faces/{work}.detector.tsv",
    log:
        "<logs>/faces/{work}.detector.log",
    conda:
        "../../envs/pages.yaml"
    params:
        detector=verbatim(SETTINGS["faces"]["detector"]),
        settings=lambda wildcards: list_arguments(SETTINGS["faces"], SETTINGS["pages"]["limits"]),
        margin=SETTINGS["faces"]["margin"],
        min_pixels=SETTINGS["faces"]["min_pixels"],
        code=fingerprint("egara.faces.evaluate"),
    shell:
        "egara faces evaluate"
        " --pages {input.pages:q}"
        " --boxes {input.boxes:q}"
        " --work {wildcards.work:q}"
        " --detector {params.detector:q}"
        " {params.settings:q}"
        " --margin {params.margin:q}"
        " --min-pixels {params.min_pixels:q}"
        " --output {output:q}"
        " 2> {log:q}"
