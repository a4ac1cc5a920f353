"""Sample faces with the base model alone, without any LoRA.

egara samples base --base results/demo/base/base.json --output results/demo/base/samples.png
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.io.atomic import replacing
from egara.io.progress import logger, parser
from egara.loras.base.components import read_description
from egara.samples.sampling import add_arguments, draw_noise, load_pipeline, sample_images
from egara.settings import Captions
from egara.settings.arguments import add_setting

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


def make_sheet(images: np.ndarray, columns: int, gap: int = 4) -> "PillowImage":
    """Lay images of shape (n_images, height, width, 3) out in rows."""
    from PIL import Image

    count, height, width, _ = images.shape
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + gap) + gap), "white")
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        sheet.paste(Image.fromarray(image), (gap + column * (width + gap), gap + row * (height + gap)))
    return sheet


def main(argv: list[str] | None = None) -> None:
    """Sample a sheet of faces and write it as PNG."""
    arguments = parser(__doc__)
    arguments.add_argument("--base", type=Path, required=True, help="description of the base model")
    add_setting(arguments, Captions, "text", "--caption", help="what to draw")
    arguments.add_argument("--num-images", type=int, default=24, help="images")
    add_arguments(arguments, resolution=64)
    arguments.add_argument("--output", type=Path, required=True, help="sheet of samples (.png)")
    options = arguments.parse_args(argv)
    import torch

    from egara.loras.base.devices import choose_device

    torch.set_num_threads(options.threads)
    pipeline = load_pipeline(Path(read_description(options.base)["folder"]), choose_device(options.device))
    noise = draw_noise(pipeline, options.num_images, options.resolution, options.seed)
    images = sample_images(pipeline, options.caption, noise, options.num_inference_steps, options.guidance_scale)
    with replacing(options.output) as part:
        make_sheet(images, columns=8).save(part)
    logger("base").info("sampled %d images", len(images))
