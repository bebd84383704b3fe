"""A decoder-only transformer that can forget tokens on its way up: padding on the left, a cache, dropped rows.

Pre-norm blocks with rotary positions (Su et al., arXiv:2104.09864). Tokens may be dropped at the input of a layer, as
in HiconAgent's anchor-guided history compression (arXiv:2512.01763): kept ones keep their original positions, and the
caches of the layers below and above have two lengths.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from ethogram.simulator import checked_int


class Layer(NamedTuple):
    """One layer's memory of the tokens so far."""

    key: Tensor  # (n, heads, t, width / heads)
    value: Tensor  # the same
    present: Tensor  # (n, t) bool, False for padding


Cache = tuple[Layer, ...]


def repeated(cache: Cache, times: int) -> Cache:
    """A cache of n rows for n * times: row i serves rows i * times to (i + 1) * times - 1."""
    return tuple(Layer(*(part.repeat_interleave(times, 0) for part in layer)) for layer in cache)


class Transformer(nn.Module):
    """From embedded tokens to what the last layer makes of them."""

    def __init__(self, width: int = 64, layers: int = 6, heads: int = 4, hidden: int = 256) -> None:
        super().__init__()
        for name, value in {"width": width, "layers": layers, "heads": heads, "hidden": hidden}.items():
            checked_int(name, value, 1)
        if width % (2 * heads):
            raise ValueError(f"width is {width} with {heads} heads: expected a multiple of twice the heads")
        self.width, self.heads = width, heads
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        present: Tensor,
        cache: Cache | None = None,
        *,
        keep: Tensor | None = None,
        drop_at: int | None = None,
    ) -> tuple[Tensor, Cache]:
        """The last layer's output (n, t', width), and the cache with these tokens in it.

        tokens: (n, t, width), positions: (n, t) int64, present: (n, t) bool, False for padding, which is on the left.
        cache: of the tokens before these, if any; it is not changed. Gradients flow through it.
        keep: (n, t) bool, which tokens the layers from index ``drop_at`` on still see: others are dropped at its input.
            t' is then the largest number of tokens kept in a row, and outputs stay aligned at the right. ``drop_at`` of
            the number of layers drops none.
        """
        if drop_at is not None and not 0 <= drop_at <= len(self.blocks):  # which would drop nothing, and not say so
            raise ValueError(f"drop_at is {drop_at}: expected 0 to {len(self.blocks)}, the number of layers")
        angles = rotation(positions, self.width // self.heads)
        mask = seen_by(present, cache[0].present if cache else None)
        layers: list[Layer] = []
        for index, block in enumerate(self.blocks):
            if keep is not None and index == drop_at:
                tokens, present, *angles_of = compact(keep & present, tokens, present, *angles)
                angles = (angles_of[0], angles_of[1])
                mask = seen_by(present, cache[index].present if cache else None)
            elif cache and index and cache[index].present.shape != cache[index - 1].present.shape:
                mask = seen_by(present, cache[index].present)
            tokens, layer = block(tokens, angles, present, mask, cache[index] if cache else None)
            layers.append(layer)
        return self.norm(tokens), tuple(layers)


class Block(nn.Module):
    """Attention, then two layers for each token by itself."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(
        self, tokens: Tensor, angles: tuple[Tensor, Tensor], present: Tensor, mask: Tensor, past: Layer | None
    ) -> tuple[Tensor, Layer]:
        """(n, t, width) tokens, one layer on; and the layer's cache."""
        n, t, width = tokens.shape
        mixed = self.mixed(self.before(tokens)).view(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = rotated(mixed[0], angles), rotated(mixed[1], angles), mixed[2]
        if past is not None:
            key, value = torch.cat([past.key, key], 2), torch.cat([past.value, value], 2)
            present = torch.cat([past.present, present], 1)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(n, t, width))
        return tokens + self.mlp(self.between(tokens)), Layer(key, value, present)


def seen_by(present: Tensor, past: Tensor | None) -> Tensor:
    """(n, 1, t, past + t) bool, whether a token attends to another: to those before it that are no padding, and itself.

    present: (n, t) of the new tokens. past: (n, p) of those in the cache. Padding attends to itself, so that nobody
    attends to nothing.
    """
    n, t = present.shape
    among = torch.ones(t, t, dtype=torch.bool, device=present.device).tril() & present[:, None, :]
    among = among | torch.eye(t, dtype=torch.bool, device=present.device)
    if past is not None:
        among = torch.cat([past[:, None, :].expand(n, t, -1), among], dim=2)
    return among[:, None]


def compact(keep: Tensor, *columns: Tensor) -> list[Tensor]:
    """Kept tokens of (n, t, …) columns at the right, in their order, in as many places as the fullest row needs.

    The places at the left of rows that keep fewer hold zeros.
    """
    size = int(keep.sum(1).max())
    order = keep.to(torch.int8).argsort(dim=1, stable=True)[:, -size:] if size else keep.long()[:, :0]  # kept ones last
    there = keep.gather(1, order)
    found = []
    for column in columns:
        index = order.view(*order.shape, *[1] * (column.dim() - 2)).expand(*order.shape, *column.shape[2:])
        part = column.gather(1, index)
        found.append(torch.where(there.view(*there.shape, *[1] * (column.dim() - 2)), part, torch.zeros_like(part)))
    return found


def rotation(positions: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """(n, t, width / 2) cosines and sines of positions, at wavelengths from 2 pi to 10,000 times that."""
    wavelengths = 10_000 ** (torch.arange(0, width, 2, device=positions.device) / width)
    angles = positions[..., None] / wavelengths
    return angles.cos(), angles.sin()


def rotated(vectors: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """(n, heads, t, width) vectors, turned by their positions' angles, (n, t, width / 2)."""
    cosine, sine = angles[0][:, None], angles[1][:, None]
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


def padded_left(rows: list[Tensor], width: int | None = None) -> tuple[Tensor, Tensor]:
    """Tensors (t_i, …) as one, (n, width, …), with zeros on the left; and (n, width) bool, where there is something."""
    width = max(len(row) for row in rows) if width is None else width
    stacked = [pad(row, (*[0, 0] * (row.dim() - 1), width - len(row), 0)) for row in rows]
    present = torch.arange(width) >= width - torch.tensor([len(row) for row in rows])[:, None]
    return torch.stack(stacked), present
