"""The decoder of Qwen2.5-VL, layer by layer: past tokens dropped on the way up, caches of two lengths."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..learning import compact, seen_by


class Past(NamedTuple):
    """The layers' memory of the tokens so far."""

    cache: Any  # transformers' DynamicCache, keys and values of each layer
    below: Tensor  # (n, t) bool, tokens present in layers before ``turn``; the others are padding
    above: Tensor  # (n, t') bool, in layers from ``turn`` on
    turn: int  # the layer at whose input tokens were dropped; the number of layers where none were

    def repeated(self, times: int) -> "Past":
        """For n * times rows, side by side; the cache is changed in place."""
        self.cache.batch_repeat_interleave(times)
        return self._replace(below=self.below.repeat_interleave(times, 0), above=self.above.repeat_interleave(times, 0))


def read_prompt(
    decoder: Any, tokens: Tensor, positions: Tensor, present: Tensor, keep: Tensor, drop_at: int | None
) -> tuple[Tensor, Past]:
    """(n, width) what the decoder makes of the last token, and the past, of prompts padded on the left.

    tokens: (n, t, width) embedded. positions: (3, n, t) int64 of M-RoPE, which kept tokens keep. present: (n, t) bool.
    keep: (n, t) bool, which tokens the layers from ``drop_at`` on still see; None drops none.
    """
    from transformers import DynamicCache

    cache = DynamicCache()
    angles = decoder.rotary_emb(tokens, positions)
    turn = len(decoder.layers) if drop_at is None else drop_at
    tokens = _through(decoder.layers[:turn], tokens, angles, seen_by(present, None), cache)
    above = present
    if turn < len(decoder.layers):
        tokens, above, *kept = compact(keep & present, tokens, present, *angles)
        tokens = _through(decoder.layers[turn:], tokens, (kept[0], kept[1]), seen_by(above, None), cache)
    return decoder.norm(tokens[:, -1]), Past(cache, present, above, turn)


def read_on(decoder: Any, tokens: Tensor, positions: Tensor, present: Tensor, past: Past) -> tuple[Tensor, Past]:
    """(n, t, width) what the decoder makes of further tokens, and the past with them; the cache changes in place.

    Shapes: tokens (n, t, width), positions (n, t) int64, one for all three of M-RoPE's as for any text, present (n, t).
    """
    angles = decoder.rotary_emb(tokens, positions.expand(3, -1, -1))
    below, above, turn = past.below, past.above, past.turn
    tokens = _through(decoder.layers[:turn], tokens, angles, seen_by(present, below), past.cache)
    tokens = _through(decoder.layers[turn:], tokens, angles, seen_by(present, above), past.cache)
    grown = past._replace(below=torch.cat([below, present], 1), above=torch.cat([above, present], 1))
    return decoder.norm(tokens), grown


def _through(layers: Any, tokens: Tensor, angles: tuple[Tensor, Tensor], mask: Tensor, cache: Any) -> Tensor:
    """Tokens, (n, t, width), after some layers that share a mask, (n, 1, t, past + t) bool."""
    added = torch.zeros(mask.shape, dtype=tokens.dtype, device=mask.device)
    added = added.masked_fill(~mask, torch.finfo(tokens.dtype).min)  # eager attention adds its mask
    for layer in layers:
        tokens = layer(tokens, attention_mask=added, position_embeddings=angles, cache=cache)
    return tokens
