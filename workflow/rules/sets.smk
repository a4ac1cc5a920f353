"""Sample the training sets: N sets of M faces per work, without replacement within a set.

Needs faces/{work}.tsv. Makes sets/{work}.tsv.
"""


rule draw_sets:
    """Sample the sets of one work."""
    input:
        "<results>/faces/{work}.tsv",
    output:
        "<results>/sets/{work}.tsv",
    log:
        "<logs>/sets/{work}.log",
    conda:
        "../../envs/tables.yaml"
    params:
        number=SETTINGS["sets"]["count"],
        size=SETTINGS["sets"]["size"],
        draw=[],
        seed=SEED,
        code=fingerprint("egara.sets"),
    shell:
        "egara sets"
        " --faces {input:q}"
        " --work {wildcards.work:q}"
        " --count {params.number:q}"
        " --size {params.size:q}"
        " {params.draw:q}"
        " --seed {params.seed:q}"
        " --output {output:q}"
        " 2> {log:q}"
