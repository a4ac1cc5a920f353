"""The first words of the report: what the weights of this run carry, with numbers."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egara.cells import describe_cell
from egara.io.errors import counted
from egara.scores.labels import nothing_to_tell
from egara.tables.layout import fixed, probability
from egara.tables.verdict import NO, NOTHING, TOO_FEW, UNKNOWN, UNSURE, YES, name_setting
from egara.vocabulary import ACROSS_SERIES, AXES, HYPOTHESES, QUESTIONS, TEXT_AXES
from egara.weights.representations import label_of

if TYPE_CHECKING:
    import pandas as pd

SERIES = "other_series"  # columns of the verdict for the author across series


@dataclass(frozen=True)
class Cell:
    """One answer: the verdict, its class of style, and its numbers."""

    verdict: str
    tone: str
    numbers: str


@dataclass(frozen=True)
class Line:
    """One representation of the weights, and its answers."""

    name: str
    detail: str
    cells: list[Cell]


TONES = {YES: "yes", NO: "no", UNSURE: "unsure", TOO_FEW: "unknown", NOTHING: "unknown", UNKNOWN: "unknown"}


def spread_of(values: "pd.Series", digits: int = 3) -> str:
    """Write the least and the greatest value, or one where both round to the same."""
    finite = [fixed(value, digits) for value in (values.min(), values.max()) if math.isfinite(value)]
    return "–".join(dict.fromkeys(finite))


def combine(verdicts: list[str]) -> tuple[str, str]:
    """Combine the verdicts of several settings into one, and its tone."""
    distinct = list(dict.fromkeys(verdicts))
    if len(distinct) == 1:
        return distinct[0], TONES[distinct[0]]
    above = verdicts.count(YES)
    return (f"above chance in {above} of {len(verdicts)}", "unsure") if above else (" / ".join(distinct), "unsure")


def lines(verdict: "pd.DataFrame") -> tuple[list[str], list[Line]]:
    """Questions, and one line per representation and setting: its answers over all ranks, resolutions and L2."""
    levels = {level: HYPOTHESES[level].question for level in QUESTIONS}
    if SERIES in verdict and verdict[SERIES].notna().any():
        levels[SERIES] = ACROSS_SERIES.question
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
    if level == SERIES:
        numbers = f"distance {spread_of(part[SERIES])}, to other authors {spread_of(part['other_author'])}"
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
    """Return paragraphs: what was compared, what the weights carry, the published representation and the update.

    The first also says what so few works, authors or LoRAs cannot tell; without a verdict it is the only one.
    """
    texts = [] if works is None else [_material(verdict, works)]
    if verdict is None:
        return texts
    said = " ".join(texts).lower()
    texts += [_best(verdict, level, said) for level in QUESTIONS]
    texts += _compare(verdict)
    if SERIES in verdict and verdict[f"{SERIES}_p"].notna().any():
        texts.append(_series(verdict))
    return [text for text in texts if text]


def _material(verdict: "pd.DataFrame | None", works: "pd.DataFrame") -> str:
    """Say what was compared, and what it cannot tell whatever the weights carry."""
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
    for level in QUESTIONS:
        if reason := nothing_to_tell(level, run["author"].repeat(sets).tolist(), run["work"].repeat(sets).tolist()):
            reasons.setdefault(reason, []).append(HYPOTHESES[level].labels)
    return " ".join(
        [text, *(f"{_capital(why)}: nothing to tell about {' and '.join(of)}." for why, of in reasons.items())]
    )


def _best(verdict: "pd.DataFrame", level: str, said: str) -> str:
    """Return the verdict on a hypothesis: in how many settings it holds, and the best of them with its numbers.

    Without a score it is the reason, or nothing if that is among the words already `said`, in lower case.
    """
    claim = HYPOTHESES[level].claim
    tested = verdict[verdict[f"{level}_p"].notna()]
    if tested.empty:
        notes = verdict[f"{level}_note"].dropna().unique() if f"{level}_note" in verdict else []
        why = ", ".join(note for note in notes if note)
        return f"Whether the weights carry {claim} cannot be told: {why}." if why and why.lower() not in said else ""
    gain = (tested[level] - tested[f"{level}_chance"]) / (1 - tested[f"{level}_chance"])
    sure = tested[f"{level}_verdict"] == YES
    row = tested.loc[gain.where(sure).idxmax() if sure.any() else gain.idxmax()].to_dict()
    best = float(gain[sure].max() if sure.any() else gain.max())
    reached = f"{100 * best:.0f}\u00a0% of the way to perfect" if best > 0 else "not above chance"
    numbers = (
        f"Top-1 {fixed(row[level])}, chance level {fixed(row[f'{level}_chance'])}: {reached}; "
        f"p\u00a0{probability(row[f'{level}_p_corrected'])}, corrected for {counted(len(verdict), 'setting')}"
    )
    if (tested[f"{level}_verdict"] == TOO_FEW).all():
        return (
            f"Whether the weights carry {claim} cannot be told: with so few permutations of labels p cannot fall below "
            f"{probability(tested[f'{level}_p_least'].max())}, however high the score. Highest score: "
            f"{name_setting(row)} ({numbers})."
        )
    if not sure.any():
        return (
            f"The weights are not shown to carry {claim}: no setting is above chance after correction. Highest score: "
            f"{name_setting(row)} ({numbers})."
        )
    return (
        f"The weights carry {claim}: above chance in {int(sure.sum())} of {counted(len(tested), 'setting')}. Best "
        f"setting: {name_setting(row)} ({numbers})."
    )


def _compare(verdict: "pd.DataFrame") -> list[str]:
    """Describe the published representation, and the update of the same LoRA files."""
    if not verdict[[f"{level}_p" for level in QUESTIONS]].notna().any(axis=None):
        return []
    published = verdict[(verdict["representation"] == "factors") & (verdict["init"] == "independent")]
    if published.empty:
        return [_capital(_say(row)) for row in verdict.head(1).to_dict("records")]
    plain = published[published["token"] == "none"]
    row = (published if plain.empty else plain).iloc[0].to_dict()
    setting = f"{describe_cell(row, ', ')}, L2 {row['l2']}"
    texts = [f"As published (flattened factors A and B; {setting}): {_say(row)}"]
    same = verdict["representation"] == "delta"
    for key in (*AXES, "l2"):
        same &= verdict[key] == row[key]
    texts += [f"As the update ΔW = BA of the same files: {_say(other)}" for other in verdict[same].to_dict("records")]
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


def _series(verdict: "pd.DataFrame") -> str:
    """Say whether an author's LoRAs are alike across series, where works of one series share more than an author."""
    tested = verdict[verdict[f"{SERIES}_p"].notna()]
    best = tested.loc[tested[f"{SERIES}_p"].astype(float).idxmin()].to_dict()
    text = (
        "Works of one series share more than their author. Only an author's other series show the author "
        f"({best['author']}: {best['series']}): "
    )
    counts = verdict[f"{SERIES}_verdict"].value_counts()
    if counts.get(YES, 0):
        return text + f"they are nearer than chance in {counts[YES]} of {counted(len(verdict), 'setting')}."
    text += f"in no setting are they nearer than chance (lowest p\u00a0{probability(best[f'{SERIES}_p'])}"
    if TOO_FEW in counts:
        return text + f"; with so few series p cannot fall below {probability(best[f'{SERIES}_p_least'])})."
    return text + ")."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _number(value: int) -> str:
    names = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    return names[value] if value < len(names) else str(value)
