"""How a picture is said to a denoiser beside its prompt: the image prompt adapter.

Ye et al. 2023, "IP-Adapter" (https://arxiv.org/abs/2308.06721). What an image encoder finds becomes
a few tokens, which every cross attention of the denoiser attends to by keys and values of its own;
the answer is added to that of the text. The tokens come from one matrix, or, in the "plus"
adapters, from a resampler (Alayrac et al. 2022, https://arxiv.org/abs/2204.14198, section 3.1).

Parameters have the published files' names.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_CHANNELS = 64  # of a resampler's attention
RESAMPLED_LAYER = -2  # of the encoder's hidden states: what a resampler reads


class LinearProjection(nn.Module):
    """The encoder's embedding (B, E) to N tokens (B, N, D), by one matrix."""

    def __init__(self, embedding: int, tokens: int, width: int) -> None:
        super().__init__()
        self._shape = (tokens, width)
        self.proj = nn.Linear(embedding, tokens * width)
        self.norm = nn.LayerNorm(width)

    def forward(self, embedding: Tensor) -> Tensor:
        """Return the tokens (B, N, D)."""
        tokens: Tensor = self.norm(self.proj(embedding).unflatten(1, self._shape))
        return tokens


class Resampler(nn.Module):
    """The encoder's patches (B, P, E) to N tokens (B, N, D): N learnt queries look at them."""

    def __init__(
        self, embedding: int, tokens: int, width: int, *, channels: int, heads: int, depth: int
    ) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.zeros(1, tokens, channels))
        self.proj_in = nn.Linear(embedding, channels)
        self.proj_out = nn.Linear(channels, width)
        self.norm_out = nn.LayerNorm(width)
        blocks = ([_Looking(channels, heads), _thinking(channels)] for _ in range(depth))
        self.layers = nn.ModuleList(nn.ModuleList(block) for block in blocks)

    def forward(self, patches: Tensor) -> Tensor:
        """Return the tokens (B, N, D)."""
        patches = self.proj_in(patches)
        queries = self.latents.expand(len(patches), -1, -1)
        for layer in self.layers:
            look, think = list(layer.children())
            queries = queries + look(patches, queries)
            queries = queries + think(queries)
        tokens: Tensor = self.norm_out(self.proj_out(queries))
        return tokens


class _Looking(nn.Module):
    """Queries attend to the patches and to each other."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        inner = heads * HEAD_CHANNELS
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.to_q = nn.Linear(channels, inner, bias=False)
        self.to_kv = nn.Linear(channels, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, channels, bias=False)

    def forward(self, patches: Tensor, queries: Tensor) -> Tensor:
        patches, queries = self.norm1(patches), self.norm2(queries)
        keys, values = self.to_kv(torch.cat([patches, queries], dim=1)).chunk(2, dim=-1)
        seen: Tensor = self.to_out(attended(self.to_q(queries), keys, values, self._heads))
        return seen


def _thinking(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(channels),
        nn.Linear(channels, 4 * channels, bias=False),
        nn.GELU(),
        nn.Linear(4 * channels, channels, bias=False),
    )


class StyledAttention:
    """A cross attention of a diffusers denoiser, to text and to a picture's tokens.

    The text arrives as ever; with pictures it is a pair of text and (tokens (B, N, D), scale (B,)),
    as diffusers hands on whatever it is given. Rows of scale 0 are left as the text alone has them.
    """

    def __init__(self, plain: Any, keys: Tensor, values: Tensor) -> None:
        """Extend `plain`, the attention's own way, by an adapter's matrices (C, D)."""
        self.plain = plain
        self._keys = keys
        self._values = values

    def __call__(
        self, attention: Any, hidden: Tensor, encoder_hidden_states: Any = None, **others: Any
    ) -> Tensor:
        """Return hidden states like `hidden` (B, L, C)."""
        if not isinstance(encoder_hidden_states, tuple):
            plain: Tensor = self.plain(attention, hidden, encoder_hidden_states, **others)
            return plain
        text, (tokens, scale) = encoder_hidden_states
        heads = attention.heads
        queries = attention.to_q(hidden)
        answer = attended(queries, attention.to_k(text), attention.to_v(text), heads)
        keys = functional.linear(tokens, self._keys)
        values = functional.linear(tokens, self._values)
        of_style = attended(queries, keys, values, heads)
        # Row by row, so that strangers with other scales share the pass.
        answer = answer + scale[:, None, None] * of_style
        project, drop = attention.to_out
        projected: Tensor = drop(project(answer))
        return projected


def attended(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """Attention of several heads; (B, L, C), (B, M, C) twice -> (B, L, C)."""

    def parted(part: Tensor) -> Tensor:
        return part.view(*part.shape[:2], heads, -1).transpose(1, 2)

    seen = functional.scaled_dot_product_attention(parted(queries), parted(keys), parted(values))
    return seen.transpose(1, 2).flatten(2)
