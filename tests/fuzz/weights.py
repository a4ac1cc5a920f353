"""Targets for what programs write: LoRA files, caches, the description of a base model, networks."""

import itertools
import re
from collections.abc import Callable

import numpy as np
from fuzz import seed_tensors, seeds
from fuzz.harness import TARGETS, check_boxes, folder, is_one_line, placed, reading, target


@target("lora")
def read_lora_file(data: bytes) -> None:
    """A LoRA file of any layout."""
    from egara.loras.files import read_layout, read_lora

    path = placed("a.safetensors", data)
    with reading():
        shapes = read_layout(path).shapes
        for flat in (True, False):
            for name, pair in read_lora(path, flat=flat).layers.items():
                assert np.isfinite(pair.lora_A).all() and np.isfinite(pair.lora_B).all() and np.isfinite(pair.scaling)
                assert pair.lora_A.shape[0] == pair.lora_B.shape[1] == shapes[name].rank


@target("lora-header")
def read_lora_header(data: bytes) -> None:
    """A LoRA file whose header is damaged, and whose length fits it."""
    ends = [int(end) for end in re.findall(rb"(\d{1,4})\]", data)]
    read_lora_file(len(data).to_bytes(8, "little") + data + b"\0" * max(ends, default=0))


@target("lora-alphas")
def read_lora_alphas(data: bytes) -> None:
    """A LoRA file whose texts in the header are damaged."""
    tensors = seed_tensors.factors("unet.conv_in", ".lora_A.weight", ".lora_B.weight")
    text = data.decode("utf-8", errors="replace")
    read_lora_file(seed_tensors.stored(tensors, {"lora_adapter_metadata": text, "egara": text}))


@target("convert")
def convert_lora(data: bytes) -> None:
    """A LoRA file that is written in another layout; what is written can be read."""
    from egara.loras.files import read_lora
    from egara.loras.files.__main__ import convert

    path, written = placed("a.safetensors", data), folder() / "converted" / "b.safetensors"
    for layout in ("kohya", "peft"):
        with reading(written.parent):
            convert(path, written, layout, "float16")
            assert read_lora(written).layers.keys() == read_lora(path).layers.keys()


@target("latents")
def read_latents_file(data: bytes) -> None:
    """Gathered latents."""
    from egara.loras.encoding.inputs import read_latents

    path = placed("latents.safetensors", data)
    with reading():
        arrays, rows = read_latents(path, {"00000": "i"}, seed_tensors.BASE, seed_tensors.TRANSFORM)
        assert rows["00000"] < len(arrays["mean"]) and all(np.isfinite(array).all() for array in arrays.values())


@target("captions")
def read_captions_file(data: bytes) -> None:
    """Gathered captions."""
    from egara.loras.encoding.inputs import read_caption

    path = placed("captions.safetensors", data)
    with reading():
        caption = read_caption(path, "c", seed_tensors.BASE)
        assert np.isfinite(caption.embedding).all()


def _with_header(name: str) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        whole = seeds.SEEDS[name]()[0]
        TARGETS[name](len(data).to_bytes(8, "little") + data + whole[8 + int.from_bytes(whole[:8], "little") :])

    return read


TARGETS["latents-header"] = _with_header("latents")
TARGETS["captions-header"] = _with_header("captions")


@target("entry")
def read_cache_entry(data: bytes) -> None:
    """One entry of a cache."""
    from egara.loras.encoding.cache import find_missing, read_entry
    from egara.loras.store import stored

    cache = folder() / "cache"
    placed(stored(cache, seed_tensors.KEY).relative_to(folder()).as_posix(), data)
    corrupt = find_missing(cache, [seed_tensors.KEY])
    with reading():
        read_entry(cache, seed_tensors.KEY)
        assert not corrupt


@target("known")
def read_known_products(data: bytes) -> None:
    """Cached inner products: a corrupt file is skipped."""
    from egara.weights.gram_cache import folder_of, load_gram

    cache = folder() / "known"
    placed(f"{folder_of(cache, 'delta').relative_to(folder())}/a.safetensors", data)
    with reading():
        found = load_gram(cache, "delta", ["one"])
        assert found is None or found.gram.shape == (len(found.ids),) * 2


@target("description")
def read_base_description(data: bytes) -> None:
    """The description of a base model."""
    from egara.loras.base.components import part_hash, read_description

    path = placed("base.json", data)
    with reading():
        part_hash(read_description(path), "vae")


@target("onnx")
def read_network(data: bytes) -> None:
    """A detector of the user's."""
    from egara.faces.backends.onnx_file import OnnxDetector
    from egara.faces.boxes import clip
    from egara.faces.protocol import Page

    path = placed("a.onnx", data)
    with reading():
        detector = OnnxDetector(path)
        assert is_one_line(detector.describe())
        check_boxes([clip(detector.detect([Page("v", "1", np.zeros((30, 40), np.uint8))])[0], 40, 30)])


@target("onnx-answer")
def read_network_answer(data: bytes) -> None:
    """What a detector of the user's answers: numbers in any shape."""
    from egara.faces.backends.layouts import TESTS, Facts, recognise_layout
    from egara.faces.backends.outputs import read_output
    from egara.faces.boxes import clip, suppress

    values = np.frombuffer(data[: len(data) // 4 * 4], np.float32)
    facts = [Facts(32, 32), Facts(32, 64, 1), Facts(32, 32, 2, ("end2end",)), Facts(32, 32, 1, extras=True)]
    for columns in range(1, 9):
        with np.errstate(invalid="ignore", over="ignore"):
            answer = values[: len(values) // columns * columns].reshape(-1, columns).astype(float)
        for shaped, known, wanted in itertools.product((answer, answer.T), facts, ("auto", *TESTS)):
            with reading(), np.errstate(invalid="ignore", over="ignore"):
                if layout := recognise_layout(shaped, known, wanted):
                    check_boxes([clip(suppress(read_output(shaped, layout, known, 0.5, [0])), 40, 30)])
