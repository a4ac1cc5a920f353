"""Books show their pages in many ways, and link to them in more; one odd link or text costs one page."""

import zipfile

import pandas as pd
import pytest
from containers import page

from egara.corpus import iterate_pages, list_volume
from egara.corpus.limits import Limits
from egara.io.errors import EgaraError

CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'


def write_book(path, texts, more=None, images=None, drop=(), manifest="", spine=None):
    """Write an EPUB of texts t0, t1, … and images i0.jpg, i1.jpg, …, whose widths are 40, 41, …"""
    images = images or {f"OEBPS/images/i{n}.jpg": page(n) for n in range(len(texts))}
    names = {f"t{n}": f"text/t{n}.xhtml" for n in range(len(texts))}
    items = "".join(f'<item id="{i}" href="{n}" media-type="application/xhtml+xml"/>' for i, n in names.items())
    refs = "".join(f'<itemref idref="{identity}"/>' for identity in spine or names)
    package = f"<package><manifest>{items}{manifest}</manifest><spine>{refs}</spine></package>"
    members = {"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": package, **images}
    members |= {f"OEBPS/{names[f't{n}']}": text for n, text in enumerate(texts)} | (more or {})
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if name not in drop:
                archive.writestr(name, data)


def read(path, **options):
    volume = list_volume(path, "v01", "An Author", "A Work", **options)
    widths = [image.width for _, image in iterate_pages(pd.DataFrame(volume.pages))]
    return widths, {row["member"]: row["cause"] for row in volume.skipped}


WAYS = {
    "img": '<img src="../images/i{}.jpg"/>',
    "svg": '<svg><image xlink:href="../images/i{}.jpg"/></svg>',
    "svg2": '<svg:svg><svg:image href="../images/i{}.jpg"/></svg:svg>',
    "object": '<object data="../images/i{}.jpg" type="image/jpeg">words</object>',
    "embed": '<embed src="../images/i{}.jpg"/>',
    "srcset": '<img srcset="../images/small{0}.jpg 300w, ../images/i{0}.jpg 900w"/>',
    "picture": '<picture><source srcset="../images/no{0}.webp"/><img src="../images/i{0}.jpg"/></picture>',
    "source": '<picture><source srcset="../images/i{0}.jpg 2x, ../images/no{0}.jpg"/></picture>',
    "inline": "<div style=\"background-image:url('../images/i{}.jpg')\"></div>",
    "inline plain": '<p style="color:red;background: #fff url(../images/i{}.jpg) no-repeat"></p>',
    "style": "<style>#p{0} {{background:url(../images/i{0}.jpg)}} .other {{background:url(../images/no.jpg)}}</style>"
    '<div id="p{0}"/>',
    "sheet": '<link rel="stylesheet" href="../css/all.css"/><body class="a page{0}"></body>',
    "drawing": '<img src="../images/d{}.svg"/>',
    "inner frame": '<iframe src="inner{}.xhtml"></iframe>',
    "frame": '<object data="inner{}.xhtml"></object>',
    "dots": '<img src="../../../../OEBPS/images/i{}.jpg"/>',
    "root": '<img src="/OEBPS/images/i{}.jpg"/>',
    "root of the package": '<img src="/images/i{}.jpg"/>',
    "backslashes": '<img src="..\\images\\i{}.jpg"/>',
    "case": '<img src="../Images/I{}.JPG"/>',
    "escapes": '<img src="..%2Fimages%2Fi{}%2Ejpg#x"/>',
    "query": '<img src="../images/i{}.jpg?v=3"/>',
    "twice": '<img src="../images/i{0}.jpg"/><img src="../images/i{0}.jpg"/>',
    "unclosed": '<p>&nbsp;<br><img src="../images/i{}.jpg">',
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_show_a_page(tmp_path, way):
    sheet = "".join(
        f"/* {n} {{}} */ div, body.page{n} > p, .a.page{n} {{background: url('../images/i{n}.jpg')}}" for n in (2, 1, 0)
    )
    more = {"OEBPS/css/all.css": sheet}
    for n in range(3):
        more[f"OEBPS/images/d{n}.svg"] = f'<svg><image href="i{n}.jpg"/></svg>'
        more[f"OEBPS/text/inner{n}.xhtml"] = f'<img src="../images/i{n}.jpg"/>'
    write_book(tmp_path / "a.epub", [WAYS[way].format(n) for n in range(3)], more, spine=["t2", "t0", "t1"])
    assert read(tmp_path / "a.epub") == ([42, 40, 41], {})


@pytest.mark.parametrize(
    ("stored", "link"),
    [
        ("OEBPS/images/が{}.jpg", "../images/か\u3099{}.jpg"),
        ("OEBPS/images/か\u3099{}.jpg", "../images/が{}.jpg"),
        ("OEBPS/images/が {}.jpg", "../images/%E3%81%8C%20{}.jpg"),
        ("OEBPS/images/50%25 {}.jpg", "../images/50%25 {}.jpg"),
        ("OEBPS\\images\\a{}.jpg", "../images/a{}.jpg"),
        ("oebps/IMAGES/a{}.jpg", "../images/A{}.jpg"),
        ("/OEBPS/images/a{}.jpg", "../images/a{}.jpg"),
    ],
)
def test_links_and_members_that_are_spelt_differently(tmp_path, stored, link):
    images = {stored.format(n): page(n) for n in range(3)}
    write_book(tmp_path / "a.epub", [f'<img src="{link.format(n)}"/>' for n in (2, 0, 1)], images=images)
    assert read(tmp_path / "a.epub") == ([42, 40, 41], {})


def test_odd_pages_affect_no_others(tmp_path):
    texts = [WAYS["img"].format(n) for n in range(8)]
    texts[1] += (
        '<img src="../../../decoration.jpg"/><img src="http://host/a.jpg"/><img src="data:image/png;base64,xx"/>'
    )
    texts[2] = "<p><![x </p>"
    texts[4] = '<img src="../images/gone.jpg"/>'
    texts[6] = WAYS["img"].format(6) + " " * 3 * 2**20
    images = {f"OEBPS/images/i{n}.jpg": page(n) for n in range(7)} | {"OEBPS/images/i7.jpg": b"no image"}
    write_book(
        tmp_path / "a.epub",
        texts,
        images=images,
        drop=("OEBPS/text/t3.xhtml",),
        spine=[f"t{n}" for n in range(8)] + ["x"],
    )
    widths, left = read(tmp_path / "a.epub", limits=Limits(text=2))
    assert widths == [40, 41, 45]
    assert left == {
        "decoration.jpg": "missing",
        "OEBPS/text/t2.xhtml": "unreadable",
        "OEBPS/text/t3.xhtml": "missing",
        "OEBPS/images/gone.jpg": "missing",
        "OEBPS/text/t6.xhtml": "limit",
        "OEBPS/images/i7.jpg": "unreadable",
        "x": "missing",
        "": "foreign",  # the images of the lost texts
    }
    with pytest.raises(EgaraError, match="missing|is not in the archive"):
        read(tmp_path / "a.epub", unreadable="error")


def test_encrypted_page_is_left_out_and_encrypted_book_refused(tmp_path):
    cipher = '<EncryptionMethod Algorithm="urn:aes"/><CipherData><CipherReference URI="{}"/></CipherData>'
    lock = f"<EncryptedData>{cipher}</EncryptedData>"
    texts = [WAYS["img"].format(n) for n in range(3)]

    def locked(*links):
        inside = "".join(map(lock.format, links))
        write_book(tmp_path / "a.epub", texts, {"META-INF/encryption.xml": f"<encryption>{inside}</encryption>"})

    locked("OEBPS/images/i1.jpg", "OEBPS/text/t2.xhtml", "OEBPS/fonts/a.otf")
    widths, left = read(tmp_path / "a.epub")
    assert widths == [40]
    assert left["OEBPS/images/i1.jpg"] == left["OEBPS/text/t2.xhtml"] == "unreadable"
    locked(*(f"OEBPS/images/i{n}.jpg" for n in range(3)))
    with pytest.raises(EgaraError, match="encrypted .digital rights management"):
        read(tmp_path / "a.epub")


def test_image_without_extension_is_recognised_by_the_manifest(tmp_path):
    item = '<item id="i" href="images/one" media-type="image/jpeg"/>'
    images = {"OEBPS/images/one": page(5)}
    write_book(tmp_path / "a.epub", ['<img src="../images/one"/>'], images=images, manifest=item)
    assert read(tmp_path / "a.epub") == ([45], {})


def test_background_behind_an_image_is_not_a_page(tmp_path):
    texts = [f'<body style="background:url(../images/paper.jpg)">{WAYS["img"].format(n)}</body>' for n in range(2)]
    write_book(tmp_path / "a.epub", texts, {"OEBPS/images/paper.jpg": page(9)})
    assert read(tmp_path / "a.epub") == ([40, 41], {"OEBPS/images/paper.jpg": "foreign"})


def test_pages_that_embed_each_other_end(tmp_path):
    texts = ['<object data="t1.xhtml"></object>', '<object data="t0.xhtml"></object><img src="../images/i1.jpg"/>']
    write_book(tmp_path / "a.epub", texts)
    assert read(tmp_path / "a.epub")[0] == [41]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp932", "utf-8"])
def test_a_page_is_read_in_its_own_encoding(tmp_path, encoding):
    stated = "Shift_JIS" if encoding == "cp932" else "utf-16" if "16" in encoding else "UTF-8"
    text = f'<?xml version="1.0" encoding="{stated}"?><html><img src="../images/表紙.jpg"/></html>'.encode(encoding)
    write_book(tmp_path / "v01.epub", [text], images={"OEBPS/images/表紙.jpg": page(7)})
    assert read(tmp_path / "v01.epub") == ([47], {})


def test_page_without_an_image_file_has_a_row(tmp_path):
    texts = [
        '<img src="data:image/jpeg;base64,xx"/>',
        '<img src="https://there/0.jpg"/>',
        WAYS["img"].format(2),
        "words",
    ]
    write_book(tmp_path / "v01.epub", texts, images={"OEBPS/images/i2.jpg": page(2)})
    widths, skipped = read(tmp_path / "v01.epub")
    assert widths == [42]
    assert skipped == {"OEBPS/text/t0.xhtml": "unreadable", "OEBPS/text/t1.xhtml": "missing"}


def test_unsupported_items_use_their_fallback(tmp_path):
    manifest = '<item id="a" href="a.pdf" media-type="application/pdf" fallback="t0"/>'
    manifest += '<item id="b" href="b.swf" media-type="application/x-shockwave-flash" fallback="b"/>'
    write_book(tmp_path / "v01.epub", [WAYS["img"].format(0)], manifest=manifest, spine=["a", "b"])
    assert read(tmp_path / "v01.epub") == ([40], {"OEBPS/b.swf": "foreign"})


def test_a_package_with_small_faults_is_read(tmp_path):
    manifest = '<item id="a" href="a&b.css" media-type="text/css" x="&amp;&#38;"/>'
    write_book(tmp_path / "v01.epub", [WAYS["img"].format(0)], manifest=manifest, more={"META-INF/encryption.xml": ""})
    assert read(tmp_path / "v01.epub") == ([40], {})
