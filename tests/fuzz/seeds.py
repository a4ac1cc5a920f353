"""Small valid files of every kind that Egara reads, by target; fuzzing starts from them."""

import json
from collections.abc import Callable
from csv import writer
from gzip import compress as packed
from io import StringIO

import numpy as np
from containers import write_7z, write_rar, write_zip
from fuzz.seed_tensors import BASE, KEY, captions, detectors, header_of, latents, loras, outputs, saved, stored
from fuzz.seed_volumes import (
    COMIC,
    book,
    documents,
    members,
    nested,
    odd_pictures,
    odd_texts,
    odd_zips,
    pages_of,
    picture,
    pictures,
    shelf,
    tars,
    written,
)


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
    b"training: {max_train_steps: 3, learning_rate: 0.001, snr_gamma: 5, target_modules: [to_q]}\n"
    b"controls: {kinds: [token], sets: 2}\n"
    b"representations: [delta, factors-layerwise]\nl2: [true]\nsamples: {lora_scales: [-1, 2.5]}\n"
)

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
        b"training: {snr_gamma: 'null', learning_rate: '1e-4'}\n"
        b"machine: {gradient_checkpointing: 'true', pack: '3'}\ncasts: ''\n",
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
    "entry": lambda: [stored({"mean": np.zeros((2, 1, 2, 2), np.float32)}, {"egara": json.dumps({"key": KEY})})],
    "known": lambda: [stored({"gram": np.eye(1)}, {"egara": '{"ids": ["one"]}'})],
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
    "onnx-answer": outputs,
}  # fmt: skip
