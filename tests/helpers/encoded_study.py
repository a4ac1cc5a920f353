"""A small study whose faces and captions are encoded."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from egara.io.hashing import sha256
from egara.io.tables import write_tsv
from egara.loras.base.find import describe_base
from egara.loras.encoding import captions as embeddings
from egara.loras.encoding import latents
from egara.loras.encoding.inputs import describe_transform

FACES = 4
SIDE = 32
TRANSFORM = describe_transform(SIDE, "lanczos")


@pytest.fixture(scope="session")
def described(small_base):
    return describe_base(str(small_base))


def write_study(root, described, faces=FACES):
    """Write crops, a table of two sets that share them, and the base's description."""
    from PIL import Image

    (root / "crops").mkdir(parents=True)
    draw, rows = np.random.default_rng(1), []
    for number in range(faces):
        path = root / "crops" / f"{number:05d}.png"
        size = (20, 24) if number == 0 else (40, 36)
        Image.fromarray(draw.integers(0, 255, size, np.uint8)).save(path)
        rows.append({"face": f"{number:05d}", "file": path.name, "sha256": sha256(path)})
    table = pd.DataFrame(rows)
    write_tsv(root / "w.tsv", pd.concat([table.assign(set=name) for name in ("00", "01")]))
    (root / "base.json").write_text(json.dumps(described))


@pytest.fixture(scope="session")
def encoded(described, tmp_path_factory):
    """A study whose faces and captions are encoded; tests take a copy."""
    root = tmp_path_factory.mktemp("encoded")
    write_study(root, described)
    latents.main(options(root))
    embeddings.main(caption_options(root))
    return root


@pytest.fixture
def study(encoded, tmp_path):
    shutil.copytree(encoded, tmp_path / "study")
    return tmp_path / "study"


def options(root, *more):
    return [
        *("--sets", str(root / "w.tsv"), "--crops", str(root / "crops"), "--base", str(root / "base.json")),
        *("--cache", str(root / "cache"), "--resolution", str(SIDE), "--device", "cpu"),
        *("--output", str(root / "latents.safetensors"), *more),
    ]


def caption_options(root, captions='["solo, face", "solo, face, v011"]'):
    places = ("--base", str(root / "base.json"), "--cache", str(root / "captions"))
    return ["--captions", captions, *places, "--output", str(root / "captions.safetensors")]


def images_of(root):
    table = pd.read_csv(root / "w.tsv", sep="\t", dtype=str)
    return dict(zip(table["face"], table["sha256"], strict=True))


def entries(root, name="cache"):
    return sorted((root / name).glob("??/*.safetensors"))


def encoded_by(root, monkeypatch, *more):
    """Run the stage and return which crops it really encoded."""
    seen, real = [], latents.read_picture

    def watched(content, path, transform):
        seen.append(path.stem)
        return real(content, path, transform)

    monkeypatch.setattr(latents, "read_picture", watched)
    latents.main(options(root, *more))
    monkeypatch.undo()
    return seen


def describe_changed(root, small_base, part):
    """Point the study at a copy of the base in which one part has changed."""
    folder = root / "base"
    shutil.copytree(small_base, folder, dirs_exist_ok=True)
    path = next(path for path in (folder / part).iterdir() if path.name.endswith("config.json"))
    path.write_text(path.read_text() + "\n")
    (root / "base.json").write_text(json.dumps(describe_base(str(folder))))
