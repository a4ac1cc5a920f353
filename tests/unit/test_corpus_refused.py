"""Volumes that cannot be read at all: empty, encrypted, solid, listed twice, of unknown types."""

import sys

import pandas as pd
import pytest
from containers import ARCHIVES, WRITERS, epub_members, page, pages, read, write_folder, write_rar, write_zip
from fuzz.guard import writing_only
from PIL import Image

from egara.corpus import iterate_pages
from egara.corpus.pages import NoPage, remove_duplicates
from egara.corpus.sources import find_volumes
from egara.io.errors import EgaraError


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("name", ["../1.jpg", "a/../../1.jpg", "/etc/1.jpg", "C:\\1.jpg", "..\\1.jpg", "X: 1/1.jpg"])
def test_member_names_are_only_labels(tmp_path, kind, name):
    path = tmp_path / f"v01.{kind}"
    WRITERS[kind](path, {"2.jpg": page(2), name: page(1)})
    with writing_only():
        volume = read(path)
        shown = {row["page"]: image.width for row, image in iterate_pages(pd.DataFrame(volume.pages))}
    assert len(shown) == 2
    assert sorted(shown.values()) == [41, 42]
    assert volume.skipped == []
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ARCHIVES)
def test_empty_archives(tmp_path, kind):
    path = tmp_path / f"v01.{kind}"
    WRITERS[kind](path, {})
    with pytest.raises(EgaraError, match=r"v01\.\w+: no images inside, it is empty; expected"):
        read(path)
    WRITERS[kind](path, {"notes.txt": b"x"})
    with pytest.raises(EgaraError, match=r"no images inside, only 1 other file; expected"):
        read(path)
    WRITERS[kind](path, {"notes.txt": b"x", "v01.cbz": b"x"})
    with pytest.raises(NoPage, match=r"no readable page, .* \(v01\.cbz: not a volume, by its first bytes"):
        read(path)


def test_encrypted_archives(tmp_path):
    write_zip(tmp_path / "a.cbz", pages())
    data = bytearray((tmp_path / "a.cbz").read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := data.find(signature, place + 1)) >= 0:
            data[place + flags] |= 1
    (tmp_path / "a.cbz").write_bytes(data)
    with pytest.raises(EgaraError, match=r"a\.cbz: .*encrypted archive; expected one without a password"):
        read(tmp_path / "a.cbz")
    members = epub_members(["a.png"], "", "")
    lock = b'<encryption><EncryptedData><EncryptionMethod Algorithm="urn:aes256"/></EncryptedData></encryption>'
    write_zip(tmp_path / "a.epub", {**members, "META-INF/encryption.xml": lock})
    with pytest.raises(EgaraError, match=r"a\.epub: encrypted EPUB"):
        read(tmp_path / "a.epub")
    fonts = lock.replace(b"urn:aes256", b"http://www.idpf.org/2008/embedding")
    write_zip(tmp_path / "a.epub", {**members, "META-INF/encryption.xml": fonts})
    assert len(read(tmp_path / "a.epub").pages) == 1


def test_encrypted_and_solid_rar(tmp_path):
    write_rar(tmp_path / "a.cbr", pages(), encrypted=True)
    with pytest.raises(EgaraError, match=r"a\.cbr: .*encrypted archive; expected one without a password"):
        read(tmp_path / "a.cbr")
    write_rar(tmp_path / "a.cbr", pages(), solid=True)
    with pytest.raises(EgaraError, match=r"a\.cbr: .*solid RAR archive.*; expected a CBZ instead"):
        read(tmp_path / "a.cbr")


def test_encrypted_and_damaged_pdf(tmp_path):
    Image.new("L", (50, 50)).save(tmp_path / "a.pdf")
    whole = (tmp_path / "a.pdf").read_bytes()
    (tmp_path / "a.pdf").write_bytes(whole[:200])
    with pytest.raises(EgaraError, match=r"a\.pdf: PDF truncated or damaged .*; expected an intact one"):
        read(tmp_path / "a.pdf")
    lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O <{'41' * 32}> /U <{'42' * 32}> /P -4 >> /ID [<00> <00>] /Root"
    place = whole.rindex(b"/Root")
    (tmp_path / "a.pdf").write_bytes(whole[:place] + lock.encode() + whole[place + 5 :])
    with pytest.raises(EgaraError, match=r"a\.pdf: encrypted PDF; expected one that opens without a password"):
        read(tmp_path / "a.pdf")


def test_duplicate_volumes_are_errors_or_removed(tmp_path):
    write_zip(tmp_path / "a.cbz", pages())
    (tmp_path / "b.cbz").symlink_to(tmp_path / "a.cbz")
    for values in (["a.cbz", "a.cbz"], ["*.cbz", "a.cbz"], ["b.cbz", "a.cbz"]):
        with pytest.raises(EgaraError, match="volume listed twice"):
            find_volumes([str(tmp_path / value) for value in values])
    found = find_volumes([str(tmp_path)])
    assert [volume.name for volume in found.volumes] == ["a.cbz"]
    assert [(row["member"], row["cause"]) for row in found.skipped] == [("b.cbz", "link")]
    write_zip(tmp_path / "c" / "c.zip", pages())
    volumes = [read(path) for path in (tmp_path / "a.cbz", tmp_path / "c" / "c.zip")]
    rows = remove_duplicates(volumes)
    assert [row["cause"] for row in rows] == ["duplicate"]
    assert "same pages as" in rows[0]["reason"]
    assert [len(volume.pages) for volume in volumes] == [4, 0]


def test_values_without_a_volume(tmp_path):
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "kindle", {"book.mobi": b"x"})
    write_folder(tmp_path, {"notes.doc": b"words", "book.azw3": b"x", "nothing.cbz": b""})
    for value, message in {
        "missing.cbz": "no such file or folder",
        "missing*.cbz": "matches no file",
        "empty": "contains no volumes",
        "kindle": r"contains only book\.mobi \(MOBI: .*\)",
    }.items():
        with pytest.raises(EgaraError, match=rf"{message}; expected a folder of images, CBZ/ZIP"):
            find_volumes([str(tmp_path / value)])
    for value, message in {
        "notes.doc": "not a volume, by its first bytes",
        "book.azw3": "Kindle book cannot be read",
        "nothing.cbz": "empty file",
    }.items():
        with pytest.raises(EgaraError, match=rf"{message}; expected a folder of images, CBZ/ZIP"):
            read(tmp_path / value)


def test_without_libarchive_the_line_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.cb7").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(50))
    monkeypatch.setitem(sys.modules, "libarchive", None)
    with pytest.raises(EgaraError, match="CB7 and CBR need the library libarchive; expected `apt install"):
        read(tmp_path / "a.cb7")
