"""Figures: one rule for all that are registered in `egara.figures`.

Needs losses, Gram matrices, projections, clusters, scores and the table of neighbours. Makes
figures/{cell}/{representation}_l2~{l2}/*.svg per space, figures/{cell}/*.svg per cell, figures/*.svg for the study.
"""

from egara.figures.registry import flag, load_figures

FIGURES = load_figures()
SPACE = "{cell}/{representation}_l2~{l2}"
# Where each kind of input is.
FIGURE_INPUTS = {
    "gram": "<results>/spaces/{cell}/{representation}.gram.npy",
    "index": "<results>/spaces/{cell}/{representation}.tsv",
    "ipca": f"<results>/projections/{SPACE}/ipca.tsv",
    "pca": f"<results>/projections/{SPACE}/pca.tsv",
    "umap": f"<results>/projections/{SPACE}/umap.tsv",
    "ipca_variance": f"<results>/projections/{SPACE}/ipca.variance.tsv",
    "pca_variance": f"<results>/projections/{SPACE}/pca.variance.tsv",
    "clusters": f"<results>/clusters/{SPACE}/hdbscan.tsv",
    "scores": f"<results>/scores/{SPACE}/scores.tsv",
    "layers": "<results>/scores/{cell}/{representation}.layers.tsv",
    "losses": "<results>/losses/{cell}.tsv",
    "neighbours": "<results>/tables/neighbours.tsv",
}


rule plot:
    """Plot one figure of a space, a cell or the study."""
    input:
        unpack(inputs_of_figure),
    output:
        report(
            "<results>/figures/{scope}{figure}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels=lambda wildcards: {
                "figure": FIGURES[wildcards.figure].title,
                **{key: "all" for key in ("cell", "representation", "l2")},
                **scope_of(wildcards),
            },
        ),
    log:
        "<logs>/figures/{scope}{figure}.log",
    wildcard_constraints:
        scope="({cells})/(({names})_l2~(on|off)/)?|".format(
            cells="|".join(map(re.escape, CELLS)), names="|".join(dict.fromkeys([*REPRESENTATIONS, *LAYERS]))
        ),
        figure="|".join(FIGURES),
    conda:
        "../../envs/tables.yaml"
    params:
        options=options_of_figure,
        caption=lambda wildcards: FIGURES[wildcards.figure].remark,
        code=lambda wildcards: fingerprint(FIGURES[wildcards.figure].module),
    shell:
        "egara figures {wildcards.figure:q} {params.options:q} --output {output:q} 2> {log:q}"
