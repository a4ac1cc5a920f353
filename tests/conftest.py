"""Small real things that several tests share."""

import os
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1] / "workflow"
os.environ["PYTHONPATH"] = str(LIBRARY)  # for the commands that tests start
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest  # noqa: E402


@pytest.fixture(scope="session")
def small_base(tmp_path_factory):
    """A base model of the embedded architecture with random weights, in diffusers' layout."""
    import torch

    from egara.pretraining import models

    torch.set_num_threads(1)
    torch.manual_seed(5)
    tokenizer = models.build_tokenizer()
    folder = tmp_path_factory.mktemp("base")
    parts = {
        "vae": models.build_autoencoder(),
        "unet": models.build_unet(),
        "text_encoder": models.build_text_encoder(tokenizer),
        "tokenizer": tokenizer,
        "scheduler": models.build_scheduler(),
    }
    models.save_base(folder, parts)
    return folder
