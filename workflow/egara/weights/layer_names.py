"""Where in the network a layer is, read from its module name as diffusers and transformers write it."""

import re
from typing import NamedTuple

# Columns in which layers are compared, in the order of the forward pass.
KINDS = (
    "self q", "self k", "self v", "self out", "cross q", "cross k", "cross v", "cross out", "feed-forward in",
    "feed-forward out", "projection in", "projection out", "other",
)  # fmt: skip
ATTENTION = {"attn1": "self", "attn2": "cross", "self_attn": "self"}
ENDINGS = {
    "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "out", "q_proj": "q", "k_proj": "k", "v_proj": "v",
    "out_proj": "out",
}  # fmt: skip
OTHERS = {
    "ff.net.0.proj": "feed-forward in", "ff.net.2": "feed-forward out", "mlp.fc1": "feed-forward in",
    "mlp.fc2": "feed-forward out", "proj_in": "projection in", "proj_out": "projection out",
}  # fmt: skip
UNET = re.compile(
    r"unet\.(down_blocks|mid_block|up_blocks)(?:\.(\d+))?(?:\.attentions\.(\d+))?(?:\.transformer_blocks\.(\d+))?\.(.+)"
)
TEXT = re.compile(r"text_encoder\.(?:text_model\.)?encoder\.layers\.(\d+)\.(.+)")


class Place(NamedTuple):
    """Where a layer is: position (`down 1`, `up 0.1`, `text 3`), what it does, and a key that sorts positions."""

    position: str
    kind: str
    order: tuple[int, ...]


def place_of(name: str) -> Place:
    """Return where a layer is; one of an unknown name is of kind `other`, and its position is the name itself."""
    if found := TEXT.fullmatch(name):
        return Place(f"text {found[1]}", _kind(found[2]), (0, int(found[1])))
    if found := UNET.fullmatch(name):
        half = {"down_blocks": 1, "mid_block": 2, "up_blocks": 3}[found[1]]
        block, attention, depth = (int(number or 0) for number in found.group(2, 3, 4))
        word = {1: f"down {block}", 2: "mid", 3: f"up {block}"}[half]
        inner = f".{attention}" if half != 2 else ""
        return Place(f"{word}{inner}{f'.{depth}' if depth else ''}", _kind(found[5]), (half, block, attention, depth))
    return Place(name, "other", (9,))


def _kind(rest: str) -> str:
    for attention, word in ATTENTION.items():
        ending = rest.removeprefix(f"{attention}.")
        if ending != rest and ending in ENDINGS:
            return f"{word} {ENDINGS[ending]}"
    return OTHERS.get(rest, "other")


def group_of(kind: str) -> str:
    """Return the group of a kind: self-attention, cross-attention, feed-forward, projection or other."""
    first = kind.split()[0]
    return {"self": "self-attention", "cross": "cross-attention"}.get(first, first)
