"""Cached inner products are not computed again, and a changed LoRA is never taken for the cached one."""

import os
from dataclasses import replace

import numpy as np
import pytest
from lora_files import random_layers, write_lora, write_study

from egara.io.tensors import open_tensors
from egara.weights import gram as grams
from egara.weights import gram_cache
from egara.weights.gram import gram_of_loras
from egara.weights.inputs import read_layouts
from egara.weights.representations import names

SETS = 12


def ids_of(path):
    with open_tensors(path) as file:
        return file.json()["ids"]


@pytest.fixture
def study(tmp_path):
    write_study(tmp_path / "loras", sets=SETS)
    return tmp_path


def files(study, sets=SETS):
    return [
        str(study / "loras" / work / f"{number:02d}.safetensors") for work in ("w1", "w2") for number in range(sets)
    ]


def gram(study, paths, representation, cache=True):
    layouts = read_layouts(paths, any_rank=True)
    return gram_of_loras(paths, representation, layouts, cache=study / "cache" if cache else None)


def add(study, name="new", seed=5):
    path = study / "loras" / "w1" / f"{name}.safetensors"
    write_lora(path, "author of w1", "w1", random_layers(np.random.default_rng(seed)), 6)
    return str(path)


def close(found, expected):
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()
    return True


@pytest.mark.parametrize("representation", names())
def test_an_added_lora_adds_a_row(study, representation, monkeypatch):
    paths = files(study)
    first = gram(study, paths, representation)
    assert np.array_equal(first, gram(study, paths, representation, cache=False))
    paths.insert(3, add(study))
    whole = gram(study, paths, representation, cache=False)
    monkeypatch.setattr(grams, "_whole_gram", None)  # computing everything would fail
    found = gram(study, paths, representation)
    assert close(found, whole) and np.array_equal(found, found.T)
    old = [row for row in range(len(paths)) if row != 3]
    assert np.array_equal(found[np.ix_(old, old)], first), "cached products are kept to the bit"


def test_an_added_lora_adds_a_row_to_every_layer(study, monkeypatch):
    paths = files(study)

    def layers(cache):
        layouts = read_layouts(paths, any_rank=True)
        return gram_of_loras(paths, "delta", layouts, cache=cache, layered=True)

    first = layers(study / "cache")
    paths.insert(3, add(study))
    whole = layers(None)
    monkeypatch.setattr(grams, "_whole_gram", None)  # computing everything would fail
    found = layers(study / "cache")
    assert found.shape == (2, len(paths), len(paths)) and close(found, whole)
    assert np.array_equal(found, np.swapaxes(found, 1, 2))
    old = [row for row in range(len(paths)) if row != 3]
    assert np.array_equal(found[:, np.array(old)[:, None], old], first), "cached products are kept to the bit"


@pytest.mark.parametrize("representation", ["delta", "sketch"])
def test_fewer_loras_in_another_order_are_not_read_at_all(study, representation, monkeypatch):
    paths = files(study)
    first = gram(study, paths, representation)
    rows = [5, 0, 17, 9]
    some = [paths[row] for row in rows]
    layouts = read_layouts(some, any_rank=True)
    monkeypatch.setattr(grams, "read_lora", None)
    found = gram_of_loras(some, representation, layouts, cache=study / "cache")
    assert np.array_equal(found, first[np.ix_(rows, rows)])


def test_a_sketch_reads_only_new_files(study, monkeypatch):
    paths = files(study)
    gram(study, paths, "sketch")
    new = add(study)
    read, real = [], grams.read_lora
    monkeypatch.setattr(grams, "read_lora", lambda path, only: read.append(path) or real(path, only))
    found = gram(study, [*paths, new], "sketch")
    assert set(read) == {new}
    assert close(found, gram(study, [*paths, new], "sketch", cache=False))


def test_only_the_new_row_is_computed(study, monkeypatch):
    paths = files(study)
    gram(study, paths, "delta")
    new, sizes, real = add(study), [], grams.find

    def counting(name):
        found = real(name)
        return replace(found, gram=lambda layer: sizes.append(len(layer.loras)) or found.gram(layer))

    monkeypatch.setattr(grams, "find", counting)
    gram(study, [*paths, new], "delta")
    assert max(sizes) == 5 and len(sizes) == 2 * (len(paths) // 4 + 1)  # two layers; one new LoRA with four old ones


@pytest.mark.parametrize(("held", "times"), [(2**20, 1), (1, 2)], ids=["all layers fit", "one layer at a time"])
def test_rows_read_every_file_once_where_the_new_loras_fit(study, held, times, monkeypatch):
    paths = files(study)
    gram(study, paths, "delta")
    paths += [add(study), add(study, "newer", 6)]
    whole = gram(study, paths, "delta", cache=False)
    read, real = [], grams.read_lora
    monkeypatch.setattr(grams, "FACTOR_BYTES", held)
    monkeypatch.setattr(grams, "read_lora", lambda path, only: read.append(path) or real(path, only))
    assert close(gram(study, paths, "delta"), whole)
    assert sorted(read) == sorted(times * paths)  # of two layers


def test_another_lora_under_the_same_name_is_new(study):
    paths = files(study)
    gram(study, paths, "delta")
    write_lora(study / "loras/w1/03.safetensors", "author of w1", "w1", random_layers(np.random.default_rng(77)), 6)
    assert close(gram(study, paths, "delta"), gram(study, paths, "delta", cache=False))


@pytest.mark.parametrize("harm", ["cut", "flipped"])
def test_a_corrupt_file_is_skipped(study, caplog, harm):
    paths = files(study)
    expected = gram(study, paths, "delta")
    place = next((study / "cache").glob("*/*.safetensors"))
    data = bytearray(place.read_bytes())
    data[-20] ^= 4
    place.write_bytes(data if harm == "flipped" else data[:50])
    with caplog.at_level("WARNING", "egara.weights"):
        assert np.array_equal(gram(study, paths, "delta"), expected)
    assert "its inner products are computed again" in caplog.text


def test_many_new_ones_are_computed_together_and_representations_stay_apart(study):
    paths = files(study)
    gram(study, paths[:10], "delta")
    gram(study, paths[:10], "output")
    assert close(gram(study, paths, "delta"), gram(study, paths, "delta", cache=False))
    assert close(gram(study, paths, "output"), gram(study, paths, "output", cache=False))
    folders = {path.name.partition("-")[0] for path in (study / "cache").iterdir()}
    assert folders == {"delta", "output"}


def test_the_cache_keeps_the_newest_few(study, tmp_path):
    paths = files(study)
    for count in range(2, 2 + gram_cache.FILES_KEPT + 3):
        gram(study, paths[:count], "norms")
        newest = max((study / "cache").glob("*/*.safetensors"), key=os.path.getmtime)
        os.utime(newest, (count, count))
    kept = sorted(ids_of(path) for path in (study / "cache").glob("*/*.safetensors"))
    assert len(kept) == gram_cache.FILES_KEPT and min(map(len, kept)) == 5
