"""Captions: one shared text, a token without meaning per author or work, and no name that gives the answer away.

Shimoide & Ito, section 4.4: the caption `solo, manga style, face` and tokens such as `v011` and `v012`, one per author.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import get_args

from egara.io.errors import EgaraError
from egara.settings import Token

POLICIES = get_args(Token)
FIRST_TOKEN = 11  # the paper's first token is v011


def assign_tokens(names: Sequence[str]) -> dict[str, str]:
    """Give each distinct name a token: v011, v012, ... in order of first appearance."""
    distinct = list(dict.fromkeys(names))
    return {name: f"v{FIRST_TOKEN + number:03d}" for number, name in enumerate(distinct)}


def make_caption(text: str, policy: str, author: str, work: str, authors: Sequence[str], works: Sequence[str]) -> str:
    """Return the caption of every picture of a work.

    Parameters
    ----------
    text : the shared part.
    policy : `author` or `work` adds that one's token, `none` adds nothing.
    author, work : whose pictures they are.
    authors, works : all authors and works of the corpus, in table order; they number the tokens.
    """
    if policy not in POLICIES:
        raise EgaraError(f"caption token {policy!r}: expected one of {', '.join(POLICIES)}")
    if policy == "none":
        return text
    tokens = assign_tokens(authors if policy == "author" else works)
    return f"{text}, {tokens[author if policy == 'author' else work]}"


def check_caption(caption: str, names: Sequence[str]) -> None:
    """Refuse a caption that holds the name of an author, a work or a character.

    Compared without case, accents of width and punctuation; parts of a name with three letters or more count too.
    """
    text = f" {_plain(caption)} "
    for name in names:
        whole = _plain(name)
        parts = [part for part in whole.split() if len(part) >= 3 and not part.isdigit()]
        cjk = [part for part in [whole, *parts] if not part.isascii() and part in text]
        found = cjk or [part for part in [whole, *parts] if part and f" {part} " in text]
        if found:
            raise EgaraError(
                f"caption {caption!r}: holds {found[0]!r} of the name {name!r}; a caption must not name anyone"
            )


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()
