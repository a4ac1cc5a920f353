"""Volumes of drawings → pages: list them once, open them again wherever they are needed."""

from egara.corpus.pages import iterate_pages, list_volume, open_page, read_pages

__all__ = ["iterate_pages", "list_volume", "open_page", "read_pages"]
