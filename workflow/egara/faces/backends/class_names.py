"""Which classes of a network are faces: by their names in its metadata, or by the configuration."""

import ast
import re
import unicodedata
from collections.abc import Sequence

from egara.io.errors import EgaraError

KEY = "faces.classes"
# Names of a class of faces; `face mask`, `head` and `person` are not among them.
_WHOSE = "human|person|people|character|anime|manga|comic|cartoon|drawn|female|male|girl|boy"
_WHOSE_IN_JAPANESE = "人|人間|人物|女性|男性|女の子|男の子|キャラ|キャラクター|アニメ|漫画|マンガ"
_FACE = re.compile(rf"(({_WHOSE}) ?)?faces?( ({_WHOSE}))?|(({_WHOSE_IN_JAPANESE})の)?顔(領域)?|かお|人?[脸臉]|얼굴")


def read_names(text: str) -> dict[int, str]:
    """Parse the class names in a file's metadata, `{0: 'face'}` or `['face']`; {} where there are none."""
    try:
        listed = ast.literal_eval(text)
        pairs = listed.items() if isinstance(listed, dict) else enumerate(listed)
        names = {int(number): str(name) for number, name in pairs} if not isinstance(listed, str) else {}
    except (ValueError, SyntaxError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError):
        return {}
    return names if all(number >= 0 for number in names) else {}


def choose_classes(names: dict[int, str], wanted: Sequence[str], where: str) -> list[int] | None:
    """Return the numbers of the classes that are faces, None where neither the file nor the configuration says.

    Parameters
    ----------
    names : the file's classes, number → name.
    wanted : names or numbers of classes (`faces.classes`); empty for all whose name means face.
    where : names the file in errors.

    Raises
    ------
    EgaraError : a wanted class does not exist, or no name of several means face.
    """
    if wanted:
        return sorted({_find(names, str(one), where) for one in wanted})
    if not names:
        return None
    faces = [number for number, name in names.items() if _FACE.fullmatch(_fold(name))]
    if not faces and len(names) > 1:
        raise EgaraError(f"{where} has the classes {_listed(names)}, none named face; choose with {KEY}")
    return sorted(faces or names)


def _find(names: dict[int, str], wanted: str, where: str) -> int:
    same = [number for number, name in names.items() if _fold(name) == _fold(wanted)]
    if same:
        return same[0]
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 6 and (not names or int(wanted) in names):
        return int(wanted)
    known = f"one of {_listed(names)}" if names else "a number, because the file has no class names"
    raise EgaraError(f"{where} has no class {wanted} ({KEY}); expected {known}")


def _fold(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").replace("-", " ").split())


def _listed(names: dict[int, str]) -> str:
    shown = [f"{name} ({number})" for number, name in list(names.items())[:12]]
    return ", ".join(shown) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
