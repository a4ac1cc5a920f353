"""Everything once per study: what is encoded, what is found in the cache, and what is refused."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from encoded_study import (
    FACES,
    SIDE,
    TRANSFORM,
    caption_options,
    describe_changed,
    encoded_by,
    entries,
    images_of,
    options,
)

from egara.io.errors import EgaraError
from egara.io.hashing import sha256
from egara.io.tables import write_tsv
from egara.loras.base.find import describe_base
from egara.loras.encoding import captions as embeddings
from egara.loras.encoding import latents
from egara.loras.encoding.inputs import describe_transform, read_caption, read_latents
from egara.loras.encoding.vae import read_picture

pytest_plugins = ["encoded_study"]


def test_rows_are_the_encoding_of_the_picture_and_of_its_mirror_image(study, small_base, described):
    import torch

    from egara.loras.base.components import load_part

    arrays, rows = read_latents(study / "latents.safetensors", images_of(study), described, TRANSFORM)
    assert sorted(rows) == [f"{number:05d}" for number in range(FACES)]
    vae, scale = load_part(small_base, "vae"), 0.18215
    for face, row in rows.items():
        path = study / "crops" / f"{face}.png"
        picture = read_picture(path.read_bytes(), path, TRANSFORM)
        for column, view in enumerate((picture, np.flip(picture, -1))):
            with torch.no_grad():
                posterior = vae.encode(torch.from_numpy(view[None].copy())).latent_dist
            np.testing.assert_allclose(arrays["mean"][row, column], posterior.mean[0] * scale, atol=1e-5)
            np.testing.assert_allclose(arrays["std"][row, column], posterior.std[0] * scale, rtol=1e-4)
    assert np.abs(arrays["mean"][:, 0] - arrays["mean"][:, 1]).max() > 1e-3


def test_a_second_run_loads_no_model(study, small_base, described):
    """The base is gone, so whoever would load it fails; nor is torch imported."""
    (study / "base.json").write_text(json.dumps(described | {"folder": str(study / "nowhere")}))
    (study / "latents.safetensors").unlink()
    (study / "captions.safetensors").unlink()
    code = (
        "import sys\nfrom egara.loras.encoding import captions as embeddings, latents\n"
        f"latents.main({options(study)!r})\nembeddings.main({caption_options(study)!r})\n"
        "sys.exit('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "4 faces, 4 in the cache" in ran.stderr
    assert "1 of 4 faces are smaller than 32 px; enlarged by lanczos, at most 1.60 times" in ran.stderr
    read_latents(study / "latents.safetensors", images_of(study), described, TRANSFORM)
    read_caption(study / "captions.safetensors", "solo, face", described)


def test_a_changed_crop_is_encoded_alone_and_changes_no_other_face(study, described, monkeypatch):
    from PIL import Image

    before, _ = read_latents(study / "latents.safetensors", images_of(study), described, TRANSFORM)
    path = study / "crops" / "00002.png"
    Image.fromarray(np.full((50, 50), 200, np.uint8)).save(path)
    with pytest.raises(EgaraError, match="00002.png: changed since the sets were drawn"):
        latents.main(options(study))
    table = pd.read_csv(study / "w.tsv", sep="\t", dtype=str)
    table.loc[table["face"] == "00002", "sha256"] = sha256(path)
    write_tsv(study / "w.tsv", table)
    with pytest.raises(EgaraError, match="the image of face 00002 has changed"):
        read_latents(study / "latents.safetensors", images_of(study), described, TRANSFORM)
    assert encoded_by(study, monkeypatch) == ["00002"]
    after, rows = read_latents(study / "latents.safetensors", images_of(study), described, TRANSFORM)
    same = [row for face, row in rows.items() if face != "00002"]
    np.testing.assert_array_equal(after["mean"][same], before["mean"][same])
    assert np.abs(after["mean"][2] - before["mean"][2]).max() > 1e-3


def test_only_the_part_that_encodes_makes_latents_and_captions_stale(study, small_base, monkeypatch):
    files = [study / "latents.safetensors", study / "captions.safetensors"]
    describe_changed(study, small_base, "unet")
    base = json.loads((study / "base.json").read_text())
    read_latents(files[0], images_of(study), base, TRANSFORM)
    read_caption(files[1], "solo, face", base)
    assert encoded_by(study, monkeypatch) == []
    describe_changed(study, small_base, "vae")
    base = json.loads((study / "base.json").read_text())
    with pytest.raises(EgaraError, match="another autoencoder; delete it"):
        read_latents(files[0], images_of(study), base, TRANSFORM)
    assert len(encoded_by(study, monkeypatch)) == FACES
    read_latents(files[0], images_of(study), base, TRANSFORM)
    describe_changed(study, small_base, "tokenizer")
    with pytest.raises(EgaraError, match="another tokenizer; delete it"):
        read_caption(files[1], "solo, face", json.loads((study / "base.json").read_text()))


def test_another_transform_is_encoded_and_never_mixed_up(study, described, monkeypatch):
    assert len(encoded_by(study, monkeypatch, "--image-interpolation-mode", "box")) == FACES
    assert len(entries(study)) == 2 * FACES
    with pytest.raises(EgaraError, match="another transform .resample box, expected lanczos"):
        read_latents(study / "latents.safetensors", images_of(study), described, TRANSFORM)
    with pytest.raises(EgaraError, match="training.image_interpolation_mode is 'nearest'"):
        describe_transform(SIDE, "nearest")


def test_a_new_version_makes_latents_and_captions_stale(study, described, monkeypatch):
    from egara.loras.encoding import inputs

    monkeypatch.setattr(inputs, "LATENTS_VERSION", inputs.LATENTS_VERSION + 1)
    monkeypatch.setattr(inputs, "EMBEDDINGS_VERSION", inputs.EMBEDDINGS_VERSION + 1)
    with pytest.raises(EgaraError, match="latents of another version of the encoding; delete it"):
        read_latents(study / "latents.safetensors", images_of(study), described, TRANSFORM)
    with pytest.raises(EgaraError, match="embeddings of another version of the encoding; delete it"):
        read_caption(study / "captions.safetensors", "solo, face", described)


def test_a_face_or_caption_that_was_never_encoded_is_named(study, described):
    images = images_of(study) | {"00009": "0" * 64}
    with pytest.raises(EgaraError, match="holds no latents of face 00009"):
        read_latents(study / "latents.safetensors", images, described, TRANSFORM)
    with pytest.raises(EgaraError, match="holds no solo"):
        read_caption(study / "captions.safetensors", "solo", described)


def test_captions_keep_their_token_ids(study, small_base, described):
    from egara.loras.base.components import load_part

    tokenizer = load_part(small_base, "tokenizer")
    caption = read_caption(study / "captions.safetensors", "solo, face, v011", described)
    words = [word for word in tokenizer.convert_ids_to_tokens(caption.ids) if not word.startswith("<|")]
    assert "".join(words).replace("</w>", " ").split() == ["solo", ",", "face", ",", "v", "0", "1", "1"]
    assert caption.embedding.shape == (len(caption.ids), 64) and caption.ids.dtype == np.int64
    plain = read_caption(study / "captions.safetensors", "solo, face", described)
    assert np.abs(plain.embedding - caption.embedding).max() > 1e-3
    with pytest.raises(EgaraError, match="expected at most 24"):
        embeddings.main(caption_options(study, '["' + "words " * 40 + '"]'))


def test_pruning_keeps_what_a_gathered_file_lists(study):
    from egara.loras.store.pruning import prune_cache

    latents.main(options(study, "--image-interpolation-mode", "box", "--output", str(study / "box.safetensors")))
    (study / "cache" / "00").mkdir(exist_ok=True)
    (study / "cache" / "00" / ".half.safetensors").write_bytes(b"x")
    count, freed = prune_cache(study / "cache", [study / "latents.safetensors"])
    assert count == FACES + 1 and freed > 1000
    shutil.rmtree(study / "crops")
    assert len(entries(study)) == FACES


def test_weights_that_changed_since_their_description_are_refused(study, small_base, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(small_base, folder)
    (study / "base.json").write_text(json.dumps(describe_base(str(folder))))
    weights = next((folder / "vae").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes() + b" ")
    shutil.rmtree(study / "cache")
    with pytest.raises(EgaraError, match="vae changed since the base was described"):
        latents.main(options(study))
    assert not (study / "cache").exists()
