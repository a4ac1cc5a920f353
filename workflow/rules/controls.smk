"""Train controls, the first cell with one change: another token, disjoint sets, or one set and many seeds.

Needs faces/{work}.tsv, the crops and base/base.json. Makes sets/{draw}/{work}.tsv, their latents, the controls' LoRAs
and scores/controls.tsv.
"""


use rule draw_sets as draw_control_sets with:
    output:
        "<results>/sets/{draw}/{work}.tsv",
    log:
        "<logs>/sets/{draw}/{work}.log",
    params:
        number=SETTINGS["controls"]["sets"],
        size=SETTINGS["sets"]["size"],
        draw=lambda wildcards: ["--draw", wildcards.draw],
        seed=SEED,
        code=fingerprint("egara.sets"),


use rule encode_faces as encode_control_faces with:
    input:
        sets="<results>/sets/{draw}/{work}.tsv",
        crops="<results>/faces/{work}",
        base="<results>/base/base.json",
    output:
        "<results>/latents/resolution~{resolution}_sets~{draw}/{work}.safetensors",
    log:
        "<logs>/latents/resolution~{resolution}_sets~{draw}/{work}.log",
    benchmark:
        "<results>/benchmarks/latents/resolution~{resolution}_sets~{draw}/{work}.tsv"


use rule train_loras as train_controls with:
    output:
        collect(
            "<results>/loras/{cell}/{work}/{set}.safetensors",
            set=SETS[: SETTINGS["controls"]["sets"]],
            allow_missing=True,
        ),
        losses="<results>/losses/{cell}/{work}.tsv",
    wildcard_constraints:
        cell="|".join(map(re.escape, CONTROL_CELLS)) or "none",


rule score_controls:
    """Score what must fail: shuffled labels, norms, the token, sets without a common face, seeds alone."""
    input:
        gram=control_vectors("<results>/spaces/{cell}/{representation}.gram.npy"),
        index=control_vectors("<results>/spaces/{cell}/{representation}.tsv"),
    output:
        "<results>/scores/controls.tsv",
    log:
        "<logs>/scores/controls.log",
    priority: 1  # takes longer than others of its stage
    conda:
        "../../envs/tables.yaml"
    params:
        l2=L2,
        controls=as_json(CONTROLS),
        study=CELLS,
        permutations=SETTINGS["scores"]["permutations"],
        seed=SEED,
        code=fingerprint("egara.scores.controls"),
    shell:
        "egara scores controls"
        " --gram {input.gram:q}"
        " --index {input.index:q}"
        " --study {params.study:q}"
        " --controls {params.controls:q}"
        " --l2 {params.l2:q}"
        " --permutations {params.permutations:q}"
        " --seed {params.seed:q}"
        " --output {output:q}"
        " 2> {log:q}"
