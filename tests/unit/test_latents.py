"""Everything once per study: what is encoded, what is found in the cache, and what is refused."""

import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load, load_file

from egara.io.errors import EgaraError
from egara.io.hashing import sha256
from egara.io.tables import write_tsv
from egara.loras.base.find import describe_base
from egara.loras.encoding import captions as embeddings
from egara.loras.encoding import latents
from egara.loras.encoding.inputs import describe_transform, read_caption, read_latents
from egara.loras.encoding.vae import read_picture

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


def test_a_killed_job_leaves_what_it_finished(described, tmp_path, monkeypatch):
    """The job kills itself (as `kill -9` does) while it writes its third face."""
    root = tmp_path / "study"
    write_study(root, described)
    code = (
        "import os, signal\nfrom egara.loras.encoding import latents\nreplace, done = os.replace, []\n"
        "def replace_or_die(*paths):\n"
        "    done.append(paths)\n"
        "    os.kill(os.getpid(), signal.SIGKILL) if len(done) == 3 else replace(*paths)\n"
        f"os.replace = replace_or_die\nlatents.main({options(root)!r})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert not (root / "latents.safetensors").exists()
    assert encoded_by(root, monkeypatch) == ["00002", "00003"]
    read_latents(root / "latents.safetensors", images_of(root), described, TRANSFORM)


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "flipped"])
def test_a_damaged_entry_is_named_in_one_line_and_computed_again(study, described, damage, caplog):
    first, second = entries(study)[:2]
    whole = first.read_bytes()
    flipped = whole[:-40] + bytes([whole[-40] ^ 4]) + whole[-39:]
    first.write_bytes({"cut": whole[:-100], "empty": b"", "other": second.read_bytes(), "flipped": flipped}[damage])
    written, gathered = load(whole), load_file(study / "latents.safetensors")
    with caplog.at_level("WARNING"):
        latents.main(options(study))
    said = [record.getMessage() for record in caplog.records if first.name in record.getMessage()]
    assert len(said) == 1 and "\n" not in said[0]
    assert all(np.array_equal(array, written[name]) for name, array in load(first.read_bytes()).items())
    assert all(
        np.array_equal(array, gathered[name]) for name, array in load_file(study / "latents.safetensors").items()
    )


def test_a_flipped_bit_in_gathered_files_is_one_line(study, described):
    path = study / "latents.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + bytes([whole[-40] ^ 4]) + whole[-39:])
    with pytest.raises(EgaraError, match="latents.safetensors: numbers of .* were changed.*delete it and run again"):
        read_latents(path, images_of(study), described, TRANSFORM)


def test_gathered_files_cut_short_are_one_line(study, described):
    for name in ("latents", "captions"):
        path = study / f"{name}.safetensors"
        path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(EgaraError, match="latents.safetensors: not a whole safetensors file.*delete it and run again"):
        read_latents(study / "latents.safetensors", images_of(study), described, TRANSFORM)
    with pytest.raises(EgaraError, match="captions.safetensors: not a whole safetensors file.*delete it and run again"):
        read_caption(study / "captions.safetensors", "solo, face", described)


def test_a_full_disk_is_one_line_and_leaves_nothing(study):
    (study / "latents.safetensors").unlink()
    code = (
        "import resource, signal\nfrom egara.io.errors import run\nfrom egara.loras.encoding import latents\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"run(lambda: latents.main({options(study)!r}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 1
    assert "latents.safetensors: cannot be written" in ran.stderr and "Traceback" not in ran.stderr
    assert not list(study.glob(".latents*")) and not (study / "latents.safetensors").exists()


def test_a_crop_that_is_no_picture_or_is_gone_is_named(study, described, tmp_path):
    write_study(tmp_path / "other", described, 1)
    root = tmp_path / "other"
    path = root / "crops" / "00000.png"
    path.write_bytes(path.read_bytes()[:60])
    write_tsv(root / "w.tsv", pd.DataFrame([{"face": "00000", "file": path.name, "sha256": sha256(path)}]))
    with pytest.raises(EgaraError, match="00000.png: cannot be read as an image"):
        latents.main(options(root))
    (study / "crops" / "00001.png").unlink()
    with pytest.raises(EgaraError, match="00001.png: cannot be read"):
        latents.main(options(study))


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
