"""Labels as people type them: a normal form, and pairs of labels that may be the same name."""

import re
import unicodedata
from collections.abc import Callable

from egara.io.errors import EgaraError

# Joiners (U+200C, U+200D) are not among them: some scripts and emoji are spelt with them.
INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u180e\u200b\u200e\u200f\u2060\ufeff"))
JOINERS = dict.fromkeys(map(ord, "\u200c\u200d\ufe0e\ufe0f"))
ACCENTS = re.compile("[\u0300-\u036f]")  # not the marks of kana, which make another letter
DASH_IN_KANA = re.compile("(?<=[\u3041-\u30fa])[-\u2010-\u2015\u2212\u2500\u4e00](?![\u4e00-\u9fff])")


def normalise_label(label: str, where: str) -> str:
    """Return a label in NFC, without invisible characters or surrounding blanks, inner blanks folded to one space.

    Raises
    ------
    EgaraError : a control character; `where` names the label in the message.
    """
    folded = " ".join(unicodedata.normalize("NFC", label.translate(INVISIBLE)).split())
    if strange := [letter for letter in folded if unicodedata.category(letter) in ("Cc", "Cs")]:
        raise EgaraError(f"{where}: {folded!r} holds the control character {strange[0]!r}; expected text")
    return folded


def find_similar(labels: list[str], reorder: bool) -> list[tuple[str, str, str]]:
    """Return pairs of similar labels and how they differ; n labels that are all similar make n - 1 pairs.

    Labels are similar when they agree without regard to case, width and form (NFKC), accents, blanks, punctuation,
    hyphens and long-vowel marks, and, with `reorder`, the order of words. Digits count: `jojo-1` and
    `jojo-2`, `1-11` and `11-1` are different.
    """
    pairs, leaders = [], {label: label for label in labels}
    keys = [*_STEPS, *([("the order of words", _any_order)] if reorder else [])]
    for name, key in keys:
        first: dict[str, str] = {}
        for label in labels:
            other = first.setdefault(key(label), label)
            if leaders[other] != leaders[label]:  # otherwise both are already in pairs
                pairs.append((other, label, name))
                merged = leaders[label]
                leaders |= {member: leaders[other] for member, leader in leaders.items() if leader == merged}
    return pairs


def _width(label: str) -> str:
    return unicodedata.normalize("NFKC", label.translate(JOINERS))


def _plain(label: str) -> str:
    """Fold case, width, form and accents; a dash between kana becomes the long-vowel mark that it stands for."""
    folded = unicodedata.normalize("NFC", ACCENTS.sub("", unicodedata.normalize("NFD", _width(label).casefold())))
    return DASH_IN_KANA.sub("ー", folded)


def _words(label: str) -> list[str]:
    """Split at blanks, punctuation and symbols; a label of only these is one word."""
    plain = _plain(label)
    apart = (letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in plain)
    return "".join(apart).split() or [plain]


def _joined(label: str) -> str:
    """Join words, except between two digits: `1.5` is not `15`."""
    return re.sub(r"(?<!\d) | (?!\d)", "", " ".join(_words(label)))


def _any_order(label: str) -> str:
    words = _words(label)
    return _joined(label) if any(letter.isdigit() for word in words for letter in word) else "".join(sorted(words))


_STEPS: list[tuple[str, Callable[[str], str]]] = [
    ("case", str.casefold),
    ("width or form", _width),
    ("case, width or form", lambda label: _width(label).casefold()),
    ("accents or dashes", _plain),
    ("blanks or punctuation", _joined),
]
