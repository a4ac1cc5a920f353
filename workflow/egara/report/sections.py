"""What the page's template shows: tables as rows of cells, figures by section, drawing kits and timings."""

from dataclasses import replace
from typing import TYPE_CHECKING

from egara.figures.registry import load_figures
from egara.report.images import Image
from egara.tables.layout import Group, Layout, count, fixed
from egara.tables.registry import SECTIONS
from egara.tables.show import TABLES, lay_out
from egara.tables.writing import blocks

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

STUDIED = "volumes under study"
PAGE = 126  # characters in one row of a table on the page


class Shown(dict):
    """Tables by name; a table that was not given is None."""

    def __missing__(self, kind: str) -> None:
        return None


def html_table(kind: str, layout: Layout) -> dict[str, object]:
    """Return what the template needs of a layout: blocks of heading and body rows of (text, classes), and remarks."""
    found = [_html_block(layout, groups) for groups in blocks(layout, PAGE)]
    return {"id": kind, "title": layout.title, "blocks": found, "notes": layout.notes}


def _html_block(layout: Layout, groups: list[Group]) -> dict[str, object]:
    spans = [(group.name, len(group.columns)) for group in groups] if any(group.name for group in groups) else []
    heads, columns = [], []
    for name, values in layout.head.items():
        classes = "n" if layout.numeric(values) else ""
        heads.append((name, classes))
        columns.append([(text, classes) for text in values])
    for group in groups:
        for place, (name, values) in enumerate(group.columns.items()):
            classes = ["n"] if layout.numeric(values) else []
            classes += ["first"] if place == 0 and spans else []
            classes += ["muted"] if name in group.muted else []
            heads.append((name, " ".join(classes)))
            marked = [[*classes, "strong"] if (row, name) in group.strong else classes for row in range(layout.count)]
            columns.append([(text, " ".join(marks)) for text, marks in zip(values, marked, strict=True)])
    rows = list(zip(*columns, strict=True))
    return {"settings": len(layout.head), "spans": spans, "heads": heads, "rows": rows}


def score_tables(tables: dict[str, "pd.DataFrame"]) -> dict[str, dict[str, object]]:
    """Lay out every table for the page; a table of scores with several spaces is there twice: short, and `_whole`."""
    shown = {}
    for kind, table in tables.items():
        layout = replace(lay_out(kind, table, whole=False), title=TABLES[kind].heading)
        if TABLES[kind].short and layout.count < len(table):
            shown[f"{kind}_whole"] = html_table(f"{kind}-whole", lay_out(kind, table))
        notes = [note for note in layout.notes if "the report has the others" not in note]
        shown[kind] = html_table(kind, replace(layout, notes=notes))
    return shown


def place_tables(kinds: "Iterable[str]") -> dict[str, list[tuple[str, bool]]]:
    """Return the tables of each section of the page in their registered order, each with whether it may be folded."""
    entries = sorted((TABLES[kind] for kind in kinds), key=lambda entry: (entry.order, entry.name))
    return {
        section: [(entry.name, entry.folded) for entry in entries if entry.section == section] for section in SECTIONS
    }


def figure_groups(figures: list[Image], most: int = 8) -> list[dict[str, object]]:
    """Sort figures into sections by their registered titles and order; beyond `most` of a section they are folded.

    The overview is left out: it has its own place on the page.
    """
    sections: dict[str, dict[str, object]] = {}
    known = load_figures()
    for name, entry in known.items():
        if found := [figure for figure in figures if figure.kind == name != "overview"]:
            new = {"id": f"figures-{name}", "title": entry.title, "remark": entry.remark, "shown": []}
            sections.setdefault(entry.title, new)["shown"] += found
    groups = [
        section | {"shown": section["shown"][:most], "more": section["shown"][most:]} for section in sections.values()
    ]
    if rest := [figure for figure in figures if figure.kind not in known]:
        groups.append({"id": "figures-more", "title": "More figures", "remark": "", "shown": rest, "more": []})
    return groups


def kit_table(groups: dict[str, str], base: dict[str, object]) -> "pd.DataFrame | None":
    """Return the licences of the drawing kits: those under study, and those that the base model was trained on."""
    import pandas as pd

    rows = []
    kits = sorted(set(groups.values()))
    if kits:
        from egara.demo.artists import STYLES
        from egara.demo.notice import attributions

        known = [kit for kit in kits if kit in STYLES]
        rows += attributions(known).assign(role=STUDIED).to_dict("records") if known else []
    trained = (base.get("provenance") or {}).get("trained_on") or []
    rows += [{**kit, "role": "base model"} for kit in trained if isinstance(kit, dict) and kit.get("style")]
    columns = ["style", "title", "creator", "licence", "licence_url", "source_url", "role"]
    return pd.DataFrame([{c: row.get(c) or "" for c in columns} for row in rows]) if rows else None


def timing_layout(table: "pd.DataFrame") -> Layout:
    """Lay out the timings."""
    columns = {
        "jobs": [count(v) for v in table["jobs"]],
        "minutes in all": [fixed(v / 60, 1) for v in table["seconds"]],
        "longest job, s": [fixed(v, 1) for v in table["longest"]],
        "peak memory, MiB": [count(v) for v in table["memory"]],
    }
    notes = ["From Snakemake's benchmark files: wall time of jobs, which may have run in parallel."]
    return Layout("Time and memory", {"stage": table["stage"].tolist()}, [Group("", columns)], notes)
