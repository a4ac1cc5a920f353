"""Names in Shift JIS, duplicate names and encrypted or damaged members in several containers."""

import struct
import tarfile
import zipfile
import zlib
from io import BytesIO

import numpy as np
import pytest
from containers import NAMES, page, pages, read_twice, write_7z, write_rar, write_zip
from PIL import Image


@pytest.mark.parametrize("writer", [write_zip, write_rar])
@pytest.mark.parametrize("name", ["第一巻/ソード表.jpg", "表\\能.jpg"])
def test_names_in_shift_jis(tmp_path, writer, name):
    stored = name.encode("cp932")
    placeholder = "x" * (len(stored) - 4) + ".jpg"
    writer(tmp_path / "v01.cbz", {placeholder: page(1), "2.jpg": page(2)})
    data = (tmp_path / "v01.cbz").read_bytes().replace(placeholder.encode(), stored)
    if writer is write_rar:
        write_rar(tmp_path / "v01.cbz", {Encoded(placeholder, stored): page(1), "2.jpg": page(2)})
    else:
        (tmp_path / "v01.cbz").write_bytes(data)
    volume = read_twice(tmp_path / "v01.cbz")
    assert sorted(row["width"] for row in volume.pages) == [41, 42]
    assert any("表" in row["page"] for row in volume.pages)


class Encoded(str):
    """A name that an archive's writer stores as other bytes."""

    def __new__(cls, name, stored):
        made = super().__new__(cls, name)
        made.stored = stored
        return made

    def encode(self, *_):
        return self.stored


def test_last_of_duplicate_members_is_used(tmp_path):
    with pytest.warns(UserWarning), zipfile.ZipFile(tmp_path / "v01.cbz", "w") as archive:
        for grey in (10, 20, 30):
            archive.writestr("1.jpg", page(grey))
    with tarfile.open(tmp_path / "v01.cbt", "w") as archive:
        for grey in (10, 20, 30):
            info = tarfile.TarInfo("1.jpg")
            info.size = len(page(grey))
            archive.addfile(info, BytesIO(page(grey)))
    for name in ("v01.cbz", "v01.cbt"):
        volume = read_twice(tmp_path / name)
        assert [row["width"] for row in volume.pages] == [70]
        assert {row["cause"] for row in volume.skipped} == {"duplicate"}
        assert sum(row["count"] for row in volume.skipped) == 2


def test_encrypted_member_of_a_rar_is_left_out(tmp_path):
    path = tmp_path / "v01.cbr"
    write_rar(path, pages())
    data = bytearray(path.read_bytes())
    header = data.index(b"2.jpg") - 32
    data[header + 3] |= 4
    data[header : header + 2] = struct.pack("<H", zlib.crc32(bytes(data[header + 2 : header + 37])) & 0xFFFF)
    path.write_bytes(data)
    volume = read_twice(path)
    assert [row["page"] for row in volume.pages] == [name for name in NAMES if name != "2.jpg"]
    assert [(row["member"], row["cause"]) for row in volume.skipped] == [("2.jpg", "unreadable")]


def test_damaged_7z_gives_the_members_before_the_damage(tmp_path):
    noise = {f"{n}.png": noisy(n) for n in range(6)}
    write_7z(tmp_path / "v01.cb7", noise)
    data = bytearray((tmp_path / "v01.cb7").read_bytes())
    data[len(data) * 4 // 5] ^= 255
    (tmp_path / "v01.cb7").write_bytes(data)
    volume = read_twice(tmp_path / "v01.cb7")
    assert len(volume.pages) + len(volume.skipped) == 6
    assert volume.pages
    assert volume.skipped
    assert {row["cause"] for row in volume.skipped} == {"unreadable"}


def noisy(seed):
    file = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (400, 300), np.uint8)).save(file, "PNG")
    return file.getvalue()
