"""What the results of a run do not show."""

from typing import TYPE_CHECKING

from egara.io.errors import counted
from egara.tables.verdict import UNSURE, YES
from egara.vocabulary import HYPOTHESES, QUESTIONS, SIGNIFICANT

if TYPE_CHECKING:
    import pandas as pd


def list_limits(verdict: "pd.DataFrame", base: dict, kits: dict[str, str], overlap: "pd.DataFrame | None") -> list[str]:
    """Return one text for each limit of what was run.

    Parameters
    ----------
    verdict : as `egara.tables.verdict` makes it.
    base : description of the base model.
    kits : drawing kit of each composed work; empty for drawn volumes.
    overlap : as `egara.tables.overlap` makes it.
    """
    texts = [
        "A score at chance means that this representation does not show the label, not that the weights lack it: "
        "independent initialisation fills the factors with noise that the update does not have.",
        "The published author score counts neighbours from the same work. Only “other works only” is about the author.",
    ]
    if kits:
        texts.append(_composed(kits))
    norms = verdict[verdict["representation"].str.startswith("norms")]
    if any(YES in set(norms[f"{level}_verdict"]) for level in QUESTIONS):
        texts.append(
            "The norms of the layers' updates (a control) already tell works or authors apart. Images that are harder "
            "to learn move weights further, whoever the artist: not every difference is one of direction."
        )
    if UNSURE in set(verdict["author_across_works_verdict"]):
        texts.append(
            f"“Unsure” means p below {SIGNIFICANT} only before the correction for {counted(len(verdict), 'setting')}. "
            "A few works allow only a few permutations of authors, so even a perfect score may not pass it."
        )
    if overlap is not None and overlap["measured"].notna().any():
        share = f"{100 * overlap['measured'].mean():.0f} %"
        texts.append(
            f"Two sets of one work share {share} of their faces on average, which also makes their LoRAs alike. The "
            f"p-values of “{HYPOTHESES['work'].label}” and “{HYPOTHESES['author'].label}” permute single LoRAs as if "
            f"they were independent. “{HYPOTHESES['author_across_works'].label}” permutes whole works."
        )
    if set(verdict["token"]) - {"none"}:
        texts.append("Where captions hold a token per author or work, the token itself brings the label into training.")
    if base.get("provenance"):
        texts.append(
            "The base model is small and was trained on drawings by other artists (see below). A larger base may keep "
            "authors apart better or worse."
        )
    texts.append("Nothing here identifies who drew a given image: LoRAs of known works are compared.")
    return texts


def _composed(kits: dict[str, str]) -> str:
    """Say what volumes composed from drawing kits cannot show."""
    casts: dict[str, list[str]] = {}
    for work, kit in kits.items():
        casts.setdefault(kit, []).append(work)
    shared = "; ".join(f"{kit}: {', '.join(works)}" for kit, works in casts.items() if len(works) > 1)
    named = f" ({shared})" if shared else ""
    return (
        "These volumes are composed from drawing kits, not drawn as stories. Works of one kit have different "
        f"characters, but the same hand drew them{named}, so “other works only” shows the kit first. Only two kits of "
        "one author are two real works in two styles; there are few of them, so little can be tested."
    )
