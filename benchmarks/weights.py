"""From LoRA files to scores at the size of Stable Diffusion 1.5, each part compared with what a user would do instead.

Run `PYTHONPATH=workflow python benchmarks/weights.py`; about ten minutes on two cores, 9 GB of disk for a while.
`--loras 40` is a quick look. LoRAs are noise in the sizes of the U-Net's attention layers (rank 4: 797,184 values):
time and memory do not depend on what they learned.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CROSS = 768  # width of the caption's embedding
BLOCKS = {320: 5, 640: 5, 1280: 6}  # channels and number of transformer blocks in down, mid and up blocks
SETS = 30
GIGA = 1e9


def shapes() -> dict[str, tuple[int, int]]:
    """Outputs and inputs of the 128 attention layers of Stable Diffusion 1.5's U-Net."""
    found = {}
    for channels, blocks in BLOCKS.items():
        for block in range(blocks):
            for attention, width in (("attn1", channels), ("attn2", CROSS)):
                place = f"unet.down_blocks.{channels}.attentions.{block}.transformer_blocks.0.{attention}"
                for side in ("to_q", "to_k", "to_v", "to_out.0"):
                    found[f"{place}.{side}"] = (channels, width if side in ("to_k", "to_v") else channels)
    return found


def write_loras(folder: Path, count: int, rank: int) -> list[str]:
    """Write `count` LoRAs in PEFT's layout."""
    from safetensors.numpy import save_file

    paths = []
    for number in range(count):
        generator, tensors = np.random.default_rng(number), {}
        for name, (outputs, inputs) in shapes().items():
            tensors[f"{name}.lora_A.weight"] = generator.standard_normal((rank, inputs), dtype=np.float32)
            tensors[f"{name}.lora_B.weight"] = generator.standard_normal((outputs, rank), dtype=np.float32)
        work = number // SETS
        header = {"author": "a" if work < 3 else "b", "work": f"w{work}", "set": f"{number:03d}"}
        path = folder / f"{number:03d}.safetensors"
        save_file(tensors, path, metadata={"egara": json.dumps(header)})
        paths.append(str(path))
    return paths


def read_once(paths: list[str]) -> float:
    """Seconds to read all factors of all files once, as any method must."""
    from egara.loras.files import read_lora

    start = time.perf_counter()
    for path in paths:
        sum(float(pair.lora_A[0, 0]) for pair in read_lora(path).layers.values())
    return time.perf_counter() - start


def matrix_rate() -> float:
    """Measured float32 operations a second of a product with itself, counted as the half that is computed."""
    rows = np.random.default_rng(0).standard_normal((4000, 4000), dtype=np.float32)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        rows @ rows.T
        times.append(time.perf_counter() - start)
    return 4000.0**3 / min(times)


def least_operations(count: int, rank: int) -> float:
    """Operations of exact `delta`, by the cheaper way a layer: rank by rank products, or rows of ΔW."""
    total = 0.0
    for outputs, inputs in shapes().values():
        by_ranks = (count * rank) ** 2 * (inputs + outputs)
        by_rows = count**2 * inputs * outputs + 2 * count * rank * inputs * outputs
        total += min(by_ranks, by_rows)
    return total


def peak() -> float:
    """Peak memory of this process in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIGA


def files(options: argparse.Namespace) -> Iterator[str]:
    """Exact PCA of `delta` from files, and one LoRA more."""
    from egara.projections import exact_pca
    from egara.weights.gram import gram_of_loras
    from egara.weights.inputs import read_layouts

    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        paths = write_loras(folder, options.loras + 1, options.rank)
        read_once(paths)
        reading = read_once(paths)
        size = sum(os.path.getsize(path) for path in paths) / GIGA
        yield f"{options.loras} LoRAs of rank {options.rank}, {size:.1f} GB; read once: {reading:.1f} s"
        before = peak()
        for name in ("delta", "factors", "sketch"):
            layouts = read_layouts(paths, any_rank=False)
            start = time.perf_counter()
            gram = gram_of_loras(paths[:-1], name, layouts[:-1], cache=folder / "cache")
            exact_pca(gram, False, 50)
            whole = time.perf_counter() - start
            start = time.perf_counter()
            gram_of_loras(paths, name, layouts, cache=folder / "cache")
            row = time.perf_counter() - start
            yield (
                f"  {name:8} Gram and exact PCA {whole:7.1f} s = {whole / reading:5.1f} times reading; "
                f"one LoRA more {row:6.2f} s = 1/{whole / row:.0f}"
            )
        rate, work = matrix_rate(), least_operations(options.loras, options.rank)
        yield (
            f"  delta needs {work:.3g} operations; at {rate:.3g} a second, measured, that is {work / rate:.0f} s: the "
            "limit of an exact way"
        )
        yield f"  peak memory {peak():.2f} GB ({before:.2f} GB before)"


def incremental(options: argparse.Namespace) -> Iterator[str]:
    """Exact PCA of a matrix of factors against scikit-learn's IncrementalPCA."""
    import sklearn.decomposition  # noqa: F401 - loading it is not part of the time

    from egara.projections import exact_pca, incremental_pca
    from egara.weights.products import gram_of_columns

    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        path = Path(place, "matrix.npy")
        shape = (options.loras, options.columns)
        matrix = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        for number, row in enumerate(matrix):
            row[:] = np.random.default_rng(number).standard_normal(options.columns, dtype=np.float32)
        matrix.flush()
        matrix = np.load(path, mmap_mode="r")
        start = time.perf_counter()
        exact_pca(gram_of_columns(matrix), False, 50)
        exact = time.perf_counter() - start
        start = time.perf_counter()
        incremental_pca(matrix, False, 50, 66)
        slow = time.perf_counter() - start
    yield (
        f"factors, {shape[0]} x {shape[1]:,}: exact PCA {exact:.1f} s, IncrementalPCA(50, 66) {slow:.1f} s: "
        f"{slow / exact:.0f} times as fast"
    )


def scores(options: argparse.Namespace) -> Iterator[str]:
    """A thousand permutations of all scores of one cell."""
    from egara.scores.distances import cosine_distances
    from egara.scores.hypotheses import make_hypothesis, score_classifiers, score_distances, score_variance
    from egara.vocabulary import HYPOTHESES
    from egara.weights.geometry import normalise_and_center

    works = np.repeat(np.arange(-(-options.loras // SETS)), SETS)[: options.loras]
    authors = (works >= 3).astype(int)
    points = np.random.default_rng(0).normal(size=(options.loras, 2000))
    start = time.perf_counter()
    products = normalise_and_center(points @ points.T, True)
    distances, count = cosine_distances(products), 0
    for name in HYPOTHESES:
        hypothesis = make_hypothesis(name, authors, works, 1000, 0)
        rows = score_distances(distances, works, hypothesis, 0)
        rows += score_classifiers(distances, works, hypothesis, 0)
        count += len(rows + score_variance(products, authors, works, name, hypothesis, 0))
    seconds = time.perf_counter() - start
    yield f"{count} scores of {options.loras} LoRAs, 1,000 permutations each: {seconds:.1f} s"


def many(options: argparse.Namespace) -> Iterator[str]:
    """Ten thousand LoRAs by their sketches; the sketches are noise of the right length, not read from files."""
    from egara.projections import exact_pca
    from egara.scores.distances import cosine_distances
    from egara.scores.neighbours import nearest
    from egara.weights.geometry import normalise_and_center
    from egara.weights.products import products_of_rows
    from egara.weights.representations import SKETCH_SIDE

    width = SKETCH_SIDE**2 * len(shapes())
    vectors = np.random.default_rng(0).standard_normal((options.many, width), dtype=np.float32)
    before = peak()
    start = time.perf_counter()
    gram = np.empty((options.many, options.many))
    for row in range(0, options.many, 1000):
        gram[row : row + 1000] = products_of_rows(vectors[row : row + 1000], vectors)
    products = time.perf_counter() - start
    start = time.perf_counter()
    exact_pca(gram, True, 50)
    pca = time.perf_counter() - start
    start = time.perf_counter()
    nearest(cosine_distances(normalise_and_center(gram, True)), ~np.eye(options.many, dtype=bool), 5)
    found = time.perf_counter() - start
    yield (
        f"{options.many:,} sketches of {width:,} numbers ({before:.1f} GB in memory): products {products:.0f} s, "
        f"exact PCA {pca:.0f} s, neighbours {found:.0f} s; peak {peak():.1f} GB"
    )


PARTS = {"files": files, "incremental": incremental, "scores": scores, "many": many}


def main() -> None:
    """Run every part in a process of its own, so that each has its own peak of memory."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--loras", type=int, default=330)
    arguments.add_argument("--rank", type=int, default=32)
    arguments.add_argument("--columns", type=int, default=400_000, help="width of the matrix of factors")
    arguments.add_argument("--many", type=int, default=10_000, help="LoRAs by their sketches")
    arguments.add_argument("--folder", help="where files lie for a while")
    arguments.add_argument("--part", choices=PARTS, help="one part alone")
    options = arguments.parse_args()
    if options.part:
        for line in PARTS[options.part](options):
            print(line, flush=True)
        return
    for part in PARTS:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--part", part], check=True)


if __name__ == "__main__":
    main()
