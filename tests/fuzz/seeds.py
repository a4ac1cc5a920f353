"""Valid small files of every kind that Egara reads: what fuzzing starts from."""

import contextlib
import json
import tempfile
from collections.abc import Callable
from csv import writer
from functools import partial
from gzip import compress as packed
from io import BytesIO, StringIO
from pathlib import Path

import networks
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from test_corpus_containers import epub_members, write_7z, write_rar, write_tar, write_zip

KEY = "a" * 64


def works_tables() -> list[bytes]:
    """The works table as an editor writes it, and as spreadsheets save it: quoted, by semicolons, in UTF-16."""
    rows = [
        ["author", "work", "volumes", "series"],
        ["荒木", "jojo-1", ".; ..", ""],
        ['B "C", D', "jojo-2", "./*", "s"],
    ]
    plain, quoted = "\r\n".join("\t".join(row).replace('"', "") for row in rows), StringIO()
    writer(quoted, delimiter=";").writerows(rows)
    return [plain.encode(), quoted.getvalue().encode("utf-8-sig"), quoted.getvalue().encode("utf-16")]


ROWS = ("loras", "authors", "works", "sets")
COMIC = b"<ComicInfo><Series>A Work</Series><Writer>An Author, B</Writer><Penciller>C</Penciller></ComicInfo>"
ANNOTATIONS = (
    b'<?xml version="1.0" encoding="utf-8"?><book title="v"><pages><page index="0" width="40" height="30">'
    b'<face id="1" xmin="1" ymin="2" xmax="20" ymax="25" character="2"/><text id="3" xmin="0" ymin="0" xmax="9" '
    b'ymax="9">words</text></page><page index="1" width="40" height="30"/></pages></book>'
)
# Pages of twice the size, with boxes that are none, and pages of another shape.
RESIZED = (
    ANNOTATIONS.replace(b'"40" height="30"', b'"80" height="60"').replace(b'xmin="1"', b'xmin="70"'),
    ANNOTATIONS.replace(b'"40" height="30"', b'"40" height="60"').replace(b'ymax="25"', b'ymax="-2.5e1"'),
)
CONFIG = (
    b"corpus: c\nworks: w.tsv\nseed: 3\npages: {unreadable: skip, dpi: 100}\nfaces: {detector: 'onnx:a.onnx'}\n"
    b"grid: {rank: [4, 8], alpha: [1, 2.5], resolution: [64], init: [shared], token: [none]}\n"
    b"training: {steps: 3, learning_rate: 0.001, min_snr: 5, targets: [to_q]}\ncontrols: {kinds: [token], sets: 2}\n"
    b"representations: [delta, factors-layerwise]\nl2: [true]\nsamples: {strengths: [-1, 2.5]}\n"
)
TRANSFORM = {"fit": "cover", "resample": "box", "resolution": 64}
BASE = {"base": "b", "folder": "f", "parts": {"vae": "1", "text_encoder": "2", "tokenizer": "3"}}


def written(writer: Callable, *content: object) -> bytes:
    """Return what a writer leaves in a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        writer(path, *content)
        return path.read_bytes()


def picture(kind: str, mode: str = "L", side: int = 12) -> bytes:
    """Return a small picture of noise."""
    file = BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (side, side + 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(file, kind)
    return file.getvalue()


def members() -> dict[str, bytes]:
    """Return an archive's members."""
    return {"1.png": picture("PNG"), "b/2.jpg": picture("JPEG"), "ComicInfo.xml": COMIC, "notes.txt": b"words"}


def pages_of(kind: str, **options: object) -> bytes:
    """Return a file of three pictures."""
    file = BytesIO()
    frames = [Image.new("L", (12, 9), 60 * n) for n in range(3)]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], **options)
    return file.getvalue()


def nested() -> dict[str, bytes]:
    """Return the members of an archive with volumes inside, one of them in another."""
    inner = written(write_zip, members())
    outer = written(write_zip, {"deep.cbz": inner, "1.png": picture("PNG")})
    return {
        "a.cbz": inner,
        "b.cbt": written(write_tar, members()),
        "c/d.zip": outer,
        "e.pdf": documents()[0],
        **members(),
    }


def odd_zips() -> list[bytes]:
    """Return archives without their directory, behind other bytes, with other names in the members' headers."""
    whole = written(write_zip, members())
    place = whole.index(b"PK\x01\x02")
    return [whole[:place], b"MZ" + bytes(70) + whole, whole[:place].replace(b"b/2.jpg", b"b\\2.jpg") + whole[place:]]


def added_formats() -> list[bytes]:
    """Return pictures of the formats whose packages are installed."""
    found = []
    with contextlib.suppress(ImportError):
        import pillow_jxl  # noqa: F401

        found.append(picture("JXL"))
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
        found.append(picture("HEIF", side=40))
    return found


def odd_pictures() -> list[bytes]:
    """Return pictures with several frames, a progressive one, one cut at its end, and one with metadata."""
    progressive = BytesIO()
    Image.new("RGB", (20, 16), "red").save(progressive, "JPEG", progressive=True)
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 3000, zip=True)
    labelled = BytesIO()
    Image.new("P", (9, 7)).save(labelled, "PNG", pnginfo=text, transparency=0)
    several = [pages_of(kind) for kind in ("TIFF", "GIF", "WEBP", "PNG", "MPO")]
    return [
        *several,
        progressive.getvalue(),
        picture("JPEG")[:-2],
        b"\r\n" + picture("JPEG"),
        labelled.getvalue(),
        *added_formats(),
    ]


def shelf() -> dict[str, bytes]:
    """Return an EPUB's members whose pages show their images by style sheets, objects and sources."""
    sheet = b"p.a, #b > i {background: #fff url('../images/c.png')} /* {} */"
    text = b"""<link rel="stylesheet" href="s.css"/><p class="a"/><object data="..\\images\\A.PNG"/><picture>
        <source srcset="../images/b.png 2x, x.png"/><img/></picture><i style="background:url(/images/b.png)"/>"""
    cipher = b'<EncryptionMethod Algorithm="x"/><CipherReference URI="OPS/x"/>'
    lock = b"<encryption><EncryptedData>" + cipher + b"</EncryptedData></encryption>"
    return book() | {"OPS/text/00.xhtml": text, "OPS/text/s.css": sheet, "META-INF/encryption.xml": lock}


def odd_texts() -> list[bytes]:
    """Return pages of a book: with style sheets and objects, in UTF-16, with pictures that lie in no file."""
    outside = b'<img src="data:image/png;base64,xx"/><iframe src="01.xhtml"/><img src="https://there/a.png"/>'
    stated = b'<?xml version="1.0" encoding="Shift_JIS"?>'
    return [shelf()["OPS/text/00.xhtml"], '<img src="../images/a.png"/>'.encode("utf-16"), stated + outside]


def tars() -> list[bytes]:
    """Return tars: whole, with volumes inside, one after the other, and with a header that is no more."""
    whole = written(write_tar, members())
    return [whole, written(write_tar, nested()), whole * 2, whole.replace(b"b/2.jpg", bytes(7))]


def pictures() -> list[bytes]:
    """Return pictures of all formats, and of the modes that are converted."""
    kinds = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"]
    modes = [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("TIFF", "F"), ("WEBP", "RGB"), ("JPEG", "CMYK")]
    return [picture(kind) for kind in kinds] + [picture(kind, mode) for kind, mode in modes]


def documents() -> list[bytes]:
    """Return PDF files: one page and two, and one whose picture is damaged."""
    one, two = BytesIO(), BytesIO()
    Image.new("L", (20, 30), 90).save(one, "PDF")
    Image.new("RGB", (20, 30), "red").save(two, "PDF", save_all=True, append_images=[Image.new("1", (9, 9))])
    start = one.getvalue().index(b"\xff\xd8\xff")
    damaged = one.getvalue()[: start + 40] + bytes(40) + one.getvalue()[start + 80 :]
    return [one.getvalue(), two.getvalue(), damaged]


def book() -> dict[str, bytes]:
    """Return an EPUB's members."""
    return epub_members(["a.png", "b.png", "c.png"], "A Work", "An Author")


def stored(tensors: dict[str, np.ndarray], texts: dict[str, str] | None = None) -> bytes:
    """Return a safetensors file."""
    from safetensors.numpy import save

    return save(tensors, texts)


def factors(stem: str, down: str, up: str, kind: type = np.float32) -> dict[str, np.ndarray]:
    """Return one layer's two factors of rank 2."""
    return {stem + down: np.ones((2, 6), kind), stem + up: np.ones((4, 2), kind)}


def loras() -> list[bytes]:
    """Return LoRA files in the three layouts, with provenance and alphas."""
    header = {"egara": json.dumps({"author": "A", "work": "w"})}
    adapter = {"unet.lora_alpha": 4, "unet.alpha_pattern": {"conv_in": 2, r"conv_\w+": 3}}
    peft = factors("unet.conv_in", ".lora_A.weight", ".lora_B.weight", np.float16)
    kohya = factors("lora_unet_conv_in", ".lora_down.weight", ".lora_up.weight")
    alpha = {"lora_unet_conv_in.alpha": np.array(1, np.float32)}
    attention = "mid_block.attentions.0.transformer_blocks.0.attn1.processor"
    processor = factors(attention, ".to_q_lora.down.weight", ".to_q_lora.up.weight")
    return [
        stored(peft, header | {"lora_adapter_metadata": json.dumps(adapter)}),
        stored(kohya | alpha, header),
        stored(processor),
    ]


def header_of(data: bytes) -> bytes:
    """Return the JSON header of a safetensors file."""
    return data[8 : 8 + int.from_bytes(data[:8], "little")]


def latents() -> list[bytes]:
    """Return gathered latents of one face, as they are written."""
    from egara.loras.encoding.inputs import latent_inputs, latent_key

    inputs = latent_inputs(BASE, TRANSFORM)
    note = {"faces": json.dumps([["00000", "i", latent_key("i", inputs)]]), "inputs": json.dumps(inputs)}
    arrays = {name: np.zeros((1, 2, 1, 2, 2), np.float32) for name in ("mean", "deviation")}
    return [stored(arrays, note)]


def captions() -> list[bytes]:
    """Return one embedded caption, as it is written."""
    from egara.loras.encoding.inputs import caption_inputs, caption_key, ids_name

    inputs = caption_inputs(BASE)
    note = {"captions": json.dumps({"c": caption_key("c", inputs)}), "inputs": json.dumps(inputs)}
    return [stored({"c": np.zeros((3, 2), np.float32), ids_name("c"): np.zeros(3, np.int64)}, note)]


def detectors() -> list[bytes]:
    """Return ONNX files of detectors: YOLOv8 and YOLOX, answers with classes, RT-DETR with its two inputs."""
    named = {"names": "{0: 'face'}", "task": "detect", "imgsz": "[32, 32]", "stride": "32", "args": "{'nms': False}"}
    small = (1, 3, 32, 32)

    def write(path: Path, **options: object) -> None:
        networks.network(path, **{"shape": small, **options})

    return [
        written(partial(write, lying=True, metadata=named)),
        written(partial(write, box="grid", tail="objectness", fit="corner")),
        written(partial(write, box="corners", tail="label", rows=30, metadata=named | {"end2end": "True"})),
        written(
            partial(write, unit="shares", rows=30, shape=("n", 3, "h", "w"), metadata=named | {"head": "RTDETRDecoder"})
        ),
        written(networks.original_rtdetr),
    ]


def answers() -> list[bytes]:
    """Return what detectors answer, as bare numbers."""
    row = [0.3, 0.3, 0.4, 0.5, 0.9, 0.0]
    pixels = [3, 3, 14, 15, 0.9, 0.0]
    boxes = [np.arange(20), np.full(20, np.nan), np.tile(row, 30), np.tile(pixels, 21), np.tile(pixels[:5], (21, 1)).T]
    return [np.asarray(values, np.float32).tobytes() for values in boxes]


def saved(how: Callable, *values: object, **named: object) -> bytes:
    """What one of NumPy's writers writes."""
    file = BytesIO()
    how(file, *values, **named)
    return file.getvalue()


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "folder": lambda: [picture("PNG"), COMIC, pages_of("TIFF"), pages_of("GIF")],
    "cbz": lambda: [written(write_zip, members()), written(write_zip, nested()), *odd_zips()],
    "cbt": lambda: [*tars(), packed(tars()[0])],
    "cb7": lambda: [written(write_7z, members()), written(write_7z, nested())],
    "cbr": lambda: [written(write_rar, members()), written(write_rar, nested())],
    "epub": lambda: [written(write_zip, book()), written(write_zip, shelf())],
    "epub-package": lambda: [book()["OPS/book.opf"]],
    "epub-container": lambda: [book()["META-INF/container.xml"]],
    "epub-page": lambda: [book()[f"OPS/text/{name}.xhtml"] for name in ("00", "01")] + odd_texts(),
    "pdf": documents,
    "any-volume": lambda: [*SEEDS["cbz"](), *SEEDS["cbt"](), *SEEDS["cb7"](), *SEEDS["cbr"](), *documents()],
    "comicinfo": lambda: [COMIC, book()["OPS/book.opf"]],
    "manga109": lambda: [ANNOTATIONS, *RESIZED],
    "boxes": lambda: [b"volume\tpage\tleft\ttop\tright\tbottom\nv\t0.png\t1\t2\t20\t25.5\nv\t1.png\t0\t0\t9\t9\n"],
    "image": lambda: pictures() + odd_pictures(),
    "works": works_tables,
    "casts": lambda: [b"work\tstyle\tpart\tparts\tcharacters\tvolumes\tpages\nw\tlorelei\t0\t2\t8\t1\t2\n"],
    "config": lambda: [
        CONFIG,  # and as Snakemake hands on what stands on a command line
        b"corpus: 24\nworks: 'a {b}.tsv'\ngrid: {rank: ['4'], alpha: ['1', '2.5']}\nl2: ['true', 'False']\nseed: '7'\n"
        b"training: {min_snr: 'null', learning_rate: '1e-4'}\nmachine: {recompute: 'true', pack: '3'}\ncasts: ''\n",
    ],
    "pages": lambda: [
        b"author\twork\tvolume\tpage\twidth\theight\tsha256\tsource\tmember\n"
        b"A\tw\tv\t1.png\t15\t12\t" + KEY.encode() + b"\tnowhere/a.cbz\t1.png\n"
    ],
    "faces": lambda: [b"face\tfile\tsha256\n00000\t00000.png\ta\n00001\t00001.png\tb\n00002\t00002.png\tc\n"],
    "lora": loras,
    "lora-header": lambda: [header_of(data) for data in loras()],
    "lora-alphas": lambda: [b'{"unet.lora_alpha": 4, "unet.alpha_pattern": {"conv_in": 2, "conv_\\\\w+": 3}}'],
    "convert": loras,
    "latents": latents,
    "latents-header": lambda: [header_of(data) for data in latents()],
    "captions": captions,
    "captions-header": lambda: [header_of(data) for data in captions()],
    "entry": lambda: [stored({"mean": np.zeros((2, 1, 2, 2), np.float32)}, {"key": KEY})],
    "known": lambda: [stored({"gram": np.eye(1)}, {"ids": '["one"]', "hash": "x"})],
    "gram": lambda: [saved(np.save, np.eye(2)), saved(np.save, np.eye(2, dtype=np.float32))],
    "layer-grams": lambda: [saved(np.savez, grams=np.ones((1, 2, 2)), layers=["x"], **dict.fromkeys(ROWS, ["a", "b"]))],
    "nulls": lambda: [
        saved(
            kind,
            **{"work.observed": 0.5, "work.values": np.arange(3) / 4, "work.exhaustive": True, "work.permuted": "ab"},
            **{"work.min_attainable_p": 1 / 3},
        )
        for kind in (np.savez, np.savez_compressed)
    ],
    "map": lambda: [b"author\twork\tset\tc01\tc02\nA\tw\t00\t0.5\t-1e-3\nB\tv\t00\t2\t3\n"],
    "skipped": lambda: [b"source\tmember\tcause\tcount\treason\na.cbz\t1.png\tunreadable\t1\tcut short\n"],
    "description": lambda: [json.dumps(BASE).encode()],
    "onnx": detectors,
    "onnx-answer": answers,
}  # fmt: skip
