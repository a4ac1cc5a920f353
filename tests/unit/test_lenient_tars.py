"""Tars: packed, damaged, truncated, and with further archives behind their end."""

import os
import tarfile
from io import BytesIO

import pytest
from containers import page, read_twice

from egara.corpus.limits import Limits
from egara.io.errors import EgaraError


def test_limits_hold_for_compressed_tars(tmp_path):
    import gzip

    (tmp_path / "v01.cbt").write_bytes(gzip.compress(bytes(30 * 2**20)))
    with pytest.raises(EgaraError, match=r"decompression bomb; expected at most 200 times \(pages\.limits\.ratio\)"):
        read_twice(tmp_path / "v01.cbt")
    (tmp_path / "v02.cbt").write_bytes(gzip.compress(os.urandom(3 * 2**20), 1))
    with pytest.raises(EgaraError, match=r"pages\.limits\.volume"):
        read_twice(tmp_path / "v02.cbt", limits=Limits(volume=1, ratio_from=1))


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
    "hole": (with_a_hole, [40, 42, 43], "ends, but continues at byte"),
    "cut in a header": (lambda data: data[: data.index(b"a2.jpg") + 200], [40, 41], "is damaged before byte"),
    "another behind": (lambda data: data + tar("b", 2), [40, 41, 42, 43, 40, 41], "ends, but continues at byte"),
    "garbage behind": (lambda data: data + b"garbage" * 999, [40, 41, 42, 43], ""),
}


@pytest.mark.parametrize("case", TARS)
def test_tar_is_read_beyond_a_damaged_header(tmp_path, case):
    change, widths, words = TARS[case]
    (tmp_path / "v01.cbt").write_bytes(change(tar("a")))
    volume = read_twice(tmp_path / "v01.cbt")
    assert [row["width"] for row in volume.pages] == widths
    assert [row["cause"] for row in volume.skipped] == (["unreadable"] if words else [])
    assert not words or words in volume.skipped[0]["reason"]


def test_tar_without_an_end_marker_is_a_warning(tmp_path):
    data = tar("a")
    (tmp_path / "v01.cbt").write_bytes(data[: data.index(b"a2.jpg")])
    volume = read_twice(tmp_path / "v01.cbt")
    assert len(volume.pages) == 2
    assert "no end marker" in volume.warnings[0]
