"""The arithmetic of a transformer whose tokens are dropped on their way up: operations, counted by formula."""

from collections.abc import Sequence
from dataclasses import dataclass

from ethogram.simulator import checked_int


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder: with gated feed-forward layers (three matrices) as Qwen's, or plain ones (two)."""

    layers: int
    width: int
    key_width: int  # of keys and values of all their heads
    hidden: int
    gated: bool = True

    @property
    def layer(self) -> int:
        """Multiplications of one token in one layer, attention to others left out."""
        return 2 * self.width**2 + 2 * self.width * self.key_width + (3 if self.gated else 2) * self.width * self.hidden


QWEN_3B = Shape(layers=36, width=2048, key_width=256, hidden=11008)
VISION_FLOPS = 2.63e12  # of an image of 1,980 patches in Qwen2.5-VL's tower; derived from the paper's table


def prefill_flops(shape: Shape, tokens: Sequence[int], images: int = 0) -> float:
    """Operations of reading a prompt, a multiplication and an addition counted as two.

    tokens: in each layer. images: how many the vision tower encodes. Twice this is what HiconAgent's Table 5 shows:
    its counter counts each operation twice; ratios are the same.
    """
    if len(tokens) != shape.layers:
        raise ValueError(f"tokens are given for {len(tokens)} layers: expected {shape.layers}")
    return sum(2 * shape.layer * n + 4 * n**2 * shape.width for n in tokens) + images * VISION_FLOPS


def dropped_at(layer: int, layers: int, before: int, after: int) -> list[int]:
    """Tokens in each layer where some are dropped at the input of one."""
    layer = checked_int("layer", layer, 0, layers)
    return [before] * layer + [after] * (layers - layer)
