"""Layouts: where the elements of a screen stand. Each episode has one of 64 skins."""

import torch
from torch import Tensor

from ethogram.simulator import Draws

from .apps import ELEMENTS

SKINS = 64


def skins() -> tuple[Tensor, Tensor]:
    """For each skin, which element stands in each place, (64, 8) int64; and the places' boxes, (64, 8, 4) float32.

    A box is left, top, right, bottom, as fractions of the screen. Half of the skins are lists, half have two columns;
    margins, widths and heights differ, so that neither an element's number nor its place says what it is.
    """
    draws = Draws(0, torch.arange(SKINS), scope="skins")
    order = draws.uniform("order", ELEMENTS).argsort(1)
    columns = 1 + torch.arange(SKINS)[:, None] % 2  # (64, 1)
    place = torch.arange(ELEMENTS)[None]
    width, height = 1 / columns, 0.92 / (ELEMENTS / columns)  # of a cell, below a bar with the goal
    left, top = (place % columns) * width, 0.08 + (place // columns) * height
    margin = [
        edge * (0.05 + 0.2 * draws.uniform(f"margin {k}", ELEMENTS)) for k, edge in enumerate([width, height] * 2)
    ]
    boxes = [left + margin[0], top + margin[1], left + width - margin[2], top + height - margin[3]]
    return order, torch.stack(boxes, 2).to(torch.float32)
