"""Write the report: one self-contained HTML page.

Answer, map, tables, figures, base model and licences. A table or figure that is not given leaves its section out.
Faces appear only with --show-faces.
"""

import json
from pathlib import Path

from egara.cells import describe_cell
from egara.io.errors import counted
from egara.io.json import read_json
from egara.io.progress import logger, parser
from egara.vocabulary import AXES, SIGNIFICANT

# Bytes of figures on the page; figures beyond it are named by their files.
FIGURE_BUDGET = 5 * 2**20
SECTIONS = {
    "answer": "Answer", "explore": "The map", "limits": "What this shows, and what it does not",
    "material": "Works, faces and sets", "run": "What was run",
    "scores": "Scores", "figures": "Figures", "base": "Base model", "sheets": "Faces", "licences": "Licences",
}  # fmt: skip


def list_facts(tables: dict, base: dict, seed: int | None) -> list[tuple[str, str]]:
    """Describe the run in pairs of name and value."""
    facts = []
    if (verdict := tables.get("verdict")) is not None:
        cells = verdict[list(AXES)].drop_duplicates().to_dict("records")
        facts.append(("Cells", "; ".join(describe_cell(cell, ", ") for cell in cells)))
        facts.append(("Representations", ", ".join(dict.fromkeys(verdict["representation"]))))
        facts.append(("L2", ", ".join(dict.fromkeys(verdict["l2"]))))
    if base:
        facts.append(("Base model", str(base.get("base", ""))))
        facts.append(("SHA-256 of the base", str(base.get("sha256", ""))))
    if seed is not None:
        facts.append(("Study seed", str(seed)))
    return facts


def describe_training(base: dict, studied: set[str]) -> str:
    """Say on whose drawings the base model was trained, and whether `studied` authors are among them; "" if unknown."""
    provenance = base.get("provenance") or {}
    kits = [kit for kit in provenance.get("trained_on") or [] if isinstance(kit, dict) and "creator" in kit]
    if not kits:
        return ""
    names = sorted({kit["creator"] for kit in kits}, key=str.lower)
    amounts = [f"{provenance[key]:,} {key}" for key in ("heads", "pictures", "steps") if key in provenance]
    detail = f" ({', '.join(amounts)})" if amounts else ""
    if both := sorted(studied & set(names)):
        remark = f"{', '.join(both)}: also under study, so the base has seen drawings that it is asked about."
    else:
        remark = "None of them is under study."
    return (
        f"Trained{detail} on drawings by {', '.join(names)}. {remark} The embedded face detector, where used, was "
        "trained on held-out artists as well."
    )


def main(argv: list[str] | None = None) -> None:
    """Read tables, figures and descriptions and write the page."""
    arguments = parser(__doc__)
    arguments.add_argument("--corpus", required=True, help="name of the corpus")
    arguments.add_argument("--tables", nargs="*", default=[], help="tables of egara.tables, recognised by name (.tsv)")
    arguments.add_argument("--figures", nargs="*", default=[], help="figures of egara.figures, in order (.svg)")
    arguments.add_argument(
        "--skipped", nargs="*", default=[], help="tables of what was left out, {stage}/{work}.skipped.tsv"
    )
    arguments.add_argument("--config", help="checked configuration of the run (.json)")
    arguments.add_argument("--base", help="description of the base model (.json)")
    arguments.add_argument("--samples", help="sample sheet of the base model (.png)")
    arguments.add_argument("--sheets", nargs="*", default=[], help="contact sheets, faces/{work}.png")
    arguments.add_argument("--show-faces", action="store_true", help="show the contact sheets; else they stay private")
    arguments.add_argument("--casts", help="table of casts, where volumes are composed from drawing kits")
    arguments.add_argument("--explorer", help="maps to explore, from egara.report.explorer (.json)")
    arguments.add_argument("--benchmarks", help="folder of Snakemake's benchmark files")
    arguments.add_argument("--seed", type=int, help="study seed")
    arguments.add_argument("--output", required=True, help="page to write (.html)")
    options = arguments.parse_args(argv)

    from egara.demo.casts import read_casts
    from egara.io.atomic import write_text
    from egara.report import account, answer, sections
    from egara.report.explorer.page import read_explorer
    from egara.report.images import read_figure, read_picture, within
    from egara.report.limits import list_limits
    from egara.report.page import render
    from egara.report.timings import read_benchmarks
    from egara.tables.show import read_table

    log = logger("report")
    tables = dict(read_table(path) for path in options.tables)
    base = read_json(options.base, "a description of the base model") if options.base else {}
    groups = {work: cast["style"] for work, cast in read_casts(options.casts, []).items()} if options.casts else {}
    config = read_json(options.config, "a configuration") if options.config else None
    figures, left_out = within([read_figure(path) for path in options.figures], FIGURE_BUDGET)
    sheets = [
        read_picture(path, f"Faces of {Path(path).stem}", Path(path).stem, side=720, quality=55)
        for path in (options.sheets if options.show_faces else [])
    ]
    samples = None
    if options.samples:
        caption = "Samples of the base model before any LoRA."
        samples = read_picture(options.samples, "Sample sheet of the base model", caption, side=1024)
    timings = read_benchmarks(options.benchmarks) if options.benchmarks else None
    verdict, listed = tables.get("verdict"), tables.get("works")
    studied = set() if listed is None else set(listed.loc[listed["corpus"] == "this run", "author"])
    questions, lines = answer.lines(verdict) if verdict is not None else ([], [])
    kits = sections.kit_table(groups, base)
    explorer = read_explorer(options.explorer) if options.explorer else None
    content = {
        "corpus": options.corpus,
        "answer": answer.summary(verdict, listed),
        "questions": questions,
        "lines": lines,
        "settings": "" if verdict is None else counted(len(verdict), "setting"),
        "overview": next((figure for figure in figures if figure.kind == "overview"), None),
        "limits": list_limits(verdict, base, groups, tables.get("overlap")) if verdict is not None else [],
        "facts": list_facts(tables, base, options.seed),
        "config": json.dumps(config, indent=2, ensure_ascii=False) if config is not None else "",
        "account": [] if listed is None else account.sentences(listed, config),
        "skipped": account.skipped_rows(options.skipped),
        "tables": sections.Shown(sections.score_tables(tables)),
        "placed": sections.place_tables(tables),
        "significant": f"{SIGNIFICANT:g}",
        "timings": None
        if timings is None or timings.empty
        else sections.html_table("timings", sections.timing_layout(timings)),
        "groups": sections.figure_groups(figures),
        "left_out": [figure.path for figure in left_out],
        "samples": samples,
        "trained_on": describe_training(base, studied),
        "sheets": sheets,
        "kits": [] if kits is None else kits.to_dict("records"),
        "explorer": explorer,
        "composed": kits is not None and (kits["role"] == sections.STUDIED).any(),
    }
    present = {
        "explore": explorer, "limits": content["limits"], "material": {"works", "overlap", "detector"} & tables.keys(),
        "scores": {"cosine", "neighbours", "verdict"} & tables.keys(), "figures": content["groups"],
        "base": samples or content["trained_on"], "sheets": sheets,
    }  # fmt: skip
    contents = [(id, name) for id, name in SECTIONS.items() if present.get(id, True)]
    page = render(contents=contents, **content)
    write_text(options.output, page)
    for figure in left_out:
        log.warning("%s: no room on the page; it is named there", figure.path)
    log.info("%d tables, %d figures, %.1f MB: %s", len(tables), len(figures), len(page) / 1e6, options.output)
