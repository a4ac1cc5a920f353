"""Gram matrices of whole LoRAs from those of their layers in `delta`: ΔW itself, layer-wise, or norms alone.

Inner products of layers add up, and ‖ΔW‖ of a layer is the root of its inner product with itself.
"""

from collections.abc import Callable

import numpy as np

from egara.io.atomic import replacing
from egara.io.errors import run
from egara.io.progress import logger, parser
from egara.io.tables import write_tsv
from egara.weights.layer_grams import read_layer_grams
from egara.weights.representations import even


def lengths(gram: np.ndarray) -> np.ndarray:
    """Inner products of one number a LoRA, its length."""
    found = np.sqrt(np.clip(np.diag(gram), 0.0, None))
    return np.outer(found, found)


FROM_DELTA: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "delta": lambda gram: gram,
    "delta-layerwise": even,
    "norms": lengths,
}


def main(argv: list[str] | None = None) -> None:
    """Read Gram matrices of layers and write their sum and the index of its rows."""
    arguments = parser(__doc__)
    arguments.add_argument("--layers", required=True, help="Gram matrices of layers in delta (.npz)")
    arguments.add_argument("--representation", required=True, choices=[*FROM_DELTA], help="what is summed")
    arguments.add_argument("--gram", required=True, help="Gram matrix to write, n x n float64 (.npy)")
    arguments.add_argument("--index", required=True, help="index to write: lora, author, work, set, norm (.tsv)")
    options = arguments.parse_args(argv)

    import pandas as pd

    found = read_layer_grams(options.layers)
    gram = sum(FROM_DELTA[options.representation](layer) for layer in found.grams)
    table = {"lora": found.loras, "author": found.authors, "work": found.works, "set": found.sets}
    with replacing(options.gram) as part:
        np.save(part, gram)
    write_tsv(options.index, pd.DataFrame(table | {"norm": np.sqrt(np.diag(gram))}))
    count, size = len(found.layers), len(gram)
    logger("weights").info("%s of %d LoRAs, %d layers: %s", options.representation, size, count, options.gram)


if __name__ == "__main__":
    run(main)
