"""Doors of the public interface: a function, arguments that it takes, and values that no caller can mean."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ethogram import simulator
from ethogram.agents import simple
from ethogram.envs import epidemics, people, sessions
from ethogram.simulator import networks

# What is wrong for arguments of a kind, whatever the function.
COUNT = (-1, 2.5, math.nan, "3", [3])
SEED = (True, 1.0, math.nan, None, "0")
SHARE = (-0.1, 1.5, math.nan, "a", [[0.1, 0.2]])
RATE = (-1.0, math.nan, math.inf, "a")
WHATEVER = (None, 3, "abc")  # where an object with methods is meant
SITE = (None, 3)
FUNCTION = (3, "abc")


def tensors(*shape: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
    """For a tensor of a shape: text, another shape, a scalar."""
    longer = torch.zeros((shape[0] + 1, *shape[1:]), dtype=dtype)
    return "abc", longer, torch.zeros((*shape, 2), dtype=dtype)[None], {}


@dataclass(frozen=True)
class Door:
    """A function or class, arguments that it takes, and for some of them values that are wrong."""

    name: str
    call: Callable[..., Any]
    good: Mapping[str, Any]
    wrong: Mapping[str, tuple[Any, ...]]

    def cases(self) -> Iterator[tuple[str, Any]]:
        """(argument, wrong value), one after the other."""
        for argument, values in self.wrong.items():
            for value in values:
                yield argument, value


MDP = sessions.trap()
SESSION = sessions.CascadingSession(MDP)
LIST = simple.Fixed([0, 1])
PLAYED = simulator.rollout(SESSION, LIST, rows=6, horizon=4, record=["click"])
CONTACTS = networks.erdos_renyi(30, 4.0, seed=1)
PERSONS = people.synthetic_city(60, seed=1)
LAYERS = people.city_layers(PERSONS, seed=1)
CITY = epidemics.Epidemic(LAYERS, PERSONS["age"], PERSONS["area"], initial=0.1)
