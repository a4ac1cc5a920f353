"""Summarise the other files of a folder or archive in few rows."""

from collections import Counter

from egara.corpus.names import OTHER_VOLUMES, is_document, label, parts_of, suffix_of, system_part
from egara.skipped import skipped


class Leftovers:
    """Counts other files by folder and type, one row for each."""

    def __init__(self) -> None:
        self._system: Counter[str] = Counter()
        self._foreign: dict[tuple[str, str], list[str]] = {}

    def note(self, name: str, count: int = 1) -> None:
        """Count a file that is neither page nor volume, or a system's folder of so many files; documents are none."""
        parts = parts_of(name)
        if is_document(name):
            return
        if (place := system_part(name)) is not None:
            self._system["/".join(parts[: place + 1])] += count
        else:
            self._foreign.setdefault(("/".join(parts[:-1]), suffix_of(name)), []).append(name)

    def rows(self, source: object) -> list[dict[str, str | int]]:
        """Return rows of `egara.skipped`, ordered by name."""
        rows = [
            skipped(source, label(place), "system", f"{label(parts_of(place)[-1])}: a system file, not a page", count)
            for place, count in sorted(self._system.items())
            if count
        ]
        for (folder, suffix), names in sorted(self._foreign.items()):
            one = len(names) == 1
            kind = OTHER_VOLUMES.get(suffix) or suffix or "a file without an extension"
            what = f"{kind}: neither a page nor a readable volume" + ("" if one else f", such as {names[0]}")
            cause = "volume" if suffix in OTHER_VOLUMES else "foreign"
            rows.append(skipped(source, label(names[0] if one else folder), cause, label(what), len(names)))
        return rows
