"""Edits of a file's bytes: the same few for tests, which shrink them, and for the fuzzer, which draws them."""

from random import Random
from typing import NamedTuple

KINDS = ("set", "insert", "delete", "repeat", "cut", "number")
# Values at which sizes, counts and offsets turn over, and what text files break at.
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
WORDS = (
    b"", b"\0", b"\n", b"\r", b"\t", b'"', b"'", b"<", b">", b"&", b"[", b"]", b"{", b"}", b"(", b")", b"/", b"..",
    b"../", b"-1", b"0", b"1e999", b"NaN", b"Infinity", b"null", b"true", b"9" * 40, b"9" * 5000, b"[" * 3000, b"\xff",
    b"\xe2\x80\xa8", b"\xed\xa0\x80", b"\x1b[31m", b"http://[", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<![x", b"*", b"\\",
    b"%00", b"{\"a\":" * 1000, b"()*+",
)  # fmt: skip


class Edit(NamedTuple):
    """One change: what is done, where in the file (0 to 1), over how many bytes, and with what."""

    kind: str
    place: float
    length: int
    payload: bytes


def apply(data: bytes, edits: list[Edit]) -> bytes:
    """Return `data` after all edits, one after the other."""
    for edit in edits:
        start = int(edit.place * len(data))
        end = start + edit.length
        head, middle, tail = data[:start], data[start:end], data[end:]
        if edit.kind == "set":
            data = head + (edit.payload * edit.length)[: len(middle)] + tail
        elif edit.kind == "insert":
            data = head + edit.payload + middle + tail
        elif edit.kind == "delete":
            data = head + tail
        elif edit.kind == "repeat":
            data = head + middle * 3 + tail
        elif edit.kind == "cut":
            data = head
        else:
            data = head + edit.payload + tail[max(0, len(edit.payload) - len(middle)) :]
    return data


def number(value: int, width: int, little: bool) -> bytes:
    """Return a whole number as binary formats store it, its upper bytes dropped where it is too wide."""
    return (value % 256**width).to_bytes(width, "little" if little else "big")


def draw(random: Random, seeds: list[bytes]) -> bytes:
    """Return a file: mostly a valid one with a few edits, sometimes a mixture of two, sometimes noise."""
    if random.random() < 0.03:
        return random.randbytes(random.randrange(200))
    data = random.choice(seeds)
    if random.random() < 0.1 and data:
        other = random.choice(seeds)
        data = data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]
    return apply(data, [_edit(random) for _ in range(random.choice((1, 1, 1, 2, 3, 6)))])


def _edit(random: Random) -> Edit:
    kind = random.choice(KINDS)
    length = random.choice((1, 1, 2, 4, 8, random.randrange(1, 64)))
    if kind == "number":
        payload = number(random.choice(NUMBERS), random.choice((1, 2, 4, 8)), random.random() < 0.7)
        length = len(payload)
    elif kind == "set":
        payload = random.randbytes(1)
    else:
        payload = random.choice(WORDS) if random.random() < 0.7 else random.randbytes(random.randrange(1, 9))
    return Edit(kind, random.random(), length, payload)
