"""The examples of docs/developing.md, applied to a copy of the project as they are written there."""

import re
from pathlib import Path

from tiny import ROOT

PAGE = ROOT / "docs" / "developing.md"
BLOCK = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.M | re.S)


def examples() -> dict[str, list[tuple[str, str, str]]]:
    """Return, for each section of the page with examples, its blocks: language, path, text."""
    sections = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.M)
    found = {title: BLOCK.findall(text) for title, text in zip(sections[1::2], sections[2::2], strict=True)}
    return {title: blocks for title, blocks in found.items() if blocks}


def apply(section: str, folder: Path) -> set[str]:
    """Carry out the examples of a section below `folder` and return the paths of the files that changed."""
    blocks = examples()[section]
    for language, name, text in blocks:
        path = folder / name
        if language == "diff":
            path.write_text(_changed(path.read_text(encoding="utf-8"), text, name), encoding="utf-8")
        else:
            with path.open("a", encoding="utf-8") as file:
                file.write(text)
    return {name for _, name, _ in blocks}


def _changed(old: str, changes: str, name: str) -> str:
    lines = changes.splitlines()
    assert all(line[:1] in ("+", "-", " ") for line in lines), (name, changes)
    before = "".join(f"{line[1:]}\n" for line in lines if line[0] != "+")
    after = "".join(f"{line[1:]}\n" for line in lines if line[0] != "-")
    assert old.count(before) == 1, f"{name}: the lines before a change must be there once:\n{before}"
    return old.replace(before, after)
