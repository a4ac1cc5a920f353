"""config/README.md: how to write a study's configuration and works table, and all its settings."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from egara.config.schema import DESCRIPTION, schema
from egara.settings.checking import in_words
from egara.weights.representations import REPRESENTATIONS

INTRODUCTION = """\
# Configuration

A study is a configuration (YAML) and a works table. `config/config.yaml` is the demo; for your own volumes, copy it or
`config/paper.yaml`, write a works table, and run

    egara check my-study.yaml
    snakemake --cores all --configfile my-study.yaml

`egara check` says in seconds what the study contains, what it needs and what would stop it. Only `corpus` and `works`
are required. {description}

## Works table

Cells are separated by tabs, commas or semicolons; the first row names the columns.

| column | meaning |
|---|---|
| `author` | author of the work, the label of the author hypotheses |
| `work` | name of the work, unique and a valid file name; its label and its folder in `results/` |
| `volumes` | its volumes, separated by semicolons: archives, EPUB, PDF, folders of images or of volumes, globs |
| `series` | optional: one name for works of one series, as JoJo 1 to 8; tests the author over other series |
"""
REPRESENTED = """
## Representations

How a LoRA becomes a point (`representations`, `scores.layers`), in the order of tables;
[more about them](../docs/representations.md).

| name | what it is | of each layer | invariant to | LoRAs |
|---|---|---|---|---|
"""
OUTRO = """
Written, like `workflow/schemas/config.schema.yaml`, by `egara config` from `workflow/egara/settings/`.
"""


def write_readme() -> str:
    """Return config/README.md: an introduction and a table of keys per section."""
    parts = [INTRODUCTION.format(description=DESCRIPTION.partition(". ")[2])]
    parts += [f"\n## {title}\n\n{text}\n\n{_table(rows)}\n" for title, text, rows in _sections(schema(), "")]
    return "".join([*parts, REPRESENTED, *_representations(), OUTRO])


def _sections(rules: Mapping[str, Any], where: str) -> Iterator[tuple[str, str, list[tuple[str, Mapping[str, Any]]]]]:
    """Yield title, description and rows of each section, the whole first."""
    properties = rules["properties"].items()
    rows = [(key, rule) for key, rule in properties if "properties" not in rule]
    yield (f"`{where}`", rules["description"], rows) if where else ("Study", "Keys outside of all sections.", rows)
    for key, rule in properties:
        if "properties" in rule:
            yield from _sections(rule, f"{where}.{key}".strip("."))


def _representations() -> Iterator[str]:
    for name, one in REPRESENTATIONS.items():
        ranks = "of any rank" if one.any_rank else "of one rank"
        yield f"| `{name}` | {one.label} | {one.formula} | {one.invariant_to} | {ranks} |\n"


def _table(rows: list[tuple[str, Mapping[str, Any]]]) -> str:
    lines = ["| key | type and range | default | meaning |", "|---|---|---|---|"]
    for key, rule in rows:
        default = f"`{_yaml(rule['default'])}`" if "default" in rule else "required"
        kind = in_words(rule).replace("|", r"\|")
        lines.append(f"| `{key}` | {kind} | {default} | {rule['description']} |")
    return "\n".join(lines)


def _yaml(value: object) -> str:
    """Write a default as a configuration may have it, on one line."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return json.dumps(value)
