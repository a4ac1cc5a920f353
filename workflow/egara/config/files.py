"""Where the files of a configuration are: below the working directory, else, if shipped, in the checkout."""

from pathlib import Path

from egara.shipped import CHECKOUT

FILES = ("works", "casts", "base")  # settings that are paths


def find_file(path: str, checkout: Path = CHECKOUT) -> str:
    """Return a path of a configuration: from the working directory, else from the checkout.

    A path that exists in neither stays as it is; the reader reports the error.
    """
    try:
        shipped = not Path(path).exists() and (checkout / path).exists()
    except (OSError, ValueError):  # too long for a path, or no path at all
        return path
    return str(checkout / path) if shipped else path


def find_files(settings: dict, checkout: Path = CHECKOUT) -> dict:
    """Return checked settings in which the files of the configuration are found, see `find_file`."""
    found = settings | {key: find_file(settings[key], checkout) for key in FILES if settings[key]}
    kind, colon, path = settings["faces"]["detector"].partition(":")
    found["faces"] = settings["faces"] | {"detector": f"{kind}:{find_file(path, checkout)}" if colon else kind}
    return found
