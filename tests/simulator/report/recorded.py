"""Histories on screens for the tests of reports, made up from arrays."""

import networkx
import numpy as np
import torch

from ethogram.simulator import History

ODD = "<b>&\"'</b> {{x}} </script>"
TYPES = ("noop", "tap", "double_tap", "long_press", "hover", "drag", "scroll", "type")


class Words:
    """A world as far as a report asks: names, and a graph of four screens in a ring with a short cut."""

    names = {  # noqa: RUF012
        "type": TYPES,
        "kind": ("", "text", "button"),
        "text": ("", "Go", ODD, "kuta"),
        "goal": ("", "Find", ODD),
        "direction": ("none", "up", "down", "left", "right"),
    }

    def graph(self):
        return networkx.DiGraph([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)])


def action(kind, rows, steps, **parts):
    """Columns of one action at every step."""
    named = {"type": TYPES.index(kind), "element": 0, "direction": 0, "text": 0}
    column = {name: torch.full((rows, steps), parts.get(name, value)) for name, value in named.items()}
    for name in ("point", "point2"):
        column[name] = torch.tensor(parts.get(name, (0.0, 0.0))).expand(rows, steps, 2)
    return column


def on_screens(screens=(0, 1, 2, 0, 1), rows=2, **sites):
    """A history of taps on a button, whose screens have the numbers given; the last row fails."""
    steps = len(screens) - 1
    box = torch.tensor([[0.1, 0.1, 0.9, 0.3], [0.1, 0.5, 0.5, 0.6], [0.0, 0.0, 0.0, 0.0]])
    observation = {
        "screen": torch.tensor(screens).expand(rows, -1),
        "box": box.expand(rows, steps + 1, 3, 4),
        "kind": torch.tensor([2, 1, 0]).expand(rows, steps + 1, 3),
        "text": torch.tensor([1, 2, 0]).expand(rows, steps + 1, 3),
        "goal": torch.tensor([1, 2]).expand(rows, steps + 1, 2),
    }
    reward = torch.zeros(rows, steps)
    reward[:-1, -1] = 1
    done = action("tap", rows, steps, element=1)
    return History.of(action=done, reward=reward, observation=observation, sites=sites or None)


def judged(steps=4):
    """A history with a reference, two metrics, of which one does not count the first step, and a policy's chances."""
    right = action("tap", 2, steps, point=(0.2, 0.55))
    right["type"][:, 0] = TYPES.index("type")
    counted = torch.ones(2, steps)
    counted[:, 0] = torch.nan
    sites = {
        "reference": right,
        "match/strict": torch.arange(steps).expand(2, -1) % 2 == 0,
        "match/loose": counted,
        "chances": torch.tensor([0.25, 0.75]).expand(2, steps, 2),
        "said": np.full((2, steps), ODD, dtype=object),
        "history_ids": torch.tensor([[-1, -1], [0, -1], [0, 1], [0, 2]]).expand(2, 4, 2)[:, :steps],
    }
    return on_screens(tuple(range(4)) + (1,), **sites)
