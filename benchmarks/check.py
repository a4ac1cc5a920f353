"""How long `egara check` takes on shelves as users have them.

    python benchmarks/check.py

demo: the demo's configuration. paper: config/paper.yaml with 11 works of 10 CBZ of 180 pages each. manga109: 109
annotated books of 94 pages each. Volumes are composed in a temporary folder, of one page in many copies.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from egara.cores import usable_cores

ROOT = Path(__file__).resolve().parents[1]
BOOKS, PAGES = 109, 94  # Manga109 has 10,251 annotated pages
BOXES = {"face": 12, "body": 16, "frame": 10, "text": 14}  # a page, about as many as it has


def draw_page(width: int, height: int) -> bytes:
    """Return a page of about 300 KB."""
    draw = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8), np.uint8)
    stream = BytesIO()
    Image.fromarray(draw).resize((width, height), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def write_shelf(folder: Path, works: int, volumes: int, pages: int) -> Path:
    """Write CBZ volumes and return their works table; a volume's file is linked, not copied."""
    page, rows = draw_page(1350, 1920), []
    first = folder / "first.cbz"
    with zipfile.ZipFile(first, "w") as archive:
        for number in range(pages):
            archive.writestr(f"{number:03d}.jpg", page)
    for work in range(works):
        place = folder / f"work {work}"
        place.mkdir()
        for volume in range(volumes):
            os.link(first, place / f"v{volume:02d}.cbz")
        rows.append(f"author {work // 2}\twork-{work}\t{place}/*.cbz")
    return write_table(folder, rows)


def write_manga109(folder: Path) -> Path:
    """Write a folder in Manga109's layout and return its works table."""
    first, rows = folder / "page.jpg", []
    first.write_bytes(draw_page(1654, 1170))
    (folder / "annotations").mkdir()
    draw = np.random.default_rng(0)
    for book in range(BOOKS):
        name = f"Book{book:03d}"
        place = folder / "images" / name
        place.mkdir(parents=True)
        lines = [f'<book title="{name}"><characters/><pages>']
        for page in range(PAGES):
            os.link(first, place / f"{page:03d}.jpg")
            lines.append(f'<page index="{page}" width="1654" height="1170">')
            for kind, count in BOXES.items():
                for x, y, side in draw.integers(40, 300, (count, 3)):
                    box = f'xmin="{x}" ymin="{y}" xmax="{x + side}" ymax="{y + side}" character="00000000"'
                    lines.append(f'<{kind} id="00000000" {box}/>')
            lines.append("</page>")
        (folder / "annotations" / f"{name}.xml").write_text("\n".join([*lines, "</pages></book>"]))
        rows.append(f"author {book}\t{name}\t{place}")
    return write_table(folder, rows)


def write_table(folder: Path, rows: list[str]) -> Path:
    """Write a works table."""
    table = folder / "works.tsv"
    table.write_text("\n".join(["author\twork\tvolumes", *rows]) + "\n", encoding="utf-8")
    return table


def time_check(name: str, arguments: list[str], folder: Path, repeats: int) -> None:
    """Print the seconds of each repeat."""
    command = [sys.executable, "-m", "egara", "check", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    for number in range(repeats):
        start = time.perf_counter()
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        print(f"{name:10s} {seconds:5.1f} s, {len(ran.stdout.splitlines())} lines, status {ran.returncode}", flush=True)
        if not number:
            print(ran.stdout + ran.stderr, file=sys.stderr)


def main() -> None:
    """Time all shelves."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--repeats", type=int, default=3, help="checks of each shelf")
    options = arguments.parse_args()
    print(f"{usable_cores()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        time_check("demo", ["config/config.yaml"], folder, options.repeats)
        (folder / "paper").mkdir()
        table = write_shelf(folder / "paper", 11, 10, 180)
        time_check("paper", ["config/paper.yaml", "--works", str(table)], folder, options.repeats)
        (folder / "manga109").mkdir()
        table = write_manga109(folder / "manga109")
        detector = f"--set=faces.detector=annotations:{folder / 'manga109' / 'annotations'}"
        time_check("manga109", ["config/paper.yaml", "--works", str(table), detector], folder, options.repeats)


if __name__ == "__main__":
    main()
