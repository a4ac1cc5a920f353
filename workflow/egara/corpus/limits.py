"""Limits on memory and time per volume: their defaults, ranges, configuration keys and messages."""

from dataclasses import dataclass
from pathlib import Path

from egara import settings
from egara.io.errors import EgaraError, one_line
from egara.settings.arguments import read_value
from egara.settings.rules import rule_of, rules_of

MEBIBYTE = 2**20


class Unreadable(Exception):
    """One page cannot be read; the other pages of its volume can.

    Attributes
    ----------
    cause : a key of `egara.skipped.CAUSES`.
    """

    def __init__(self, reason: str, cause: str = "unreadable") -> None:
        super().__init__(one_line(reason))
        self.cause = cause


@dataclass(frozen=True)
class Limits(settings.Limits):
    """Bounds that an honest scan stays far below: `pages.limits` of the settings, and `pages.max_pixels`."""

    pixels: int = settings.Pages.max_pixels

    @property
    def member_bytes(self) -> int:
        """Maximum bytes of a page's file."""
        return self.member * MEBIBYTE


_RULES = {name: rule_of(settings.Limits, name) for name in rules_of(settings.Limits)["properties"]}
_RULES["pixels"] = rule_of(settings.Pages, "max_pixels")
MOST = {name: rule["maximum"] for name, rule in _RULES.items()}


def key(name: str) -> str:
    """Return a limit's key in the configuration."""
    return "pages.max_pixels" if name == "pixels" else f"pages.limits.{name}"


def parse_limits(given: list[str], pixels: int | None = None) -> Limits:
    """Return limits from arguments such as `member=512`; others keep their defaults.

    Raises
    ------
    EgaraError : an unknown limit, or a value that is not a whole number in its range.
    """
    values: dict[str, str | int] = {} if pixels is None else {"pixels": pixels}
    for word in given:
        name, _, value = word.partition("=")
        if name not in _RULES or name == "pixels":
            known = ", ".join(name for name in _RULES if name != "pixels")
            raise EgaraError(f"limit {name}; expected one of {known}, such as member=256")
        values[name] = value
    values = {name: read_value(value, _RULES[name], key(name)) for name, value in values.items()}
    return Limits(**values)


def too_many(count: int, limits: Limits) -> str:
    """Return the message for a volume with too many members, "" otherwise."""
    if count <= limits.members:
        return ""
    return f"{count} members or more; expected at most {limits.members} ({key('members')})"


def check_count(path: Path | str, count: int, limits: Limits) -> None:
    """Raise `EgaraError` where a volume has too many members."""
    if said := too_many(count, limits):
        raise EgaraError(f"{path}: {said}")


def check_bytes(size: int, compressed: int | None, limits: Limits, most: str = "member") -> None:
    """Raise `Unreadable` where a member unpacks to more than the limit `most`, or is a decompression bomb."""
    if size > getattr(limits, most) * MEBIBYTE:
        raise Unreadable(
            f"unpacks to {size / MEBIBYTE:.0f} MiB or more; expected at most {getattr(limits, most)} MiB ({key(most)})",
            "limit",
        )
    if compressed is not None and size > limits.ratio_from * MEBIBYTE and size > limits.ratio * max(compressed, 1):
        raise Unreadable(
            f"unpacks from {compressed} to {size} bytes, a decompression bomb;"
            f" expected at most {limits.ratio} times ({key('ratio')})",
            "limit",
        )


def check_pixels(width: int, height: int, limits: Limits, what: str = "page") -> None:
    """Raise `Unreadable` where a page has no pixels, or more than the limits."""
    if width < 1 or height < 1:
        raise Unreadable(f"{what} of {width} x {height} pixels; expected at least 1 x 1")
    if max(width, height) > limits.side:
        raise Unreadable(
            f"{what} of {width} x {height} pixels; expected at most {limits.side} per side ({key('side')})", "limit"
        )
    if width * height > limits.pixels:
        raise Unreadable(
            f"{what} of {width} x {height} pixels; expected at most {limits.pixels} in total ({key('pixels')})", "limit"
        )


class Budget:
    """The total that a volume's members may unpack to, nested volumes included: bombs of many small members.

    Parameters
    ----------
    path : name of the volume in messages.
    packed : its compressed bytes.
    """

    def __init__(self, path: Path | str, packed: int, limits: Limits) -> None:
        self._path, self._packed, self._limits = path, packed, limits
        self._count = self._bytes = 0

    def spend(self, count: int, size: int) -> None:
        """Count members and uncompressed bytes; raises `EgaraError` where there are too many."""
        self._count += count
        self._bytes += size
        check_count(self._path, self._count, self._limits)
        if self._bytes > self._limits.member_bytes and self._bytes > self._limits.ratio * self._packed:
            raise EgaraError(
                f"{self._path}: unpacks from {self._packed} to {self._bytes} bytes, a decompression bomb;"
                f" expected at most {self._limits.ratio} times ({key('ratio')})"
            )
