"""A target for every reader: it takes a file's bytes, reads them, and fails unless they are read or refused.

Refused means `EgaraError` with one line, or `Unreadable` where one page of many is meant. Nothing may be written.
"""

from fuzz import points, tables, volumes, weights
from fuzz.harness import TARGETS, refused

__all__ = ["TARGETS", "refused", "points", "tables", "volumes", "weights"]
