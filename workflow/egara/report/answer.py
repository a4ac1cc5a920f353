"""The page's first words: what the weights carry in this run, with numbers, and what that does not show."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egara.cells import describe_cell
from egara.io.errors import counted
from egara.scores.labels import nothing_to_tell
from egara.tables.layout import fixed, probability
from egara.tables.verdict import NO, NOTHING, TOO_FEW, UNKNOWN, UNSURE, YES, name_setting
from egara.vocabulary import AXES, TEXT_AXES
from egara.weights.representations import label_of

if TYPE_CHECKING:
    import pandas as pd

QUESTIONS = {"work": "The work?", "author_across_works": "The author, by other works?"}
KITS = "The author, by another kit?"


@dataclass(frozen=True)
class Cell:
    """One answer: the judgement, how it is shown, and its numbers."""

    verdict: str
    tone: str
    numbers: str


@dataclass(frozen=True)
class Line:
    """One way to look at the weights, and its answers."""

    name: str
    detail: str
    cells: list[Cell]


TONES = {YES: "yes", NO: "no", UNSURE: "unsure", TOO_FEW: "unknown", NOTHING: "unknown", UNKNOWN: "unknown"}


def spread_of(values: "pd.Series", digits: int = 3) -> str:
    """Write the least and the greatest value, or the one that both are when rounded."""
    finite = [fixed(value, digits) for value in (values.min(), values.max()) if math.isfinite(value)]
    return "–".join(dict.fromkeys(finite))


def combine(verdicts: list[str]) -> tuple[str, str]:
    """One judgement for several settings, and its tone."""
    distinct = list(dict.fromkeys(verdicts))
    if len(distinct) == 1:
        return distinct[0], TONES[distinct[0]]
    above = verdicts.count(YES)
    return (f"above chance in {above} of {len(verdicts)}", "unsure") if above else (" / ".join(distinct), "unsure")


def lines(verdict: "pd.DataFrame") -> tuple[list[str], list[Line]]:
    """Questions, and one line per representation, init and token: its answers over all numbers of the grid and L2."""
    levels = dict(QUESTIONS)
    if "other_series" in verdict and verdict["other_series"].notna().any():
        levels["other_series"] = KITS
    found = []
    shown = [axis for axis in AXES if axis in ("rank", "init") or verdict[axis].nunique() > 1]
    if (verdict["alpha"] == verdict["rank"]).all():
        shown = [axis for axis in shown if axis != "alpha"]
    for (representation, *_), part in verdict.groupby(["representation", *TEXT_AXES], sort=False):
        values = {axis: [v if axis in TEXT_AXES else f"{v:g}" for v in sorted(set(part[axis]))] for axis in shown}
        words = {axis: AXES[axis].phrase.format(", ".join(values[axis])) for axis in shown}
        name = ", ".join([label_of(representation), *(words[axis] for axis in shown if axis in TEXT_AXES)])
        settings = f"L2 {', '.join(sorted(set(part['l2']), reverse=True))}"
        detail = "; ".join([*(words[axis] for axis in shown if axis not in TEXT_AXES), settings])
        found.append(Line(name, detail, [_cell(part, level) for level in levels]))
    return list(levels.values()), found


def _cell(part: "pd.DataFrame", level: str) -> Cell:
    verdicts = part[f"{level}_verdict"].fillna(UNKNOWN).replace("", UNKNOWN).tolist()
    verdict, tone = combine(verdicts)
    if verdict in (NOTHING, UNKNOWN):
        notes = dict.fromkeys(part[f"{level}_note"]) if f"{level}_note" in part else {}
        return Cell(verdict, tone, ", ".join(note for note in notes if isinstance(note, str)))
    p = part[f"{level}_p_corrected"]
    if level == "other_series":
        numbers = f"distance {spread_of(part['other_series'])}, to other authors {spread_of(part['other_author'])}"
    else:
        numbers = f"Top-1 {spread_of(part[level])}, chance\u00a0{spread_of(part[f'{level}_chance'])}"
    if verdict == TOO_FEW:
        return Cell(verdict, tone, f"{numbers}; p cannot fall below\u00a0{probability(part[f'{level}_p_least'].max())}")
    return Cell(verdict, tone, f"{numbers}, p\u00a0{_range(p.min(), p.max(), verdict)}")


def _range(least: float, most: float, verdict: str) -> str:
    """Write corrected p-values of several settings: the greatest above chance, the least at chance, else both."""
    texts = list(dict.fromkeys([probability(least), probability(most)]))
    if len(texts) == 1:
        return texts[0]
    return (
        f"≤\u00a0{texts[1]}"
        if verdict == YES
        else f"≥\u00a0{texts[0]}"
        if verdict == NO
        else f"{texts[0]} to {texts[1]}"
    )


def summary(verdict: "pd.DataFrame | None", works: "pd.DataFrame | None") -> list[str]:
    """Paragraphs: what was compared; the published view beside the update of the same files; the real case of kits.

    The first says what so few works, authors or LoRAs cannot tell; without a verdict it stands alone.
    """
    texts = [] if works is None else [_material(verdict, works)]
    if verdict is None:
        return texts
    said = " ".join(texts).lower()
    texts += [_best(verdict, level, said) for level in WHAT]
    texts += _compare(verdict)
    if "other_series" in verdict and verdict["other_series"].notna().any():
        texts.append(_kits(verdict))
    return [text for text in texts if text]


def _material(verdict: "pd.DataFrame | None", works: "pd.DataFrame") -> str:
    """Say what was compared, and what cannot be told whatever the weights hold."""
    run = works[works["corpus"] == "this run"]
    sets = run["sets"].fillna(0).astype(int)
    loras, authors = int(sets.sum()), run["author"].nunique()
    text = counted(loras, "LoRA")
    if verdict is not None:
        cells = len(verdict[list(AXES)].drop_duplicates())
        text += f" in {'one cell' if cells == 1 else f'each of {_number(cells)} cells'} of the training grid"
    works_of = "one work" if len(run) == 1 else f"{len(run)} works"
    text += f", {works_of} by {_number(authors)} author{'s' * (authors != 1)}."
    if loras < 2:
        return f"{text} There is nothing to compare with."
    reasons: dict[str, list[str]] = {}
    for level, what in ASKED.items():
        if reason := nothing_to_tell(level, run["author"].repeat(sets).tolist(), run["work"].repeat(sets).tolist()):
            reasons.setdefault(reason, []).append(what)
    return " ".join(
        [text, *(f"{_capital(why)}: nothing to tell about {' and '.join(of)}." for why, of in reasons.items())]
    )


ASKED = {"work": "works", "author_across_works": "authors"}


WHAT = {"work": "the work", "author_across_works": "the author across works"}


def _best(verdict: "pd.DataFrame", level: str, said: str = "") -> str:
    """The verdict at a level: detected or not, in how many settings, the best of them, its effect and corrected p.

    Why there is none is left out where it is `said`, in small letters, before.
    """
    tested = verdict[verdict[f"{level}_p"].notna()]
    if tested.empty:
        notes = verdict[f"{level}_note"].dropna().unique() if f"{level}_note" in verdict else []
        why = ", ".join(note for note in notes if note)
        return (
            f"Whether the weights carry {WHAT[level]} cannot be told: {why}." if why and why.lower() not in said else ""
        )
    gain = (tested[level] - tested[f"{level}_chance"]) / (1 - tested[f"{level}_chance"])
    sure = tested[f"{level}_verdict"] == YES
    row = tested.loc[gain.where(sure).idxmax() if sure.any() else gain.idxmax()].to_dict()
    best = float(gain[sure].max() if sure.any() else gain.max())
    numbers = (
        f"Top-1 {fixed(row[level])} against {fixed(row[f'{level}_chance'])} by chance, "
        f"{f'{100 * best:.0f} % of the way to perfect' if best > 0 else 'not above it'}; "
        f"p {probability(row[f'{level}_p_corrected'])} corrected for {counted(len(verdict), 'setting')}"
    )
    if (tested[f"{level}_verdict"] == TOO_FEW).all():
        return (
            f"Whether the weights carry {WHAT[level]} cannot be told: with so few permutations of labels p cannot fall "
            f"below {probability(tested[f'{level}_p_least'].max())}, however high the score. The highest, "
            f"{name_setting(row)}: {numbers}."
        )
    if not sure.any():
        return (
            f"The weights are not shown to carry {WHAT[level]}: no setting passes the correction. The highest, "
            f"{name_setting(row)}: {numbers}."
        )
    return (
        f"The weights carry {WHAT[level]}: detected in {int(sure.sum())} of {counted(len(tested), 'setting')}, best as "
        f"{name_setting(row)} ({numbers})."
    )


def _compare(verdict: "pd.DataFrame") -> list[str]:
    if not verdict[[f"{level}_p" for level in WHAT]].notna().any(axis=None):
        return []
    published = verdict[(verdict["representation"] == "factors") & (verdict["init"] == "independent")]
    if published.empty:
        return [_capital(_say(row)) for row in verdict.head(1).to_dict("records")]
    plain = published[published["token"] == "none"]
    row = (published if plain.empty else plain).iloc[0].to_dict()
    setting = f"{describe_cell(row, ', ')}, L2 {row['l2']}"
    texts = [f"Seen as published, as flattened factors A and B from independent starts ({setting}), {_say(row)}"]
    same = verdict["representation"] == "delta"
    for key in (*AXES, "l2"):
        same &= verdict[key] == row[key]
    texts += [
        f"Seen as the update ΔW = BA, in the very same files {_say(other)}"
        for other in verdict[same].to_dict("records")
    ]
    return texts


def _say(row: dict) -> str:
    words = {YES: YES, NO: NO, UNSURE: "above chance only before correction", TOO_FEW: TOO_FEW}
    parts = []
    for level, name in (
        ("work", "the nearest LoRA is of the same work"),
        ("author_across_works", "the nearest LoRA of another work is by the same author"),
    ):
        if row[f"{level}_verdict"] in words:
            parts.append(
                f"{name} in {100 * row[level]:.1f}\u00a0% of cases (chance {100 * row[f'{level}_chance']:.1f}\u00a0%, "
                f"p\u00a0{probability(row[f'{level}_p_corrected'])}: {words[row[f'{level}_verdict']]})"
            )
    return (" and ".join(parts) or "there is nothing to tell") + "."


def _kits(verdict: "pd.DataFrame") -> str:
    row = next(r for r in verdict[::-1].to_dict("records") if math.isfinite(r["other_series"]))
    tested = verdict[verdict["other_series_p"].notna()]
    if tested.empty:
        return ""
    best = tested.loc[[tested["other_series_p"].astype(float).idxmin()]].to_dict("records")[0]
    text = (
        "An author's other works are mostly other casts of the same drawing kit here, which is our construction. The "
        f"real case is one artist in two styles ({row['author']}: {row['series']}). "
    )
    counts = verdict["other_series_verdict"].value_counts()
    if counts.get(YES, 0):
        return text + f"They lie nearer than chance in {counts[YES]} of {len(verdict)} settings."
    text += f"No setting shows these nearer than chance (least p\u00a0{probability(best['other_series_p'])}"
    if TOO_FEW in counts:
        return text + f"; with so few kits it cannot fall below {probability(best['other_series_p_least'])})."
    return text + ")."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _number(value: int) -> str:
    names = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    return names[value] if value < len(names) else str(value)


def limits(verdict: "pd.DataFrame", base: dict, groups: dict[str, str], overlap: "pd.DataFrame | None") -> list[str]:
    """What these results do not show, from what was run."""
    texts = [
        "A score at chance says that this view of the weights does not show the label, not that the weights lack it: "
        "independent starts fill the factors with noise that the update does not have.",
        "The published author score counts neighbours from the same work. Only “other works only” speaks of an author.",
    ]
    if groups:
        casts: dict[str, list[str]] = {}
        for work, kit in groups.items():
            casts.setdefault(kit, []).append(work)
        named = "; ".join(f"{kit}: {', '.join(works)}" for kit, works in casts.items() if len(works) > 1)
        texts.append(
            "These volumes are composed from drawing kits, not drawn as stories. Constructed casts, disjoint parts of "
            f"one kit ({named}), are alike because one hand drew one kit: that an author is found “by other works” "
            "shows the kit first. Only two kits of one author are two real works in two styles."
        )
        if "author" in verdict and verdict["author"].notna().any():
            pairs = verdict[["author", "series"]].dropna().drop_duplicates()
            pairs = pairs[pairs["author"] != ""]
            named = "; ".join(f"{row.author}: {row.series}" for row in pairs.itertuples())
            texts.append(
                f"Two real styles of one artist stand beside them ({named}); few kits, so little can be tested."
            )
    norms = verdict[verdict["representation"].str.startswith("norms")]
    if YES in set(norms["work_verdict"]) | set(norms["author_across_works_verdict"]):
        texts.append(
            "The sizes of the layers' updates alone already tell works or authors apart (norms, a control). Drawings "
            "that are harder to learn move weights further, whoever drew them: not all that is found is a direction."
        )
    if UNSURE in set(verdict["author_across_works_verdict"]):
        texts.append(
            f"“Unsure” is below 0.05 only before the correction for {counted(len(verdict), 'setting')}. Few works "
            "allow few permutations of authors, so even a perfect score may not pass it."
        )
    if overlap is not None and overlap["measured"].notna().any():
        texts.append(
            f"Two sets of a work share {100 * overlap['measured'].mean():.0f} % of their faces on average, so LoRAs of "
            "a work are alike for that reason too, and p-values that permute single LoRAs (work; author, all "
            "neighbours) take them for more independent than they are. “Other works only” permutes whole works."
        )
    if set(verdict["token"]) - {"none"}:
        texts.append("Where captions hold a token per author or work, the token itself puts the label into training.")
    if base.get("provenance"):
        texts.append(
            "The base model is small and was trained on drawings by other artists (below); larger bases may keep "
            "authors apart better or worse."
        )
    texts.append("Nothing here identifies who drew a given picture; it compares LoRAs of known works.")
    return texts
