"""Registries: a thing of one kind is one decorated function or class in one file; everything else asks for it here."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from egara.io.errors import EgaraError

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries of one kind by name, in the order in which they are registered.

    Parameters
    ----------
    kind : what an entry is called in messages: "representation", "table".
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> None:
        """Register an entry; a name that is taken is a mistake of the programmer's."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name}: registered twice")
        self._entries[name] = entry

    def __getitem__(self, name: str) -> Entry:
        """Return an entry; an unknown name is an `EgaraError` that lists the known ones."""
        if name not in self._entries:
            raise EgaraError(f"{self.kind} {name}: unknown; expected one of {', '.join(self._entries)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def discover(package: str) -> None:
    """Import every module of a package, so that what they register is known.

    `egara.fingerprint` follows a call with a literal name: a stage that may run any of these modules depends on all.
    """
    folder = importlib.import_module(package)
    for found in pkgutil.iter_modules(folder.__path__, f"{package}."):
        importlib.import_module(found.name)
