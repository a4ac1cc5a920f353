"""Volumes → pages: list the pages once, open them again when needed."""

from egara.corpus.limits import Limits
from egara.corpus.pages import iterate_pages, list_volume, open_page, read_pages
from egara.corpus.sources import Found, find_volumes
from egara.corpus.survey import Survey, survey_volume

__all__ = [
    "Found",
    "Limits",
    "Survey",
    "find_volumes",
    "iterate_pages",
    "list_volume",
    "open_page",
    "read_pages",
    "survey_volume",
]
