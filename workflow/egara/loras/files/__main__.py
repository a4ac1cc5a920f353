"""Convert a LoRA file to the layout of another program, keeping its provenance.

Reads the layouts of diffusers, PEFT and kohya, and diffusers' older attention processors; writes diffusers' and PEFT's
or kohya's.
"""

from pathlib import Path

from egara.io.errors import EgaraError
from egara.io.progress import logger, parser
from egara.loras.files.reading import read_lora, read_metadata
from egara.loras.files.writing import LAYOUTS, TYPES, alpha_of, write_lora


def convert(source: Path, target: Path, layout: str, dtype: str = "float32") -> str:
    """Write the LoRA of `source` to `target` and return one line that says what was written.

    Raises
    ------
    EgaraError : as `read_lora` and `write_lora`; or the target is the source.
    """
    if target.resolve() == source.resolve():
        raise EgaraError(f"{target}: is the file to convert; expected another name, so that the original is kept")
    lora = read_lora(source, flat=False)
    folded = write_lora(target, lora.layers, lora.header, layout, dtype, read_metadata(source))
    told = f"{target}: {len(lora.layers)} layers in the layout of {layout}, {dtype}"
    if folded:
        alphas = sorted({alpha_of(pair) for pair in lora.layers.values()})
        told += (
            f"; alphas differ between layers ({alphas[0]:g} to {alphas[-1]:g}), so the file has one, and "
            f"{len(folded)} layers have the difference in lora_up, because diffusers would lose it otherwise"
        )
    return told


def main(argv: list[str] | None = None) -> None:
    """Convert one file."""
    arguments = parser(__doc__)
    commands = arguments.add_subparsers(dest="command", required=True)
    command = commands.add_parser("convert", help="write a LoRA file in another layout or precision")
    command.add_argument("source", type=Path, metavar="IN", help="LoRA file, .safetensors")
    command.add_argument("target", type=Path, metavar="OUT", help="file to write, .safetensors")
    command.add_argument("--layout", required=True, choices=LAYOUTS, help="peft is also the layout of diffusers")
    command.add_argument("--dtype", default="float32", choices=TYPES, help="type of the factors")
    options = arguments.parse_args(argv)
    logger("loras.formats").info("%s", convert(options.source, options.target, options.layout, options.dtype))
