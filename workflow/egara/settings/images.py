"""Settings of what LoRAs are trained on: pages, faces, image sets and captions."""

from dataclasses import dataclass
from typing import Literal

from egara.settings.rules import section, setting

Unreadable = Literal["skip", "error"]
Layout = Literal["auto", "yolo", "yolov5", "yolox", "end2end", "rtdetr"]


@dataclass(frozen=True)
class Limits:
    """What a page or a volume may take; whatever takes more is skipped, or an error, and named with its key."""

    side: int = setting("Longest side of a page, in pixels.", 30_000, minimum=1, maximum=1_000_000)
    member: int = setting("Largest page in an archive, and largest image file, in MiB.", 256, minimum=1, maximum=4096)
    members: int = setting(
        "Most members of an archive, files in a folder, pages of a PDF.", 100_000, minimum=1, maximum=10_000_000
    )
    ratio: int = setting(
        "Maximum compression ratio of a member larger than ratio_from, and of a volume that unpacks to more than its "
        "largest page may.",
        200, minimum=1, maximum=100_000,
    )  # fmt: skip
    # A small blank page may shrink a thousandfold.
    ratio_from: int = setting(
        "Size up to which a member may have any compression ratio, in MiB unpacked.", 16, minimum=1, maximum=4096
    )
    points: int = setting("Longest side of a PDF page, in points.", 100_000, minimum=1, maximum=10_000_000)
    document: int = setting("Largest ComicInfo.xml, in MiB.", 4, minimum=1, maximum=64)
    text: int = setting("Largest text or style sheet of an EPUB, in MiB.", 16, minimum=1, maximum=256)
    annotations: int = setting("Largest annotation file of Manga109, in MiB.", 16, minimum=1, maximum=1024)
    folders: int = setting("Depth of folders in which images and volumes are looked for.", 16, minimum=1, maximum=64)
    nested: int = setting("Depth of archives within archives from which volumes are read.", 3, minimum=0, maximum=8)
    volume: int = setting("Largest volume inside an archive, packed, in MiB.", 2048, minimum=1, maximum=65_536)


@dataclass(frozen=True)
class Pages:
    """Reading pages from volumes."""

    unreadable: Unreadable = setting(
        "What to do with a page or a volume that cannot be read or is beyond a limit; what is skipped is counted and "
        "listed.",
        "skip",
    )
    # A double page of 450 dpi has 40 million; Pillow opens no page of more than twice its MAX_IMAGE_PIXELS.
    max_pixels: int = setting("Most pixels of a page.", 60_000_000, minimum=1, maximum=178_956_970)
    dpi: int = setting(
        "Resolution at which PDF pages are rendered; a page that is one scanned image keeps its pixels.",
        150, minimum=36, maximum=1200,
    )  # fmt: skip
    limits: Limits = section(Limits)


@dataclass(frozen=True)
class Faces:
    """Detecting and cropping faces."""

    detector: str = setting("Face detector.", "egara")
    threshold: Literal["auto"] | float = setting(
        "Lowest score of a detection. auto is the detector's own: 0.5 for egara, animeface and cascades; for an ONNX "
        "file what the threshold.json next to it states, else what the programs of its layout use (0.25 to 0.6).",
        "auto", minimum=0, maximum=1,
    )  # fmt: skip
    layout: Layout = setting(
        "How the outputs of an ONNX file are read; auto tells by its metadata and its outputs, or refuses.", "auto"
    )
    classes: tuple[str | int, ...] = setting(
        "Names or numbers of an ONNX file's classes that are faces; empty for those that the file calls face.",
        (), minimum=0, minLength=1,
    )  # fmt: skip
    side: Literal["auto"] | int = setting(
        "Input side, in pixels, of an ONNX file that leaves it open; auto for what the file states, else 640.",
        "auto", minimum=32, maximum=8192, multipleOf=32,
    )  # fmt: skip
    # A network trained on double pages knows faces of their size, and the papers' smallest crop is 39 pixels wide in
    # 640 of a page of Manga109: so `auto` cuts only what would be lost, and only for networks with one input size.
    tiles: Literal["auto", True, False] = setting(
        "Whether to detect in overlapping pieces of a page. auto: in long strips, if the detector is an ONNX file. "
        "true: also in double pages, in pieces and as a whole, three passes instead of one.",
        "auto",
    )
    margin: float = setting("Margin around a face, as a fraction of its box's longer side.", 0.1, minimum=0, maximum=1)
    min_pixels: int = setting(
        "Smallest width x height of a crop (the papers keep crops of at least 10,000 pixels).", 10_000, minimum=1
    )


@dataclass(frozen=True)
class Sets:
    """Drawing image sets from a work's faces."""

    count: int = setting("Sets per work (N).", 30, minimum=1, maximum=1000)
    size: int = setting("Faces per set (M).", 50, minimum=1)


@dataclass(frozen=True)
class Captions:
    """Captions of the images."""

    text: str = setting("Caption shared by all images.", "solo, manga style, face", minLength=1)
    names: tuple[str, ...] = setting(
        "Names of characters, which no caption may contain; authors and works are checked anyway.",
        (), minLength=1, uniqueItems=False,
    )  # fmt: skip
