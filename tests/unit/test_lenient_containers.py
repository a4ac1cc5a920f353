"""Archives that are whole where it counts: what a container says twice, or beside its members, refuses nothing."""

import os
import struct
import tarfile
import zipfile
import zlib
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_corpus_containers import NAMES, page, pages, write_7z, write_rar, write_tar, write_zip

from egara.corpus import iterate_pages, list_volume
from egara.corpus.limits import Limits
from egara.io.errors import EgaraError

WIDTHS = [50, 60, 70, 80]
LOCAL, ENTRY, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def read(path, **options):
    """List a volume, and open its pages again from their rows."""
    volume = list_volume(path, "v01", "An Author", "A Work", **options)
    shown = [image.width for _, image in iterate_pages(pd.DataFrame(volume.pages))]
    assert shown == [row["width"] for row in volume.pages]
    return volume


def zipped(stored=None, **options) -> bytearray:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in (stored or pages()).items():
            archive.writestr(name, data)
    return bytearray(file.getvalue())


def each(data: bytearray, signature: bytes):
    """Yield where each header of a kind stands."""
    place = data.find(signature)
    while place >= 0:
        yield place
        place = data.find(signature, place + 4)


def other_local_names(data):
    for place in each(data, LOCAL):
        data[place + 30 : place + 32] = b"\\?"
    return data


def other_local_flags(data):
    for place in each(data, LOCAL):
        data[place + 7] ^= 8
    return data


def other_local_sizes(data):
    for place in each(data, LOCAL):
        data[place + 14 : place + 26] = bytes(12)
    return data


def odd_extra_fields(data):
    """Fields that state more bytes than there are, which zipfile calls corrupt."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in pages().items():
            info = zipfile.ZipInfo(name)
            info.extra = b"\x01\x00\xff\x7f" + b"x" * 6
            archive.writestr(info, content)
    return bytearray(file.getvalue())


def bytes_before(data):
    return b"MZ" + bytes(700) + data


def bytes_after(data):
    return data + bytes(100_000)


def spanned_marker(data):
    return b"PK00" + data


def long_comment(data):
    data[-2:] = struct.pack("<H", 500)
    return data + b"PK\x05\x06" + b"c" * 496


def false_comment(data):
    data[-2:] = struct.pack("<H", 500)
    return data


def empty_end_in_comment(data):
    data[-2:] = struct.pack("<H", 40)
    return data + b"PK\x05\x06" + bytes(36)


def wrong_count(data):
    data[-14:-10] = struct.pack("<HH", 9, 9)
    return data


CHANGES = [other_local_names, other_local_flags, other_local_sizes, odd_extra_fields, bytes_before, bytes_after]
CHANGES += [spanned_marker, long_comment, false_comment, empty_end_in_comment, wrong_count]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_zip_whose_members_are_whole_is_read(tmp_path, change):
    path = tmp_path / "v01.cbz"
    path.write_bytes(change(zipped()))
    volume = read(path)
    assert [row["width"] for row in volume.pages] == WIDTHS and volume.skipped == []


@pytest.mark.parametrize("streamed", [False, True])
def test_a_lost_directory_costs_no_member_and_is_told(tmp_path, streamed):
    class Pipe(BytesIO):
        def seekable(self):
            return False

        def tell(self):
            raise OSError

    file = Pipe() if streamed else BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in pages().items():
            archive.writestr(name, data)
    data = file.getvalue()
    path = tmp_path / "v01.cbz"
    path.write_bytes(data[: data.index(ENTRY)])
    volume = read(path)
    assert [row["page"] for row in volume.pages] == NAMES
    assert "4 members found" in volume.skipped[0]["reason"]
    with pytest.raises(EgaraError, match="its directory is lost"):
        read(path, unreadable="error")


def test_a_checksum_still_decides(tmp_path):
    data = other_local_names(zipped())
    third = list(each(data, LOCAL))[2]
    data[third + 30 + 6 + 40] ^= 255
    (tmp_path / "v01.cbz").write_bytes(data)
    volume = read(tmp_path / "v01.cbz")
    assert len(volume.pages) == 3
    assert [(row["member"], row["cause"]) for row in volume.skipped] == [("10.jpg", "unreadable")]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_zip_is_read(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "v01.cbz", "w", method) as archive:
        for name, data in pages().items():
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(data)
    assert [row["width"] for row in read(tmp_path / "v01.cbz").pages] == WIDTHS


@pytest.mark.parametrize("writer", [write_zip, write_rar])
@pytest.mark.parametrize("name", ["第一巻/ソード表.jpg", "表\\能.jpg"])
def test_names_in_shift_jis_are_read_as_such(tmp_path, writer, name):
    stored = name.encode("cp932")
    placeholder = "x" * (len(stored) - 4) + ".jpg"
    writer(tmp_path / "v01.cbz", {placeholder: page(1), "2.jpg": page(2)})
    data = (tmp_path / "v01.cbz").read_bytes().replace(placeholder.encode(), stored)
    if writer is write_rar:
        write_rar(tmp_path / "v01.cbz", {Encoded(placeholder, stored): page(1), "2.jpg": page(2)})
    else:
        (tmp_path / "v01.cbz").write_bytes(data)
    volume = read(tmp_path / "v01.cbz")
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


def test_a_member_of_a_hostile_name_costs_at_most_itself(tmp_path):
    stored = pages() | {"../../x.jpg": page(1), "/": b"", "C:/a.jpg": page(2), "..": b"", "a\x1b[31m\r.jpg": page(3)}
    write_zip(tmp_path / "v01.cbz", stored)
    volume = read(tmp_path / "v01.cbz")
    assert len(volume.pages) == 7
    assert "a\\x1b[31m\\r.jpg" in [row["page"] for row in volume.pages]


def test_of_members_with_one_name_the_last_is_taken_and_told(tmp_path):
    with pytest.warns(UserWarning), zipfile.ZipFile(tmp_path / "v01.cbz", "w") as archive:
        for grey in (10, 20, 30):
            archive.writestr("1.jpg", page(grey))
    with tarfile.open(tmp_path / "v01.cbt", "w") as archive:
        for grey in (10, 20, 30):
            info = tarfile.TarInfo("1.jpg")
            info.size = len(page(grey))
            archive.addfile(info, BytesIO(page(grey)))
    for name in ("v01.cbz", "v01.cbt"):
        volume = read(tmp_path / name)
        assert [row["width"] for row in volume.pages] == [70]
        assert {row["cause"] for row in volume.skipped} == {"duplicate"}
        assert sum(row["count"] for row in volume.skipped) == 2


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("suffix", [".cbt", ".tar.{}", ".cbz"])
def test_packed_tars_are_read(tmp_path, packing, suffix):
    write_tar(tmp_path / "a.tar", pages())
    path = tmp_path / f"v01{suffix.format(packing)}"
    import bz2
    import gzip
    import lzma

    pack = {"gz": gzip, "bz2": bz2, "xz": lzma}[packing].compress
    path.write_bytes(pack((tmp_path / "a.tar").read_bytes()))
    assert [row["width"] for row in read(path).pages] == WIDTHS
    path.write_bytes(path.read_bytes()[:-60])
    try:
        volume = read(path)
    except EgaraError as error:
        assert "cut short or damaged" in str(error)
    else:
        assert any("cut short or damaged" in row["reason"] for row in volume.skipped)


def test_a_packed_tar_is_no_way_around_the_limits(tmp_path):
    import gzip

    (tmp_path / "v01.cbt").write_bytes(gzip.compress(bytes(30 * 2**20)))
    with pytest.raises(EgaraError, match=r"decompression bomb; expected at most 200 times \(pages\.limits\.ratio\)"):
        read(tmp_path / "v01.cbt")
    (tmp_path / "v02.cbt").write_bytes(gzip.compress(os.urandom(3 * 2**20), 1))
    with pytest.raises(EgaraError, match=r"pages\.limits\.volume"):
        read(tmp_path / "v02.cbt", limits=Limits(volume=1, ratio_from=1))


def test_an_encrypted_member_of_a_rar_costs_itself(tmp_path):
    path = tmp_path / "v01.cbr"
    write_rar(path, pages())
    data = bytearray(path.read_bytes())
    header = data.index(b"2.jpg") - 32
    data[header + 3] |= 4
    data[header : header + 2] = struct.pack("<H", zlib.crc32(bytes(data[header + 2 : header + 37])) & 0xFFFF)
    path.write_bytes(data)
    volume = read(path)
    assert [row["page"] for row in volume.pages] == [name for name in NAMES if name != "2.jpg"]
    assert [(row["member"], row["cause"]) for row in volume.skipped] == [("2.jpg", "unreadable")]


def test_a_7z_that_breaks_off_gives_what_comes_before(tmp_path):
    noise = {f"{n}.png": noisy(n) for n in range(6)}
    write_7z(tmp_path / "v01.cb7", noise)
    data = bytearray((tmp_path / "v01.cb7").read_bytes())
    data[len(data) * 4 // 5] ^= 255
    (tmp_path / "v01.cb7").write_bytes(data)
    volume = read(tmp_path / "v01.cb7")
    assert len(volume.pages) + len(volume.skipped) == 6 and volume.pages and volume.skipped
    assert {row["cause"] for row in volume.skipped} == {"unreadable"}


def noisy(seed):
    file = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (400, 300), np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_an_encrypted_member_of_a_zip_costs_itself(tmp_path):
    data = zipped()
    place = next(place for place in each(data, ENTRY) if data[place + 46 : place + 51] == b"2.jpg")
    data[place + 8] |= 1
    (tmp_path / "v01.cbz").write_bytes(data)
    volume = read(tmp_path / "v01.cbz")
    assert len(volume.pages) == 3 and "without a password" in volume.skipped[0]["reason"]


def test_how_a_member_is_packed_is_named_where_nothing_reads_it(tmp_path):
    for method, name in {9: "Deflate64", 93: "Zstandard", 97: "method 97"}.items():
        data = zipped()
        struct.pack_into("<H", data, 8, method)
        struct.pack_into("<H", data, data.index(ENTRY) + 10, method)
        (tmp_path / "v01.cbz").write_bytes(data)
        volume = read(tmp_path / "v01.cbz")
        assert len(volume.pages) == 3
        assert volume.skipped[0]["reason"].startswith(f"packed with {name}, which is not read; expected")


def tar(name, count=4):
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number in range(count):
            info = tarfile.TarInfo(f"{name}{number}.jpg")
            info.size = len(page(number))
            archive.addfile(info, BytesIO(page(number)))
    return bytearray(file.getvalue())


def with_a_false_bit(data):
    data[data.index(b"a1.jpg") + 100] ^= 1
    return data


def with_a_hole(data):
    place = data.index(b"a1.jpg")
    data[place : place + 1024] = bytes(1024)
    return data


TARS = {  # change of the tar, pages that are left, words of the row
    "bit": (with_a_false_bit, [40, 42, 43], "is damaged before byte"),
    "hole": (with_a_hole, [40, 42, 43], "ends, and goes on at byte"),
    "cut in a header": (lambda data: data[: data.index(b"a2.jpg") + 200], [40, 41], "is damaged before byte"),
    "another behind": (lambda data: data + tar("b", 2), [40, 41, 42, 43, 40, 41], "ends, and goes on at byte"),
    "garbage behind": (lambda data: data + b"garbage" * 999, [40, 41, 42, 43], ""),
}


@pytest.mark.parametrize("case", TARS)
def test_a_tar_goes_on_behind_a_damaged_header(tmp_path, case):
    change, widths, words = TARS[case]
    (tmp_path / "v01.cbt").write_bytes(change(tar("a")))
    volume = read(tmp_path / "v01.cbt")
    assert [row["width"] for row in volume.pages] == widths
    assert [row["cause"] for row in volume.skipped] == (["unreadable"] if words else [])
    assert not words or words in volume.skipped[0]["reason"]


def test_a_tar_without_its_end_is_pointed_out(tmp_path):
    data = tar("a")
    (tmp_path / "v01.cbt").write_bytes(data[: data.index(b"a2.jpg")])
    volume = read(tmp_path / "v01.cbt")
    assert len(volume.pages) == 2 and "without an end marker" in volume.warnings[0]
