"""Manga109 as people have it: several folders of annotations, pages resized into other folders, other file names."""

import pytest

from egara.corpus import find_volumes
from egara.corpus.manga109 import annotation_file, is_collection, page_index, read_annotations, scale_to
from egara.io.errors import EgaraError

BOOKS = ("ARMS", "TitleA")


def collection(root, images="images", annotations=("annotations.v2018.05.31", "annotations.v2020.12.18"), books=BOOKS):
    for book in books:
        (root / images / book).mkdir(parents=True)
        (root / images / book / "000.jpg").touch()
        for folder in annotations:
            (root / folder).mkdir(exist_ok=True)
            (root / folder / f"{book}.xml").touch()
    return root


def test_latest_annotations_of_a_book_are_used(tmp_path):
    root = collection(tmp_path, "half")
    book = root / "half" / "TitleA"
    assert annotation_file(book) == root.resolve() / "annotations.v2020.12.18" / "TitleA.xml"
    collection(root / "other", annotations=("annotations.v2.0", "annotations.v10.0"))
    assert annotation_file(root / "other" / "images" / "ARMS").parent.name == "annotations.v10.0"
    (root / "annotations").mkdir()
    (root / "annotations" / "TitleA.xml").touch()
    assert annotation_file(book).parent.name == "annotations"
    assert annotation_file(root / "half" / "ARMS").parent.name == "annotations.v2020.12.18"
    assert annotation_file(root / "half" / "Elsewhere") is None
    (root / "annotations" / "ARMS").mkdir()
    assert annotation_file(root / "annotations" / "ARMS").parent.name != "annotations"


def test_collection_is_not_a_volume(tmp_path):
    root = collection(tmp_path / "a", "half")
    assert is_collection(root)
    assert is_collection(root / "half")
    assert not is_collection(root / "half" / "ARMS")
    assert not is_collection(root / "annotations.v2020.12.18")
    assert is_collection(collection(tmp_path / "b", books=["ARMS"]))  # Manga109's own names
    one = collection(tmp_path / "c", "half", books=["ARMS"])
    assert not is_collection(one / "half")  # a folder with one volume
    assert not is_collection(tmp_path)
    assert not is_collection(tmp_path / "gone")
    with pytest.raises(EgaraError, match=r"/a: a collection of annotated books"):
        find_volumes([str(tmp_path)])  # books of many works, a folder further down


def test_data_sets_of_other_kinds(tmp_path):
    one = tmp_path / "one"  # images and annotations of one work, as COCO and Label Studio lay them out
    (one / "images" / "train").mkdir(parents=True)
    (one / "annotations").mkdir()
    (one / "images" / "train" / "1.jpg").touch()
    (one / "annotations" / "instances_train.json").touch()
    assert not is_collection(one)
    assert len(find_volumes([str(one)]).volumes) == 1
    for book in ("2", "3"):  # DCM772
        (tmp_path / "dcm" / "images" / book).mkdir(parents=True)
        (tmp_path / "dcm" / "annotations" / book).mkdir(parents=True)
    assert is_collection(tmp_path / "dcm")
    assert is_collection(tmp_path / "dcm" / "images")
    assert not is_collection(tmp_path / "dcm" / "images" / "2")


@pytest.mark.parametrize(
    ("page", "index"),
    [
        ("000.jpg", 0), ("p007.png", 7), ("ARMS2_012.jpg", 12), ("page-3.webp", 3), ("sub/010.jpg", 10),
        ("cover.jpg", None), ("v01_p003.jpg", None), ("003a.jpg", None), ("1234567890.jpg", None), ("٣.jpg", None),
    ],
)  # fmt: skip
def test_index_of_a_page_is_unambiguous(page, index):
    assert page_index(page, "ARMS2") == index


def test_a_resized_page_keeps_its_shape():
    assert scale_to((1654, 1170), (1654, 1170)) == (1, 1)
    assert scale_to((827, 585), (1654, 1170)) == (0.5, 0.5)
    assert scale_to((206, 146), (413, 292)) == (206 / 413, 0.5)
    assert scale_to((40, 29), (413, 292)) is not None  # 28.3 rows, rounded up
    assert scale_to((827, 1170), (1654, 1170)) is None  # half of a double page
    assert scale_to((1654, 1100), (1654, 1170)) is None  # cut at the foot


def test_annotated_page_without_size_is_an_error(tmp_path):
    file = tmp_path / "a.xml"
    file.write_text('<book><pages><page index="2" width="0" height="9"/></pages></book>')
    with pytest.raises(EgaraError, match=r"page 2 of 0 x 9 pixels\); expected annotations of Manga109"):
        read_annotations(file)
