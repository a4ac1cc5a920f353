"""Train the embedded face detector on pages of held-out artists (ONNX).

    egara pretraining detector --pages 240 --steps 1600 --threads 1 --output resources/detector/detector.onnx

The evaluated artists are never drawn here. `--hold-out micah,marbles` keeps styles back as well and measures on them.
"""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.fingerprint import fingerprint
from egara.io.atomic import replacing
from egara.io.errors import EgaraError
from egara.io.progress import bar, logger, parser
from egara.seeds import derive_seed, stream

if TYPE_CHECKING:
    import torch

    from egara.pretraining.characters import Figure
    from egara.pretraining.examples import Example, Scene
    from egara.pretraining.network import FaceNetwork

SIDE = 320  # pixels of a training picture: the largest face at the working scale, and what is around it
MIXED = 0.5  # share of pages whose cast mixes styles; the others hold one style, as real volumes do
CAST = 6
VALIDATION = 24  # pages
THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the network is trained; every number goes into the file's header."""

    steps: int = 1600
    batch: int = 8
    side: int = SIDE
    learning_rate: float = 3e-3  # the peak of a cosine with a warm-up
    warm_up: int = 100
    decay: float = 1e-3


def compose_scenes(styles: list[str], count: int, seed: int, purpose: str) -> "list[Scene]":
    """Compose pages, half of them as if scanned, and scale them for training."""
    from egara.demo.composition import compose_page
    from egara.faces.backends.embedded import working_scale
    from egara.io.progress import track
    from egara.pretraining.examples import make_scene

    scenes = []
    for number in track(range(count), count, "page"):
        cast = draw_cast(styles, seed, purpose, number)
        page = compose_page(
            cast, f"{purpose}-{number}", seed, scan=max(0.0, stream(seed, purpose, number).uniform(-1, 1))
        )
        image = np.asarray(page.image.convert("L"))
        boxes = np.array([[f.left, f.top, f.right, f.bottom] for f in page.faces], float).reshape(-1, 4)
        scenes.append(make_scene(image, boxes, working_scale(*image.shape)))
    return scenes


def draw_cast(styles: list[str], seed: int, purpose: str, number: int) -> list:
    """Return the cast of one training page: of one style, or mixed."""
    from egara.demo.composition import CastMember

    draw = stream(seed, purpose, number, "cast")
    mixed = draw.random() < MIXED
    home = str(draw.choice(styles))
    return [
        CastMember(str(draw.choice(styles)) if mixed else home, f"{purpose}-{seed}-{number}-{member}")
        for member in range(CAST)
    ]


def targets(examples: "list[Example]", side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the map should be.

    Returns
    -------
    heat : float32 (b, side / 8, side / 8), 1 in the cell of a face's middle, falling off as a Gaussian around it
        (CenterNet, Zhou et al. 2019).
    sides : float32 (b, 4, side / 8, side / 8), distances in strides to the sides of the face that is nearest by heat.
    valid_mask : float32 (b, side / 8, side / 8), 0 in ignored regions.
    """
    from egara.pretraining.network import STRIDE

    cells = side // STRIDE
    heat, valid_mask = (
        np.zeros((len(examples), cells, cells), np.float32),
        np.ones((len(examples), cells, cells), np.float32),
    )
    sides = np.ones((len(examples), 4, cells, cells), np.float32)
    middle = np.arange(cells) + 0.5
    for row, example in enumerate(examples):
        for left, top, right, bottom in example.ignored / STRIDE:
            valid_mask[row, int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = 0
        for left, top, right, bottom in example.faces / STRIDE:
            x, y = (min(int(v), cells - 1) for v in ((left + right) / 2, (top + bottom) / 2))
            spread = 0.4 + 0.09 * np.array([right - left, bottom - top])
            near = np.exp(
                -0.5 * (((middle - 0.5 - x) / spread[0])[None] ** 2 + ((middle - 0.5 - y) / spread[1])[:, None] ** 2)
            )
            own = near > heat[row]
            heat[row][own] = near[own]
            distances = np.broadcast_arrays(
                middle[None] - left, middle[:, None] - top, right - middle[None], bottom - middle[:, None]
            )
            sides[row][:, own] = np.stack(distances)[:, own]
    return heat, sides, np.maximum(valid_mask, heat > 0.6)


def loss_of(
    output: "torch.Tensor", heat: "torch.Tensor", sides: "torch.Tensor", valid_mask: "torch.Tensor"
) -> "torch.Tensor":
    """Return the penalty-reduced focal loss of the middles (CenterNet, equation 1) plus the generalised
    intersection-over-union loss of the boxes around them (Rezatofighi et al. 2019), a number.
    """
    from torch.nn import functional as F

    logit, distances = output[:, 0], output[:, 1:].clamp(-6, 6).exp()
    probability = logit.sigmoid()
    positive = (heat > 0.999).float()
    count = positive.sum().clamp(min=1)
    focal = positive * (1 - probability) ** 2 * F.softplus(-logit)
    focal = focal + (1 - positive) * valid_mask * (1 - heat) ** 4 * probability**2 * F.softplus(logit)
    weight = heat * (heat > 0.5) * (sides.min(dim=1).values > 0)
    low, high = distances.minimum(sides), distances.maximum(sides)
    shared = (low[:, 0] + low[:, 2]) * (low[:, 1] + low[:, 3])
    hull = (high[:, 0] + high[:, 2]) * (high[:, 1] + high[:, 3])
    union = sum((d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3]) for d in (distances, sides)) - shared
    generalised = shared / union - (hull - union) / hull
    return focal.sum() / count + 2 * ((1 - generalised) * weight).sum() / weight.sum().clamp(min=1)


def train(
    scenes: "list[Scene]",
    figures: "list[Figure]",
    settings: Settings,
    seed: int,
    log: logging.Logger,
    every: int = 100,
) -> "FaceNetwork":
    """Train a network and return it; weights and images are drawn from streams named by the seed.

    Every `every` steps the logger `log` is told step, steps and mean loss.
    """
    import torch

    from egara.pretraining.examples import draw_batch
    from egara.pretraining.network import FaceNetwork

    torch.manual_seed(derive_seed(seed, "detector", "weights"))
    network = FaceNetwork().train().to(memory_format=torch.channels_last)  # a quarter faster on CPUs
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.decay)
    total = 0.0
    with bar(settings.steps, "step") as watched:
        for step in range(settings.steps):
            share = step / settings.steps
            rate = settings.learning_rate * min(1, (step + 1) / settings.warm_up) * 0.5 * (1 + np.cos(np.pi * share))
            optimizer.param_groups[0]["lr"] = rate
            names = (seed, "detector", "batch", step)
            examples = draw_batch(scenes, figures, settings.side, settings.batch, *names)
            heat, sides, valid_mask = (torch.from_numpy(array) for array in targets(examples, settings.side))
            pages = torch.from_numpy(np.stack([example.image for example in examples])[:, None]).float() / 255
            loss = loss_of(network(pages), heat, sides, valid_mask)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            total += float(loss.detach())
            watched.update()
            if (step + 1) % every == 0:
                log.info("step %d of %d: loss %.3f", step + 1, settings.steps, total / every)
                total = 0.0
    return network.eval()


def validate(weights: Path, styles: list[str], seed: int, threads: int) -> dict:
    """Measure a detector on composed pages of `styles` whose names training never uses; one row per style."""
    from egara.demo.composition import CastMember, compose_page
    from egara.faces.accuracy import measure
    from egara.faces.backends.embedded import EmbeddedDetector
    from egara.faces.protocol import Page
    from egara.faces.registry import DetectorSettings

    detector = EmbeddedDetector(weights, DetectorSettings(threshold=0.05, threads=threads))
    rows, all_found, all_truth = {}, [], []
    for style in styles:
        found, truth = [], []
        for number in range(max(2, VALIDATION // len(styles))):
            cast = [CastMember(style, f"validation-{seed}-{number}-{member}") for member in range(CAST)]
            page = compose_page(cast, f"validation-{style}-{number}", seed)
            found += detector.detect([Page(style, str(number), np.asarray(page.image.convert("L")))])
            truth.append(np.array([[f.left, f.top, f.right, f.bottom] for f in page.faces], float).reshape(-1, 4))
        rows[style] = _row(measure, found, truth)
        all_found, all_truth = all_found + found, all_truth + truth
    return {"all": _row(measure, all_found, all_truth), **rows}


def _row(measure: Callable, found: list[np.ndarray], truth: list[np.ndarray]) -> dict:
    sure = measure([boxes[boxes[:, 4] >= THRESHOLD] for boxes in found], truth)
    return {
        "faces": sure.faces,
        "precision": round(sure.precision, 4),
        "recall": round(sure.recall, 4),
        "ap": round(measure(found, truth).ap, 4),
        "threshold": THRESHOLD,
    }


def _write(path: Path, network: "FaceNetwork", provenance: dict) -> None:
    from egara.pretraining.network import to_onnx

    with replacing(path) as part:
        part.write_bytes(to_onnx(network, provenance))


def main(argv: list[str] | None = None) -> None:
    """Compose pages, train, measure on pages that training never saw, and write weights with their provenance."""
    from egara.demo.artists import HELD_OUT, attribution

    arguments = parser(__doc__)
    arguments.add_argument("--pages", type=int, default=240, help="composed pages to train on")
    arguments.add_argument(
        "--figures", type=int, default=60, help="figures of each style that are varied and laid over"
    )
    arguments.add_argument("--steps", type=int, default=Settings.steps, help="training steps")
    arguments.add_argument("--seed", type=int, default=0, help="study seed")
    arguments.add_argument("--threads", type=int, default=1, help="processor threads")
    arguments.add_argument("--hold-out", default="", help="held-out styles to measure on instead of training on them")
    arguments.add_argument("--output", type=Path, required=True, help="where the detector goes (.onnx)")
    options = arguments.parse_args(argv)
    log = logger("faces.train")
    styles = [style.name for style in HELD_OUT]
    held = [name for name in options.hold_out.split(",") if name]
    if unknown := sorted(set(held) - set(styles)):
        raise EgaraError(f"--hold-out {', '.join(unknown)}: not a held-out style; expected some of {', '.join(styles)}")
    styles = [name for name in styles if name not in held]
    settings = Settings(steps=options.steps)
    import torch

    from egara.pretraining.characters import draw_figures

    torch.set_num_threads(options.threads)
    log.info("composing %d pages of %s", options.pages, ", ".join(styles))
    scenes = compose_scenes(styles, options.pages, options.seed, "detector-page")
    figures = draw_figures(styles, options.figures, options.seed)
    network = train(scenes, figures, settings, options.seed, log)
    provenance = {
        "artists": [attribution(name) for name in styles],
        "styles": styles,
        "seed": options.seed,
        "pages": options.pages,
        "figures": options.figures,
        "training": dataclasses.asdict(settings),
        "code": fingerprint("egara.pretraining.detector"),
    }
    # Also written before it is measured: an error while measuring must not lose an hour's training.
    _write(options.output, network, provenance)
    log.info("measuring on pages of %s that training never saw", ", ".join(held or styles))
    validation = validate(options.output, held or styles, options.seed, options.threads)
    provenance["validation"] = {"unseen_styles": held, "unseen_pages_of": held or styles, **validation}
    _write(options.output, network, provenance)
    log.info("validation: %s", validation["all"])
