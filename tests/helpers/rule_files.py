"""The rule files as text: which command each rule calls, and in which environment."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egara.__main__ import resolve

RULES = Path(__file__).resolve().parents[2] / "workflow" / "rules"


@dataclass(frozen=True)
class Rule:
    """A rule that calls the library: file and name, the command's words, the code it depends on, its environment.

    `code` is the module that the rule names literally, as words; None where it is worked out per job. `any_of`: a
    wildcard follows the words, which stands for any module of this package.
    """

    name: str
    words: str
    code: str | None
    environment: str
    any_of: bool


def read_rules() -> Iterator[Rule]:
    """Yield each rule whose shell command calls `egara`."""
    for path in sorted(RULES.glob("*.smk")):
        for text in re.split(r"^ *rule ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            command = re.search(r'^ +r?"+\s*egara ([\w ]+)', text, re.M)
            code = re.search(r'code=fingerprint\("egara\.([\w.]+)"', text)
            if command:
                words = resolve(command[1].split())[0]
                environment = re.search(r'"\.\./\.\./envs/([\w.-]+)"', text)[1]
                any_of = text[command.end() :].startswith("{wildcards")
                name, code = f"{path.stem}:{text.split(':')[0]}", code and code[1].replace(".", " ")
                yield Rule(name, words, code, environment, any_of)
