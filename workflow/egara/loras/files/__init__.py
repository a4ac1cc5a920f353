"""LoRA files: every common layout of Stable Diffusion 1 and 2, read as NumPy arrays without torch, and converted.

Whatever the layout, a layer is called `unet.<module>` or `text_encoder.<module>` by the modules' names in diffusers and
transformers 5, and its update is ΔW = scaling · lora_B @ lora_A. Writing: `egara.loras.files.writing`.
"""

from egara.loras.files.layers import Factors, Layout, Lora, Shape
from egara.loras.files.reading import check_lora, read_layout, read_lora

__all__ = ["Factors", "Layout", "Lora", "Shape", "check_lora", "read_layout", "read_lora"]
