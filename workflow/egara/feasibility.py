"""What a study of this size allows: what is computed, with which numbers, and which questions have too few labels.

A plan needs only the configuration and the works table; no page is read.
"""

import math
from collections import Counter
from dataclasses import dataclass, field

from egara.io.errors import counted
from egara.projections import LEAST_UMAP
from egara.scores.labels import nothing_to_tell
from egara.vocabulary import ACROSS_SERIES, HYPOTHESES, SIGNIFICANT
from egara.works import Work, series_of

# What cannot be told without an answer; neighbours of the same work say nothing of an author, so `author` claims less.
CLAIMS = {
    "work": f"whether the weights carry {HYPOTHESES['work'].claim}",
    "author": "whether LoRAs of one author are close to each other",
    "author_across_works": f"whether the weights carry {HYPOTHESES['author_across_works'].claim}",
}


@dataclass(frozen=True)
class Plan:
    """What a study of this size computes.

    Attributes
    ----------
    loras : LoRAs in each cell of the grid.
    compared : whether there are two LoRAs to compare; else no Gram matrices, projections, clusters and scores.
    umap : whether there are enough LoRAs for UMAP.
    n_components, batch_size, n_neighbors : of the projections, as far as this many LoRAs allow.
    series : whether some author has several series, so that the author over other series can be tested.
    silent : why a hypothesis cannot be tested, by hypothesis; those that can be are left out.
    remarks : all of it in lines for the user, with keys of the configuration.
    """

    loras: int
    compared: bool
    umap: bool
    n_components: int
    batch_size: int
    n_neighbors: int
    series: bool = False
    silent: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def plan_study(settings: dict, works: list[Work]) -> Plan:
    """Plan a study from checked settings, as `egara.config.complete_config` returns them, and its works."""
    sets, projections = settings["sets"]["count"], settings["projections"]
    owners = [work.author for work in works for _ in range(sets)]
    names = [work.work for work in works for _ in range(sets)]
    count = len(names)
    silent = {level: reason for level in CLAIMS if (reason := nothing_to_tell(level, owners, names))}
    plan = Plan(
        count,
        compared=count > 1,
        umap=count >= LEAST_UMAP,
        n_components=max(1, min(projections["n_components"], count - 1)),
        batch_size=min(projections["batch_size"], count),
        n_neighbors=max(2, min(projections["n_neighbors"], count - 1)),
        silent=silent,
        series=any(work.series for work in works) and not _no_other_series(works),
    )
    if not plan.compared:
        plan.remarks.append(
            "one LoRA per cell: there is nothing to compare, so there are no projections, clusters and scores; the "
            "report shows the image sets and the losses"
        )
    else:
        plan.remarks.extend([*_on_labels(settings, works, plan), *_on_series(works), *_on_projections(settings, plan)])
    return plan


def _no_other_series(works: list[Work]) -> str:
    """Say why authors cannot be compared over other series, or nothing where they can."""
    series = series_of(works)
    owners = {series[work.work]: work.author for work in works}
    if len(set(owners.values())) < 2:
        return "one author"
    if len(owners) == len(works):
        return "no series has two works"  # other series are other works
    return "no author has two series" if len(set(owners.values())) == len(owners) else ""


def _on_series(works: list[Work]) -> list[str]:
    named = [work for work in works if work.series]
    authors = {
        name: sorted({work.author for work in named if work.series == name})
        for name in dict.fromkeys(work.series for work in named)
    }
    lines = [
        f"series {name!r} has works by {' and '.join(owners)}; they count as a series of each"
        for name, owners in authors.items()
        if len(owners) > 1
    ]
    if named and (reason := _no_other_series(works)):
        lines.append(f"{reason}: it cannot be told whether the weights carry {ACROSS_SERIES.claim}")
    return lines


def _on_labels(settings: dict, works: list[Work], plan: Plan) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for level, reason in plan.silent.items():
        reasons.setdefault(reason, []).append(CLAIMS[level])
    lines = [f"{reason}: it cannot be told {', or '.join(asked)}" for reason, asked in reasons.items()]
    permutations, sets = settings["scores"]["permutations"], settings["sets"]["count"]
    sizes = {
        "work": [sets] * len(works),
        "author_across_works": list(Counter(work.author for work in works).values()),
    }
    permuted = {"work": "LoRAs", "author_across_works": "works"}
    for level, labels in sizes.items():
        least = least_p(labels, permutations, complete=level != "work")
        if level not in plan.silent and least >= SIGNIFICANT:
            lines.append(
                f"too few to tell {CLAIMS[level]}: with labels permuted among {sum(labels)} {permuted[level]} p "
                f"cannot fall below about {least:.2f}, however high the score"
            )
    return lines


def least_p(sizes: list[int], permutations: int, complete: bool) -> float:
    """Return the smallest p that permuting labels among sum(sizes) items can give; `sizes` counts items per label.

    A permutation that groups the items as the true labels do scores as they do; labels of one size may swap. With
    `complete`, all permutations are used if there are at most `permutations`; else that many are drawn, and the
    expected share of them scores as the true labels do.
    """
    logarithm = math.lgamma(sum(sizes) + 1) - sum(math.lgamma(size + 1) for size in sizes)
    equal = sum(math.lgamma(count + 1) for count in Counter(sizes).values())
    share = math.exp(equal - logarithm)
    if complete and logarithm <= math.log(permutations) + 1e-9:
        return share
    return (1 + permutations * share) / (1 + permutations)


def _on_projections(settings: dict, plan: Plan) -> list[str]:
    projections, clusters, lines = settings["projections"], settings["clusters"], []
    if plan.n_components < projections["n_components"]:
        lines.append(
            f"projections have {counted(plan.n_components, 'component')}, one fewer than there are LoRAs, not "
            f"{projections['n_components']} (projections.n_components)"
        )
    if plan.batch_size < projections["batch_size"]:
        lines.append(
            f"IncrementalPCA takes all {plan.loras} LoRAs in one batch (projections.batch_size is "
            f"{projections['batch_size']}), which makes it exact PCA"
        )
    if not plan.umap:
        lines.append(f"no UMAP: it needs {LEAST_UMAP} LoRAs, a cell has {plan.loras}")
    elif plan.n_neighbors < projections["n_neighbors"]:
        lines.append(
            f"UMAP uses {plan.n_neighbors} neighbours, not {projections['n_neighbors']} (projections.n_neighbors)"
        )
    # HDBSCAN finds clusters by splitting: two of the least size, or none.
    if plan.loras < 2 * clusters["min_cluster_size"] or plan.loras <= clusters["min_samples"]:
        lines.append(
            f"no clusters: HDBSCAN needs two of {clusters['min_cluster_size']} LoRAs (clusters.min_cluster_size, "
            f"clusters.min_samples), a cell has {plan.loras}; all count as noise"
        )
    return lines
