"""A target for every reader: it takes a file's bytes, reads them, and fails unless they are read or refused.

Refused means `EgaraError` with one line, or `Unreadable` where one page of many is meant. Nothing may be written.
"""

import atexit
import logging
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from fuzz import seeds
from fuzz.guard import writing_only

from egara.corpus.limits import Limits, Unreadable
from egara.errors import EgaraError

LIMITS = Limits(pixels=1_000_000, member_bytes=2**22)
TARGETS: dict[str, Callable[[bytes], None]] = {}
refused: list[str] = []


@cache
def folder() -> Path:
    """Return this process's own folder for the files under test."""
    made = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    logging.getLogger("egara").setLevel(logging.CRITICAL)
    return made


def target(name: str) -> Callable:
    """Register a function from bytes as the target `name`."""

    def register(function: Callable[[bytes], None]) -> Callable[[bytes], None]:
        TARGETS[name] = function
        return function

    return register


@contextmanager
def reading(*allowed: Path) -> Iterator[None]:
    """Let the reader refuse what it reads, in one line, and write nothing."""
    with writing_only(*allowed):
        try:
            yield
        except (EgaraError, Unreadable) as error:
            assert is_one_line(str(error)), repr(error)
            refused.append(str(error))


def is_one_line(text: str) -> bool:
    """Tell whether text is one line that a terminal only shows."""
    return 0 < len(text) < 3000 and not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text)


def placed(name: str, data: bytes) -> Path:
    """Write the bytes under test to a file."""
    path = folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def list_all(path: Path) -> None:
    """List a volume, and open its pages again from their rows."""
    import pandas as pd

    from egara.corpus import iterate_pages, list_volume

    volume = list_volume(path, "v01", "An Author", "A Work", limits=LIMITS, dpi=40)
    assert volume.pages and all(map(is_one_line, volume.warnings)), volume.warnings
    assert all(is_one_line(row["reason"]) for row in volume.skipped), volume.skipped
    for row, image in iterate_pages(pd.DataFrame(volume.pages)):
        assert image.size == (row["width"], row["height"]) and image.mode in ("L", "RGB")


@target("folder")
def read_folder(data: bytes) -> None:
    """A folder whose page or description is damaged."""
    placed("volume/1.png", seeds.picture("PNG"))
    placed("volume/2.jpg", data)
    path = placed("volume/ComicInfo.xml", data)
    with reading():
        list_all(path.parent)


def _volume(suffix: str) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        path = placed(f"v01{suffix}", data)
        with reading():
            list_all(path)

    return read


for kind in ("cbz", "cbt", "cb7", "cbr", "epub", "pdf"):
    TARGETS[kind] = _volume(f".{kind}")
TARGETS["any-volume"] = _volume("")


def _part_of_book(member: str) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        path = folder() / "book.epub"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in (seeds.book() | {member: data}).items():
                archive.writestr(name, text)
        with reading():
            list_all(path)

    return read


TARGETS["epub-package"] = _part_of_book("OPS/book.opf")
TARGETS["epub-container"] = _part_of_book("META-INF/container.xml")
TARGETS["epub-page"] = _part_of_book("OPS/text/00.xhtml")


@target("comicinfo")
def read_comicinfo(data: bytes) -> None:
    """What a volume says of itself can only warn."""
    from egara.corpus.metadata import cross_check

    with reading():
        for line in cross_check({"ComicInfo.xml": data}, "An Author", "A Work", Path("a.cbz")):
            assert is_one_line(line), repr(line)


@target("manga109")
def read_manga109(data: bytes) -> None:
    """Annotations as a detector and beside a book's pages."""
    from egara.corpus.manga109 import check_book
    from egara.faces.backends.annotations import AnnotationDetector
    from egara.faces.protocol import Page

    path = placed("annotations/v.xml", data)
    book = folder() / "images" / "v"
    with reading():
        assert all(map(is_one_line, check_book(book, {"000.jpg": (40, 30)})))
        pages = [Page("v", f"00{number}.jpg", np.zeros((30, 40), np.uint8)) for number in range(2)]
        _check_boxes(AnnotationDetector(path).detect(pages))


@target("boxes")
def read_boxes(data: bytes) -> None:
    """A table of true boxes."""
    from egara.faces.backends.annotations import AnnotationDetector
    from egara.faces.protocol import Page

    path = placed("boxes.tsv", data)
    with reading():
        _check_boxes(AnnotationDetector(path).detect([Page("v", "0.png", np.zeros((30, 40), np.uint8))]))


def _check_boxes(found: list[np.ndarray]) -> None:
    for boxes in found:
        assert np.isfinite(boxes).all() and (boxes[:, :4] >= 0).all() and (boxes[:, 2:4] <= [40, 30]).all(), boxes


@target("image")
def read_image(data: bytes) -> None:
    """One page's stored bytes."""
    from egara.corpus.images import decode

    with reading():
        image = decode(data, "a.cbz: 1.png", LIMITS)
        assert image.mode in ("L", "RGB") and image.width * image.height <= LIMITS.pixels
        assert len(image.tobytes()) == image.width * image.height * len(image.getbands())


@target("works")
def read_works_table(data: bytes) -> None:
    """The works table, and the places that it names."""
    from egara.config import find_volumes
    from egara.works import read_works

    path = placed("works.tsv", data)
    with reading():
        works = read_works(path)
        assert works and all(work.author and work.volumes for work in works)
        find_volumes(works)


@target("casts")
def read_casts_table(data: bytes) -> None:
    """The table of volumes to compose."""
    from egara.config import read_casts
    from egara.works import Work

    path = placed("casts.tsv", data)
    with reading():
        assert "w" in read_casts(path, [Work("A", "w", ("x",))])


@target("config")
def read_config(data: bytes) -> None:
    """The configuration, once YAML has read it."""
    import yaml

    from egara.config import complete_config, list_cells, list_controls

    try:
        given = yaml.safe_load(data)
    except Exception:  # Snakemake reads the file, and says so
        return
    if not isinstance(given, dict):
        return
    with reading():
        settings = complete_config(given)
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
    from egara.files import read_tsv
    from egara.sets import draw_sets

    path = placed("faces.tsv", data)
    with reading():
        faces = read_tsv(path, ["face", "file", "sha256"], text=["face", "file", "sha256"])
        assert len(draw_sets(faces, "w", 2, 2, 0)) == 4


@target("lora")
def read_lora_file(data: bytes) -> None:
    """A LoRA file of any layout."""
    from egara.loras.formats import read_layout, read_lora

    path = placed("a.safetensors", data)
    with reading():
        shapes = read_layout(path).shapes
        for flat in (True, False):
            for name, pair in read_lora(path, flat=flat).layers.items():
                assert np.isfinite(pair.down).all() and np.isfinite(pair.up).all() and np.isfinite(pair.scale)
                assert pair.down.shape[0] == pair.up.shape[1] == shapes[name].rank


@target("lora-header")
def read_lora_header(data: bytes) -> None:
    """A LoRA file whose header is damaged, and whose length fits it."""
    ends = [int(end) for end in re.findall(rb"(\d{1,4})\]", data)]
    read_lora_file(len(data).to_bytes(8, "little") + data + b"\0" * max(ends, default=0))


@target("lora-alphas")
def read_lora_alphas(data: bytes) -> None:
    """A LoRA file whose texts in the header are damaged."""
    tensors = seeds.factors("unet.conv_in", ".lora_A.weight", ".lora_B.weight")
    text = data.decode("utf-8", errors="replace")
    read_lora_file(seeds.stored(tensors, {"lora_adapter_metadata": text, "egara": text}))


@target("convert")
def convert_lora(data: bytes) -> None:
    """A LoRA file that is written in another layout; what is written can be read."""
    from egara.loras.formats import read_lora
    from egara.loras.formats.__main__ import convert

    path, written = placed("a.safetensors", data), folder() / "converted" / "b.safetensors"
    for layout in ("kohya", "peft"):
        with reading(written.parent):
            convert(path, written, layout, "float16")
            assert read_lora(written).layers.keys() == read_lora(path).layers.keys()


@target("latents")
def read_latents_file(data: bytes) -> None:
    """Gathered latents."""
    from egara.loras.inputs import read_latents

    path = placed("latents.safetensors", data)
    with reading():
        arrays, rows = read_latents(path, {"00000": "i"}, seeds.BASE, seeds.TRANSFORM)
        assert rows["00000"] < len(arrays["mean"]) and all(np.isfinite(array).all() for array in arrays.values())


@target("captions")
def read_captions_file(data: bytes) -> None:
    """Gathered captions."""
    from egara.loras.inputs import read_caption

    path = placed("captions.safetensors", data)
    with reading():
        caption = read_caption(path, "c", seeds.BASE)
        assert np.isfinite(caption.embedding).all()


def _with_header(name: str) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        whole = SEEDS[name]()[0]
        TARGETS[name](len(data).to_bytes(8, "little") + data + whole[8 + int.from_bytes(whole[:8], "little") :])

    return read


SEEDS = seeds.SEEDS
TARGETS["latents-header"] = _with_header("latents")
TARGETS["captions-header"] = _with_header("captions")


@target("entry")
def read_cache_entry(data: bytes) -> None:
    """One entry of a cache."""
    from egara.loras.cache import lacking, read_entry
    from egara.loras.store import stored

    cache = folder() / "cache"
    placed(stored(cache, seeds.KEY).relative_to(folder()).as_posix(), data)
    with reading():
        assert lacking(cache, [seeds.KEY]) == []
        read_entry(cache, seeds.KEY)


@target("known")
def read_known_products(data: bytes) -> None:
    """Inner products that are known already: a spoiled file is passed over."""
    from egara.vectors.known import folder_of, recall

    cache = folder() / "known"
    placed(f"{folder_of(cache, 'delta').relative_to(folder())}/a.safetensors", data)
    with reading():
        found = recall(cache, "delta", ["one"])
        assert found is None or found.gram.shape == (len(found.ids),) * 2


@target("description")
def read_base_description(data: bytes) -> None:
    """The description of a base model."""
    from egara.loras.description import part_hash, read_description

    path = placed("base.json", data)
    with reading():
        part_hash(read_description(path), "vae")


@target("onnx")
def read_network(data: bytes) -> None:
    """A detector of the user's."""
    from egara.faces.backends.yolo import YoloDetector
    from egara.faces.protocol import Page

    path = placed("a.onnx", data)
    with reading():
        _check_boxes(YoloDetector(path).detect([Page("v", "1", np.zeros((30, 40), np.uint8))]))


@target("onnx-answer")
def read_network_answer(data: bytes) -> None:
    """What a detector of the user's answers: numbers in any shape."""
    from egara.faces.backends.yolo import read_answer
    from egara.faces.boxes import clip, suppress

    values = np.frombuffer(data[: len(data) // 4 * 4], np.float32)
    for rows in range(1, 8):
        with np.errstate(invalid="ignore"):
            answer = values[: len(values) // rows * rows].reshape(rows, -1).astype(float)
        for shaped in (answer, answer.T):
            with reading():
                _check_boxes([clip(suppress(read_answer(shaped, 0.5, [0])), 40, 30)])
