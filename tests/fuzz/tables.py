"""Targets for what people write: annotations, tables, the configuration."""

import numpy as np
from fuzz.harness import check_boxes, folder, is_one_line, placed, reading, target


@target("manga109")
def read_manga109(data: bytes) -> None:
    """Annotations as a detector and beside a book's pages."""
    from egara.corpus.manga109 import check_book
    from egara.faces.backends.annotations import AnnotationDetector
    from egara.faces.boxes import clip
    from egara.faces.protocol import Page

    path = placed("annotations/v.xml", data)
    book = folder() / "images" / "v"
    with reading():
        assert all(map(is_one_line, check_book(book, {"000.jpg": (40, 30)})))
        pages = [Page("v", f"00{number}.jpg", np.zeros((30, 40), np.uint8)) for number in range(2)]
        found = AnnotationDetector(path).detect(pages)
        check_boxes([clip(boxes, 40, 30) for boxes in found])


@target("boxes")
def read_boxes(data: bytes) -> None:
    """A table of true boxes."""
    from egara.faces.backends.annotations import AnnotationDetector
    from egara.faces.boxes import clip
    from egara.faces.protocol import Page

    path = placed("boxes.tsv", data)
    with reading():
        found = AnnotationDetector(path).detect([Page("v", "0.png", np.zeros((30, 40), np.uint8))])
        check_boxes([clip(boxes, 40, 30) for boxes in found])


@target("works")
def read_works_table(data: bytes) -> None:
    """The works table, and the places that it names."""
    from egara.corpus.sources import resolve_volumes
    from egara.works import look_alikes, read_works

    path = placed("works.tsv", data)
    with reading():
        works = read_works(path)
        assert works and all(work.author and work.volumes for work in works)
        assert all(is_one_line(line) for line in look_alikes(works))
        resolve_volumes(works)


@target("skipped")
def read_table_of_skipped(data: bytes) -> None:
    """What a stage left out."""
    from egara.report.account import skipped_rows

    path = placed("w.skipped.tsv", data)
    with reading():
        found = skipped_rows([path])
        assert found is None or len(found["rows"]) <= found["total"]


@target("casts")
def read_casts_table(data: bytes) -> None:
    """The table of volumes to compose."""
    from egara.demo.casts import read_casts
    from egara.works import Work

    path = placed("casts.tsv", data)
    with reading():
        assert "w" in read_casts(path, [Work("A", "w", ("x",))])


@target("config")
def read_config(data: bytes) -> None:
    """The configuration, once YAML has read it."""
    import yaml

    from egara.cells import list_cells, list_controls
    from egara.config import complete_config, find_files

    try:
        given = yaml.safe_load(data)
    except Exception:  # Snakemake reads the file, and says so
        return
    if not isinstance(given, dict):
        return
    with reading():
        settings = find_files(complete_config(given))
        cells = list_cells(settings["grid"])
        list_controls(settings["controls"], cells, settings["sets"]["count"])


@target("pages")
def read_table_of_pages(data: bytes) -> None:
    """A table of pages, and the pages that it names."""
    from egara.corpus.pages import iterate_pages
    from egara.faces.reading import read_work

    path = placed("pages.tsv", data)
    with reading():
        list(iterate_pages(read_work(path, "w")))


@target("faces")
def read_table_of_faces(data: bytes) -> None:
    """A table of faces, and the sets drawn from it."""
    from egara.io.tables import read_tsv
    from egara.sets import draw_sets

    path = placed("faces.tsv", data)
    with reading():
        faces = read_tsv(path, ["face", "file", "sha256"], text=["face", "file", "sha256"])
        assert len(draw_sets(faces, "w", 2, 2, 0)) == 4
