"""Every kind of volume gives the same pages in natural order, and opens them again."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from containers import NAMES, page, pages, write_7z, write_epub, write_folder, write_rar, write_tar, write_zip
from PIL import Image

from egara.corpus import iterate_pages, list_volume, open_page
from egara.corpus.limits import Limits
from egara.corpus.sources import open_volume
from egara.io.errors import EgaraError


def listed(path: Path, **options) -> pd.DataFrame:
    return pd.DataFrame(list_volume(path, "v01", "An Author", "A Work", **options).pages)


def test_reading_order_is_natural_in_every_container(tmp_path):
    stored = pages()
    shuffled = dict(sorted(stored.items()))  # 10.jpg before 2.jpg
    assert list(shuffled) != NAMES

    folder = tmp_path / "folder"
    write_folder(folder, shuffled)
    write_zip(tmp_path / "a.cbz", shuffled)
    write_tar(tmp_path / "a.cbt", shuffled)
    write_rar(tmp_path / "a.cbr", shuffled)
    write_7z(tmp_path / "a.cb7", shuffled)
    for volume in (folder, *(tmp_path / f"a.{suffix}" for suffix in ("cbz", "cbt", "cbr", "cb7"))):
        table = listed(volume)
        assert list(table.page) == NAMES, volume
        assert list(table.sha256) == [hashlib.sha256(stored[name]).hexdigest() for name in NAMES]
        shown = [image for _, image in iterate_pages(table)]
        assert [image.size for image in shown] == list(zip(table.width, table.height, strict=True))
        assert [round(np.asarray(image).mean()) for image in shown] == pytest.approx([10, 20, 30, 40], abs=2)
        assert open_page(table.iloc[2]).tobytes() == shown[2].tobytes()


def test_volumes_are_opened_by_content_not_extension(tmp_path):
    write_zip(tmp_path / "wrong.cbr", pages())
    write_rar(tmp_path / "wrong.cbz", pages())
    assert len(listed(tmp_path / "wrong.cbr")) == len(listed(tmp_path / "wrong.cbz")) == 4


def test_system_files_are_not_pages(tmp_path):
    left = {"__MACOSX/._1.jpg": b"x", "Thumbs.db": b"x", ".hidden/2.jpg": b"x", "._1.jpg": b"x", "notes.txt": b"x"}
    write_zip(tmp_path / "a.cbz", {**left, **pages(), "folder/": b""})
    volume = list_volume(tmp_path / "a.cbz", "v01", "a", "w")
    assert [row["page"] for row in volume.pages] == NAMES
    left = {row["member"]: (row["cause"], row["count"]) for row in volume.skipped}
    assert left == {
        "__MACOSX": ("system", 1),
        "Thumbs.db": ("system", 1),
        ".hidden": ("system", 1),
        "._1.jpg": ("system", 1),
        "notes.txt": ("foreign", 1),
    }


def test_epub_follows_its_spine_and_not_its_names(tmp_path):
    order = ["z.png", "a.png", "m.png"]
    write_epub(tmp_path / "book.epub", order, title="A Work", author="Author, An")
    table = listed(tmp_path / "book.epub")
    assert list(table.page) == [f"OPS/images/{name}" for name in order]
    assert [image.getpixel((0, 0)) for _, image in iterate_pages(table)] == [10, 20, 30]


def test_epub_lists_an_image_that_is_missing(tmp_path):
    write_epub(tmp_path / "book.epub", ["a.png", "b.png"], without=("b.png",))
    volume = list_volume(tmp_path / "book.epub", "v01", "a", "w")
    assert [row["page"] for row in volume.pages] == ["OPS/images/a.png"]
    assert [row["member"] for row in volume.skipped] == ["OPS/images/b.png"]


def test_pdf_is_rendered_again_as_it_was_listed(tmp_path):
    first = Image.new("L", (301, 403), 90)
    first.save(tmp_path / "a.pdf", save_all=True, append_images=[Image.new("RGB", (400, 200), "red")])
    table = listed(tmp_path / "a.pdf", dpi=100)
    assert list(table.page) == ["p0001", "p0002"]
    assert list(zip(table.width, table.height, strict=True)) == [(301, 403), (400, 200)]
    shown = [image for _, image in iterate_pages(table.iloc[::-1])]
    assert [image.mode for image in shown] == ["RGB", "L"]
    assert shown[0].getpixel((278, 139)) == pytest.approx((255, 0, 0), abs=3)
    assert shown[1].size == (301, 403)


def test_pages_open_in_the_order_of_the_table(tmp_path):
    write_7z(tmp_path / "a.cb7", pages())
    write_zip(tmp_path / "b.cbz", pages())
    table = pd.concat([listed(tmp_path / "a.cb7").iloc[[3, 0, 2, 0]], listed(tmp_path / "b.cbz").iloc[[1, 0]]])
    shown = list(iterate_pages(table))
    assert [row["page"] for row, _ in shown] == [NAMES[i] for i in (3, 0, 2, 0, 1, 0)]
    expected = [10 * (i + 1) for i in (3, 0, 2, 0, 1, 0)]
    assert [round(np.asarray(image).mean()) for _, image in shown] == pytest.approx(expected, abs=2)


def test_changed_volume_is_an_error(tmp_path):
    path = tmp_path / "a.cbz"
    write_zip(path, pages())
    table = listed(path)
    write_zip(path, {**pages(), "2.jpg": page(99)})
    with pytest.raises(EgaraError, match=r"a\.cbz: page 2\.jpg: the volume changed"):
        list(iterate_pages(table))
    write_zip(path, {"1.jpg": pages()["1.jpg"]})
    with pytest.raises(EgaraError, match="not in the archive; the volume changed"):
        list(iterate_pages(table))
    path.unlink()
    with pytest.raises(EgaraError, match=r"a\.cbz: cannot be read"):
        open_page(table.iloc[0])


def test_zip_members_named_twice_are_one_page(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.cbz", "w") as archive, pytest.warns(UserWarning):
        archive.writestr("1.jpg", page(10))
        archive.writestr("1.jpg", page(20))
    with open_volume(tmp_path / "a.cbz", Limits()) as source:
        assert source.members == ["1.jpg"]


def test_one_page_is_in_memory_at_a_time(tmp_path, monkeypatch):
    write_zip(tmp_path / "a.cbz", pages())
    alive, most = 0, 0
    opened = Image.open

    class Counted:
        def __init__(self, image):
            nonlocal alive, most
            self.image = image
            alive += 1
            most = max(most, alive)

        def __getattr__(self, name):
            return getattr(self.image, name)

        def __del__(self):
            nonlocal alive
            alive -= 1

    monkeypatch.setattr(Image, "open", lambda *a, **k: Counted(opened(*a, **k)))
    listed(tmp_path / "a.cbz")
    assert most == 1
