"""Doors of the simulator, with arguments that no caller can mean."""

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import gymnasium
import networkx
import torch
from wrong_arguments import (
    CITY,
    CONTACTS,
    COUNT,
    FUNCTION,
    LIST,
    MDP,
    PLAYED,
    RATE,
    SEED,
    SESSION,
    SHARE,
    SITE,
    WHATEVER,
    Door,
)

from ethogram import simulator
from ethogram.agents import cascading
from ethogram.envs import epidemics
from ethogram.simulator import Do, Draws, History, Record, Setup, calibrate, networks, populations

SETUP = Setup(SESSION, LIST, rows=4, horizon=3)
SAVED = Path(tempfile.gettempdir(), f"ethogram-{os.getpid()}.ckpt")  # removed when its run is complete
DRAWS = Draws(0, torch.arange(4))


def _simulate(parameters: dict[str, Any], seed: int) -> torch.Tensor:
    return torch.as_tensor(parameters["p"]) * torch.ones(3, dtype=torch.float64)


def _outcome(history: History) -> torch.Tensor:
    return history.reward.sum()


RUN = {"world": SESSION, "policy": LIST, "rows": 4, "horizon": 3}
PAIRS = {"setup": SETUP, "instead": [Do("click", 0)], "outcome": _outcome, "seeds": range(2)}
FIT = {"simulate": _simulate, "observed": torch.ones(3, dtype=torch.float64), "bounds": {"p": (0.0, 2.0)}}
PLANNED = {
    "world": CITY,
    "num_people": 60,
    "citizens": populations.ByRule(epidemics.careful),
    "action_space": gymnasium.spaces.Discrete(2),
    "levers": lambda action: [],
    "observe": [Record("infected", reduce="sum")],
    "reward": lambda days, action: 0.0,
}
BOUNDS = ([(0.0, 1.0)], {"p": (1.0, 0.0)}, {"p": 3}, {}, {"p": (0.0, math.nan)})
VI = {"reward": MDP.reward, "length": 2, "horizon": 6, "num_episodes": 10}

OF_SIMULATOR = [
    # ---- the simulator
    Door(
        "rollout",
        simulator.rollout,
        RUN,
        {
            "world": WHATEVER,
            "policy": WHATEVER,
            "rows": (0, -1, 2.5, "3", None, math.nan),
            "horizon": (0, -1, 2.5, "3", None, math.nan),
            "seed": SEED,
            "interventions": (3, "click", [3], {"click": 0}),
            "record": (3, "click", [3], ["no such site"]),
            "draws": (3, "abc"),
        },
    ),
    Door(
        "rollout with a checkpoint",
        lambda **run: simulator.rollout(**run, checkpoint=SAVED),
        {**RUN, "checkpoint_every": 30.0},
        {"checkpoint_every": (-1.0, math.nan, "a")},
    ),
    Door(
        "Setup.run", lambda seed, **run: Setup(**run).run(seed), {**RUN, "seed": 0}, {"seed": SEED, "rows": ("3", 2.5)}
    ),
    Door(
        "episodes",
        lambda **run: list(simulator.episodes(**run)),
        {"world": SESSION, "agent": cascading.CascadingVI(**VI), "num_episodes": 2, "horizon": 6},
        {"world": WHATEVER, "agent": WHATEVER, "num_episodes": COUNT, "horizon": COUNT, "seed": SEED},
    ),
    Door(
        "contrast",
        simulator.contrast,
        PAIRS,
        {
            "setup": (None, 3, SESSION),
            "instead": (None, 3, "click", [3]),
            "outcome": (None, 3, lambda history: None, lambda history: {"a": 1}, lambda history: "a"),
            "seeds": (3, None, [1.0], [True], [], [1, 1], "ab"),
            "backend": (3, "processes"),
        },
    ),
    Door(
        "ensemble",
        simulator.ensemble,
        {"setup": SETUP, "outcome": _outcome, "seeds": range(2)},
        {
            "setup": (None, 3, SESSION),
            "outcome": (None, 3, lambda history: None, lambda history: "a"),
            "seeds": (3, None, [1.0], [], [1, 1]),
            "scenarios": (3, ["a"], {"a": 3}, {}),
        },
    ),
    Door(
        "abduct",
        simulator.abduct,
        {"world": SESSION, "history": PLAYED},
        {"world": WHATEVER, "history": WHATEVER, "seed": SEED},
    ),
    Door(
        "Do",
        Do,
        {"site": "click", "mechanism": 0},
        {"site": SITE, "start": (-1, 1.5, "1"), "stop": (-1, 1.5, "1", 0), "who": (3, "abc", torch.ones(2, 2))},
    ),
    Door(
        "Record",
        Record,
        {"site": "click"},
        {
            "site": SITE,
            "every": (0, -1, 2.5, "2"),
            "reduce": (3, "median"),
        },
    ),
    Door(
        "Record by", Record, {"site": "click", "reduce": "sum"}, {"by": (3, "a", torch.rand(2), torch.tensor([-1, 0]))}
    ),
    Door(
        "Draws",
        Draws,
        {"seed": 0, "ids": torch.arange(4)},
        {"seed": SEED, "ids": (4, "abc", torch.ones(4), torch.ones(2, 2, dtype=torch.int64)), "step": ("a", 1.5)},
    ),
    Door(
        "Draws.bernoulli",
        DRAWS.bernoulli,
        {"site": "a", "probability": torch.full((4,), 0.5)},
        {"site": SITE, "probability": (-7.0, 9.0, math.nan, "a", torch.full((4,), math.nan), torch.rand(5))},
    ),
    Door(
        "Draws.event",
        DRAWS.event,
        {"site": "a", "hazard": torch.full((4,), 0.5)},
        {"site": SITE, "hazard": (torch.full((4,), -1.0), torch.full((4,), math.nan), "a", torch.rand(5))},
    ),
    Door(
        "Draws.categorical",
        DRAWS.categorical,
        {"site": "a", "probability": torch.full((4, 2), 0.5)},
        {
            "probability": (
                "a",
                torch.full((4, 2), math.nan),
                torch.full((4, 2), -0.5),
                torch.full((4, 2), 0.9),
                torch.full((5, 2), 0.5),
            )
        },
    ),
    Door("Draws.uniform", DRAWS.uniform, {"site": "a"}, {"site": SITE, "index": ("a", 2.5, -1)}),
    Door("WorldEnv", simulator.WorldEnv, {"world": SESSION, "horizon": 3}, {"world": WHATEVER, "horizon": COUNT}),
    Door(
        "WorldVectorEnv",
        simulator.WorldVectorEnv,
        {"world": SESSION, "num_envs": 2, "horizon": 3},
        {"world": WHATEVER, "num_envs": COUNT, "horizon": COUNT, "autoreset_mode": (3, "never")},
    ),
    Door(
        "episode_ids",
        simulator.gym.episode_ids,
        {"seed": 0},
        {"seed": ("a", 1.5, torch.zeros(2)), "episode": ("a", 1.5, torch.zeros(2))},
    ),
    Door("FromGym", simulator.FromGym, {"env": "CartPole-v1"}, {"env": (None, 3, SESSION)}),
    Door("check_world", simulator.check_world, {"world": SESSION}, {"world": WHATEVER, "rows": COUNT, "seed": SEED}),
    Door(
        "check_policy",
        simulator.check_policy,
        {"policy": LIST, "world": SESSION},
        {"policy": WHATEVER, "world": WHATEVER, "horizon": COUNT},
    ),
    Door("Processes", simulator.Processes, {}, {"workers": (0, -1, 2.5, "2"), "retries": (-1, 2.5, "2")}),
    # ---- networks
    Door(
        "Contacts.from_edges",
        networks.Contacts.from_edges,
        {"source": [0, 1], "target": [1, 2], "num_people": 3},
        {
            "source": ("abc", [0, 9], [-1, 0], [0.5, 1.0], [0], [math.nan, 1.0]),
            "target": ("abc", [1, 9]),
            "num_people": COUNT,
            "weight": ([1.0], [-1.0, 1.0], [math.nan, 1.0], "abc"),
            "repeats": ("ad", 3),
        },
    ),
    Door(
        "Contacts.from_networkx",
        networks.Contacts.from_networkx,
        {"graph": networkx.path_graph(3)},
        {"graph": WHATEVER},
    ),
    Door(
        "erdos_renyi",
        networks.erdos_renyi,
        {"num_people": 30, "mean_degree": 4.0},
        {"num_people": COUNT, "mean_degree": RATE, "seed": SEED},
    ),
    Door(
        "small_world",
        networks.small_world,
        {"num_people": 30, "degree": 4, "rewired": 0.1},
        {"num_people": COUNT, "degree": (*COUNT, 3), "rewired": SHARE, "seed": SEED},
    ),
    Door(
        "scale_free",
        networks.scale_free,
        {"num_people": 30, "links": 2},
        {"num_people": COUNT, "links": COUNT, "seed": SEED},
    ),
    Door(
        "configuration",
        networks.configuration,
        {"degree": torch.tensor([2, 2, 2])},
        {"degree": ("abc", [2.5, 2.5, 1], [-1, 1], [3, 1], torch.tensor([1, 1, 1])), "seed": SEED},
    ),
    Door(
        "within_groups",
        networks.within_groups,
        {"group": torch.tensor([0, 0, 1, 1])},
        {"group": ("abc", [0.5, 1.5], torch.zeros(2, 2, dtype=torch.int64)), "mean_degree": (-1.0, math.nan, "a")},
    ),
    Door(
        "Contacts",
        networks.Contacts,
        {"start": CONTACTS.start, "target": CONTACTS.target},
        {
            "start": ("abc", CONTACTS.start + 1, CONTACTS.start.flip(0), CONTACTS.start[1:], CONTACTS.start.float()),
            "target": ("abc", CONTACTS.target + 30, CONTACTS.target.flip(0), CONTACTS.target.long()),
            "weight": ("abc", torch.ones(3), torch.full_like(CONTACTS.target, -1.0, dtype=torch.float32)),
            "names": (["a"], 3),
        },
    ),
    Door("Contacts.along", CONTACTS.along, {"names": range(30)}, {"names": (3, range(29), [0] * 30)}),
    Door("node_columns", networks.node_columns, {"graph": networkx.path_graph(3)}, {"graph": WHATEVER}),
    Door(
        "MeanField",
        networks.MeanField,
        {"group": [0, 0, 1], "rates": torch.ones(2, 2, dtype=torch.float64)},
        {"group": ("abc", 3, [0.5, 1.0], [0, -1, 1], [0, 1, 2]), "rates": ("abc", torch.ones(2), -torch.ones(2, 2))},
    ),
    Door("Timetable", networks.Timetable, {"networks": [CONTACTS]}, {"networks": (3, [], [3], "abc")}),
    Door(
        "RandomMeetings",
        networks.RandomMeetings,
        {"num_people": 30, "degree": 4},
        {"num_people": COUNT, "degree": (2.5, math.nan, math.inf, -1, "4"), "site": SITE},
    ),
    Door(
        "sum_over_contacts",
        networks.sum_over_contacts,
        {"contacts": CONTACTS, "sent": torch.ones(30)},
        {
            "contacts": WHATEVER,
            "sent": ("abc", torch.ones(31), torch.full((30,), math.nan), 3),
            "resolution": (0.3, 1e300, -1.0, math.nan, 0.0),
        },
    ),
    # ---- seats
    Door(
        "Everybody", populations.Everybody, {"world": CITY, "num_people": 60}, {"world": WHATEVER, "num_people": COUNT}
    ),
    Door(
        "Talking",
        populations.Talking,
        {"world": CITY, "contacts": CITY.layers["community"]},
        {"world": (*WHATEVER, SESSION), "contacts": (*WHATEVER, CONTACTS), "hears": (0, *COUNT), "length": (0, *COUNT)},
    ),
    Door(
        "Planner",
        populations.Planner,
        PLANNED,
        {
            "world": WHATEVER,
            "num_people": (*COUNT, 61),
            "citizens": WHATEVER,
            "action_space": WHATEVER,
            "levers": FUNCTION,
            "observe": (3, ["infected"], [Record("infected")]),
            "reward": FUNCTION,
            "period": (0, *COUNT),
            "interventions": (3, [3]),
        },
    ),
    Door("ByRule", populations.ByRule, {"rule": epidemics.careful}, {"rule": FUNCTION}),
    # ---- calibration
    Door(
        "fit_by_search",
        calibrate.fit_by_search,
        {**FIT, "simulations": 120, "population": 60, "progress": False},
        {
            "simulate": FUNCTION,
            "observed": ("abc", torch.full((3,), math.nan), torch.ones(4, dtype=torch.float64)),
            "bounds": BOUNDS,
            "simulations": COUNT,
            "population": COUNT,
            "keep": (0.0, -0.1, 1.5, math.nan, "a"),
            "seed": SEED,
        },
    ),
    Door(
        "fit_by_gradient",
        calibrate.fit_by_gradient,
        {**FIT, "seeds": range(2), "steps": 2, "progress": False},
        {
            "simulate": FUNCTION,
            "observed": ("abc", torch.full((3,), math.nan)),
            "bounds": BOUNDS,
            "start": ({"p": 3.0}, {"q": 1.0}, {"p": math.nan}, 3),
            "seeds": (3, [], [1.0]),
            "steps": COUNT,
            "learning_rate": (-1.0, math.nan, "a"),
        },
    ),
]
