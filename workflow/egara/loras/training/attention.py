"""Attention of a packed U-Net: all images of one adapter share one caption, so its keys and values are computed once.

diffusers repeats the caption's embedding for every image. In a pack it has the shape (K, tokens, width); the queries of
an adapter's b images are concatenated and attend to K sets of keys instead of K x b.
"""

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention


class PackedAttention:
    """Attention processor for transformer blocks: self-attention, and cross-attention to a shared caption."""

    def __call__(
        self,
        attention: "Attention",
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        **_: object,
    ) -> torch.Tensor:
        """Map (K x b, pixels, width) to the same shape; `encoder_hidden_states` is (K, tokens, width) or None."""
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attention.to_q(hidden_states), attention.to_k(source), attention.to_v(source)

        def by_head(x: torch.Tensor) -> torch.Tensor:
            return x.view(len(source), -1, attention.heads, x.shape[-1] // attention.heads).transpose(1, 2)

        attended = scaled_dot_product_attention(by_head(query), by_head(key), by_head(value))
        attended = attended.transpose(1, 2).reshape(query.shape)
        return attention.to_out[1](attention.to_out[0](attended))


def use_packed_attention(unet: torch.nn.Module) -> dict[str, object]:
    """Set this processor in the transformer blocks of `unet`, in place; returns the processors before."""
    before = dict(unet.attn_processors)
    packed = PackedAttention()
    unet.set_attn_processor({name: packed if ".transformer_blocks." in name else one for name, one in before.items()})
    return before
