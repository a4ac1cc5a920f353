"""Logging and progress bars: one log line per event, and a bar on a terminal only."""

import argparse
import logging
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm


def parser(description: str) -> argparse.ArgumentParser:
    """Return an argument parser whose help shows defaults and the first paragraph of a module's docstring."""
    return argparse.ArgumentParser(
        description=description.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )


def logger(stage: str) -> logging.Logger:
    """Set up logging to stderr, one line per event, and return the logger `egara.<stage>`."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    return logging.getLogger(f"egara.{stage}")


def bar(total: int, unit: str) -> "tqdm":
    """Return a progress bar with rate and time left; use it as a context manager.

    Away from a terminal it is disabled, so that a log holds events and no bars.
    """
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, leave=False, disable=None)


def track(items: Iterable, total: int, unit: str) -> Iterator:
    """Yield items while a bar shows how many of `total` are done."""
    with bar(total, unit) as watched:
        for item in items:
            yield item
            watched.update()
