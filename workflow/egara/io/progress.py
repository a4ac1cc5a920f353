"""What a person sees while a stage works: one log line an event, and a bar only where somebody watches a terminal."""

import argparse
import logging
import sys
from collections.abc import Iterable, Iterator


def parser(description: str) -> argparse.ArgumentParser:
    """Return an argument parser whose help shows defaults and the first paragraph of a module's docstring."""
    return argparse.ArgumentParser(
        description=description.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )


def logger(stage: str) -> logging.Logger:
    """Set up logging to stderr, one line an event, and return the logger `egara.<stage>`."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    return logging.getLogger(f"egara.{stage}")


class _Bar:
    """A tqdm bar on a terminal; elsewhere silent, so that a log holds events and no bars."""

    def __init__(self, total: int, unit: str) -> None:
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=unit, leave=False)

    def update(self, count: int = 1) -> None:
        if self._bar is not None:
            self._bar.update(count)

    def note(self, text: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(text)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def bar(total: int, unit: str) -> _Bar:
    """Return a progress bar with rate and time left; use it as a context manager."""
    return _Bar(total, unit)


def track(items: Iterable, total: int, unit: str) -> Iterator:
    """Yield items while a bar shows how many of `total` are done."""
    with bar(total, unit) as watched:
        for item in items:
            yield item
            watched.update()
