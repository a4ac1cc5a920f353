"""Losses of a cell: read from headers alone, in one table, drawn with honest windows."""

import json
import logging
import struct

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from egara.figures import __main__ as figures
from egara.figures import losses as figure
from egara.figures.style import set_theme
from egara.io.errors import EgaraError
from egara.loras.training import losses
from egara.report.images import read_figure

CELL = "rank~8_alpha~8_resolution~64_init~independent_token~none"
WORKS = {"pen-a": "横槍 メンゴ", "pen-b": "横槍 メンゴ", "007": "Jörg & Co"}


def make_lora(path, author, work, name, kept):
    """A LoRA file with `kept` under `egara_losses`, as the trainer writes it; None leaves the key out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"egara": json.dumps({"author": author, "work": work, "set": name})}
    if kept is not None:
        header["egara_losses"] = json.dumps(kept)
    factors = {"unet.a.lora_A.weight": np.ones((2, 4), np.float32), "unet.a.lora_B.weight": np.ones((3, 2), np.float32)}
    save_file(factors, path, metadata=header)


def make_cell(folder, sets=2, steps=40, block=4):
    """A cell whose losses say which LoRA and step they belong to."""
    for place, (work, author) in enumerate(WORKS.items()):
        for number in range(sets):
            ends = [*range(block, steps, block), steps]
            kept = {"step": ends, "loss": [0.1 + place + number / 10 + 0.001 * end for end in ends]}
            make_lora(folder / work / f"{number:02d}.safetensors", author, work, f"{number:02d}", kept)
    return folder


def gather(folder, output, sets=2):
    works = [output.with_name(f"{work}.tsv") for work in WORKS]
    for work, table in zip(WORKS, works, strict=True):
        losses.write_losses(table, [folder / work / f"{number:02d}.safetensors" for number in range(sets)])
    losses.main(["--losses", *map(str, works), "--output", str(output)])
    return pd.read_csv(output, sep="\t", dtype={"work": str, "set": str})


def draw(table, *outputs):
    figures.main(["losses", "--losses", str(table), "--cell", CELL, "--output", *map(str, outputs)])


def test_every_loss_of_every_lora_stands_in_the_table(tmp_path):
    table = gather(make_cell(tmp_path / "loras"), tmp_path / "losses.tsv")
    assert list(table.columns) == ["author", "work", "set", "step", "loss"]
    assert len(table) == 3 * 2 * 10
    assert list(dict.fromkeys(table["work"])) == list(WORKS)
    row = table[(table["work"] == "007") & (table["set"] == "01") & (table["step"] == 8)]
    assert row["author"].tolist() == ["Jörg & Co"]
    assert row["loss"].tolist() == pytest.approx([0.1 + 2 + 0.1 + 0.008])


def test_a_file_without_losses_is_counted_and_left_out(tmp_path, caplog):
    folder = make_cell(tmp_path / "loras")
    make_lora(folder / "pen-b" / "00.safetensors", "x", "pen-b", "00", None)
    with caplog.at_level(logging.INFO):
        table = gather(folder, tmp_path / "losses.tsv")
    assert "1 of 2 LoRA files hold no losses" in caplog.text
    assert len(table) == 5 * 10
    assert not ((table["work"] == "pen-b") & (table["set"] == "00")).any()


def test_tensors_are_not_read(tmp_path):
    """A file of 64 GB, all of it a hole: reading its tensor would need more memory than there is."""
    size = 64 * 2**30
    kept = json.dumps({"step": [5, 10], "loss": [0.5, 0.25]})
    header = {
        "__metadata__": {"egara": json.dumps({"author": "a", "work": "w", "set": "00"}), "egara_losses": kept},
        "unet.a.lora_A.weight": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "00.safetensors"
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + size)
    assert losses.read_losses(path)["loss"].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    "kept",
    [
        {"step": [1, 2], "loss": [0.5]},
        {"step": [2, 1], "loss": [0.5, 0.5]},
        {"step": [0, 1], "loss": [0.5, 0.5]},
        {"step": [], "loss": []},
        {"loss": [0.5]},
        {"step": ["a"], "loss": [0.5]},
        [0.5],
    ],
)
def test_losses_that_make_no_sense_are_one_line_with_the_file(tmp_path, kept):
    make_lora(tmp_path / "pen-a" / "00.safetensors", "x", "pen-a", "00", kept)
    with pytest.raises(EgaraError, match="pen-a/00.safetensors: .*last step of each block") as said:
        losses.read_losses(tmp_path / "pen-a" / "00.safetensors")
    assert "\n" not in str(said.value)


def test_missing_and_cut_short_files_leave_no_table(tmp_path):
    folder = make_cell(tmp_path / "loras")
    path = folder / "pen-a" / "01.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(EgaraError, match="01.safetensors: not a whole"):
        gather(folder, tmp_path / "losses.tsv")
    with pytest.raises(EgaraError, match="02.safetensors"):
        path.unlink()
        make_cell(folder)
        gather(folder, tmp_path / "losses.tsv", sets=3)
    assert not (tmp_path / "losses.tsv").exists()


def long_table(steps, block, values):
    ends = [*range(block, steps, block), steps]
    return pd.DataFrame({"author": "a", "work": "w", "set": "00", "step": ends, "loss": values(np.array(ends))})


def test_windows_keep_the_mean_of_all_steps():
    table = long_table(500, 3, lambda ends: np.random.default_rng(0).normal(size=len(ends)) + 1)
    means, length = figure.average_windows(table)
    assert length % 3 == 0 and len(means) <= figure.WINDOWS
    counts = np.diff([0, *np.minimum(np.arange(1, len(means) + 1) * length, 500)])
    blocks = np.diff([0, *table["step"]])
    assert (means["loss"] * counts).sum() == pytest.approx((table["loss"] * blocks).sum())


def test_a_window_knows_nothing_of_the_others():
    table = long_table(400, 2, lambda ends: np.where(ends <= 200, 1.0, 9.0))
    means, length = figure.average_windows(table)
    assert 200 % length == 0
    assert set(means["loss"]) == {1.0, 9.0}
    assert means.loc[means["step"] < 200, "loss"].eq(1.0).all()


@pytest.mark.parametrize(("steps", "block"), [(1, 1), (2, 1), (7, 1), (120, 1), (120, 7)])
def test_short_trainings_are_drawn_too(tmp_path, steps, block):
    long_table(steps, block, lambda ends: 1 / ends).to_csv(tmp_path / "l.tsv", sep="\t", index=False)
    draw(tmp_path / "l.tsv", tmp_path / "l.svg")
    assert read_figure(tmp_path / "l.svg").kind == "losses"


def test_the_figure_names_works_and_says_how_it_is_smoothed(tmp_path):
    gather(make_cell(tmp_path / "loras", steps=200), tmp_path / "losses.tsv")
    draw(tmp_path / "losses.tsv", tmp_path / "a.svg", tmp_path / "a.png")
    draw(tmp_path / "losses.tsv", tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    shown = read_figure(tmp_path / "a.svg")
    assert "6 LoRAs of 3 works by 2 authors" in shown.caption
    assert "mean of 12 steps in a row; windows do not overlap" in shown.caption
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert all(f">{name}<" in text for name in ("007", "pen-a", "pen-b", "横槍 メンゴ", "median of a work"))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_lora_that_leaves_the_others_does_not_flatten_them():
    from matplotlib import pyplot

    set_theme()
    tables = [long_table(100, 1, lambda ends: 1 + 0 * ends).assign(set=f"{number:02d}") for number in range(4)]
    calm, _ = figure.average_windows(pd.concat(tables))
    tables[3] = tables[3].assign(loss=tables[3]["loss"] * np.linspace(1, 500, 100))
    wild, _ = figure.average_windows(pd.concat(tables))
    for means, scale in ((calm, "linear"), (wild, "log")):
        drawn = figure.plot_losses(means)
        assert drawn.axes[0].get_yscale() == scale
        pyplot.close(drawn)


def test_a_loss_that_is_no_number_ends_its_line_and_nothing_else():
    table = long_table(100, 1, lambda ends: np.where(ends > 50, np.nan, 2.0))
    means, _ = figure.average_windows(pd.concat([table, table.assign(set="01", loss=3.0)]))
    assert means.loc[means["set"] == "00", "step"].max() <= 50
    assert means.loc[means["set"] == "01", "step"].max() > 90
    assert set(means["loss"]) == {2.0, 3.0}


def test_a_cell_without_losses_has_a_figure_that_says_so(tmp_path):
    for work, author in WORKS.items():
        make_lora(tmp_path / "loras" / work / "00.safetensors", author, work, "00", None)
    gather(tmp_path / "loras", tmp_path / "losses.tsv", sets=1)
    draw(tmp_path / "losses.tsv", tmp_path / "a.svg")
    assert "hold no losses" in (tmp_path / "a.svg").read_text()
    assert "another trainer" in read_figure(tmp_path / "a.svg").caption
