"""Find faces on pages and cut them out.

Needs pages/{work}.tsv. Makes faces/{work}.tsv, a table of what is left out, the crops and a contact sheet; on composed
volumes also the detector's precision, recall and average precision against the true boxes.
"""

from egara.faces.detectors import list_arguments, threshold_files


rule detect_faces:
    """Detect the faces of one work and cut them out."""
    input:
        pages="<results>/pages/{work}.tsv",
        volumes=volumes_of,
        detector=detector_files,
        threshold=lambda wildcards: list(map(literal, threshold_files(SETTINGS["faces"]["detector"]))),
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
        looking=lambda wildcards: list_arguments(SETTINGS["faces"], SETTINGS["pages"]["limits"]),
        margin=SETTINGS["faces"]["margin"],
        min_pixels=SETTINGS["faces"]["min_pixels"],
        unreadable=SETTINGS["pages"]["unreadable"],
        code=fingerprint("egara.faces"),
    shell:
        "python -m egara.faces"
        " --pages {input.pages:q}"
        " --work {wildcards.work}"
        " --detector {params.detector:q}"
        " {params.looking:q}"
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
    """Compare detections with the true boxes of a composed work."""
    input:
        pages="<results>/pages/{work}.tsv",
        volumes=volumes_of,
        boxes="<results>/volumes/{work}.boxes.tsv",
        detector=detector_files,
        threshold=lambda wildcards: list(map(literal, threshold_files(SETTINGS["faces"]["detector"]))),
    output:
        "<results>/faces/{work}.detector.tsv",
    log:
        "<logs>/faces/{work}.detector.log",
    conda:
        "../../envs/pages.yaml"
    params:
        detector=verbatim(SETTINGS["faces"]["detector"]),
        looking=lambda wildcards: list_arguments(SETTINGS["faces"], SETTINGS["pages"]["limits"]),
        margin=SETTINGS["faces"]["margin"],
        min_pixels=SETTINGS["faces"]["min_pixels"],
        code=fingerprint("egara.faces.evaluate"),
    shell:
        "python -m egara.faces.evaluate"
        " --pages {input.pages:q}"
        " --boxes {input.boxes:q}"
        " --work {wildcards.work}"
        " --detector {params.detector:q}"
        " {params.looking:q}"
        " --margin {params.margin:q}"
        " --min-pixels {params.min_pixels:q}"
        " --output {output:q}"
        " 2> {log:q}"
