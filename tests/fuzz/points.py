"""Targets for what stands between LoRAs and scores: Gram matrices, those of layers, maps, null distributions."""

import numpy as np
from fuzz.harness import folder, placed, reading, target

INDEX = "lora\tauthor\twork\tset\na\tA\tw\t00\nb\tB\tv\t00\n"


@target("gram")
def read_gram(data: bytes) -> None:
    """A Gram matrix."""
    from egara.weights.geometry import read_vectors

    path = placed("gram.npy", data)
    (folder() / "index.tsv").write_text(INDEX)
    with reading():
        gram, _ = read_vectors(path, folder() / "index.tsv")
        assert gram.shape == (2, 2) and np.isfinite(gram).all()


@target("layer-grams")
def read_layers(data: bytes) -> None:
    """Gram matrices of layers."""
    from egara.weights.layer_grams import read_layer_grams

    path = placed("layers.npz", data)
    with reading():
        found = read_layer_grams(path)
        assert found.grams.shape == (len(found.layers), len(found.works), len(found.works))


@target("nulls")
def read_null_distributions(data: bytes) -> None:
    """Null distributions."""
    from egara.scores.multiple_testing import read_nulls

    path = placed("nulls.npz", data)
    with reading():
        for null in read_nulls(path).values():
            assert null.values.ndim == 1


@target("map")
def read_map(data: bytes) -> None:
    """Coordinates of LoRAs."""
    from egara.weights.geometry import read_maps

    path = placed("map.tsv", data)
    with reading():
        points, table = read_maps([f"pca={path}"])["pca"]
        assert len(points) == len(table) and np.isfinite(points).all()
