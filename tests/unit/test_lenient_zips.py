"""ZIP archives with contradictory or damaged headers are read as far as their members are intact."""

import struct
import zipfile
from io import BytesIO

import pytest
from containers import NAMES, WIDTHS, page, pages, read_twice, write_tar, write_zip

from egara.io.errors import EgaraError

LOCAL, ENTRY, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


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


CHANGES = [
    other_local_names, other_local_flags, other_local_sizes, odd_extra_fields, bytes_before, bytes_after,
    spanned_marker, long_comment, false_comment, empty_end_in_comment, wrong_count,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_zip_with_intact_members_is_read(tmp_path, change):
    path = tmp_path / "v01.cbz"
    path.write_bytes(change(zipped()))
    volume = read_twice(path)
    assert [row["width"] for row in volume.pages] == WIDTHS
    assert volume.skipped == []


@pytest.mark.parametrize("streamed", [False, True])
def test_missing_directory_is_reported_and_loses_no_member(tmp_path, streamed):
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
    volume = read_twice(path)
    assert [row["page"] for row in volume.pages] == NAMES
    assert "4 members found" in volume.skipped[0]["reason"]
    with pytest.raises(EgaraError, match="its central directory is missing"):
        read_twice(path, unreadable="error")


def test_checksums_are_still_checked(tmp_path):
    data = other_local_names(zipped())
    third = list(each(data, LOCAL))[2]
    data[third + 30 + 6 + 40] ^= 255
    (tmp_path / "v01.cbz").write_bytes(data)
    volume = read_twice(tmp_path / "v01.cbz")
    assert len(volume.pages) == 3
    assert [(row["member"], row["cause"]) for row in volume.skipped] == [("10.jpg", "unreadable")]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_zip_is_read(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "v01.cbz", "w", method) as archive:
        for name, data in pages().items():
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(data)
    assert [row["width"] for row in read_twice(tmp_path / "v01.cbz").pages] == WIDTHS


def test_hostile_names_affect_no_other_member(tmp_path):
    stored = pages() | {"../../x.jpg": page(1), "/": b"", "C:/a.jpg": page(2), "..": b"", "a\x1b[31m\r.jpg": page(3)}
    write_zip(tmp_path / "v01.cbz", stored)
    volume = read_twice(tmp_path / "v01.cbz")
    assert len(volume.pages) == 7
    assert "a\\x1b[31m\\r.jpg" in [row["page"] for row in volume.pages]


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("suffix", [".cbt", ".tar.{}", ".cbz"])
def test_compressed_tars_are_read(tmp_path, packing, suffix):
    write_tar(tmp_path / "a.tar", pages())
    path = tmp_path / f"v01{suffix.format(packing)}"
    import bz2
    import gzip
    import lzma

    pack = {"gz": gzip, "bz2": bz2, "xz": lzma}[packing].compress
    path.write_bytes(pack((tmp_path / "a.tar").read_bytes()))
    assert [row["width"] for row in read_twice(path).pages] == WIDTHS
    path.write_bytes(path.read_bytes()[:-60])
    try:
        volume = read_twice(path)
    except EgaraError as error:
        assert "truncated or damaged" in str(error)
    else:
        assert any("truncated or damaged" in row["reason"] for row in volume.skipped)


def test_encrypted_member_of_a_zip_is_left_out(tmp_path):
    data = zipped()
    place = next(place for place in each(data, ENTRY) if data[place + 46 : place + 51] == b"2.jpg")
    data[place + 8] |= 1
    (tmp_path / "v01.cbz").write_bytes(data)
    volume = read_twice(tmp_path / "v01.cbz")
    assert len(volume.pages) == 3
    assert "without a password" in volume.skipped[0]["reason"]


def test_unsupported_compression_is_named(tmp_path):
    for method, name in {9: "Deflate64", 93: "Zstandard", 97: "method 97"}.items():
        data = zipped()
        struct.pack_into("<H", data, 8, method)
        struct.pack_into("<H", data, data.index(ENTRY) + 10, method)
        (tmp_path / "v01.cbz").write_bytes(data)
        volume = read_twice(tmp_path / "v01.cbz")
        assert len(volume.pages) == 3
        assert volume.skipped[0]["reason"].startswith(f"compressed with {name}, which is not supported; expected")
