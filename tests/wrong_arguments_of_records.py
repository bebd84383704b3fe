"""Doors of histories, logs, outcomes, estimates and reports, with arguments that no caller can mean."""

import math
from pathlib import Path

import pandas
import torch
from wrong_arguments import CONTACTS, COUNT, LIST, PLAYED, RATE, SEED, SESSION, SITE, WHATEVER, Door

from ethogram.simulator import (
    History,
    Memory,
    Replay,
    calibrate,
    ope,
    to_device,
    whatif,
)
from ethogram.simulator.formats import from_pandas, load_interactions
from ethogram.simulator.report import pictures, plots, report

LOG = pandas.DataFrame({"who": [1, 1, 2], "what": [3, 4, 3], "stars": [1.0, 2.0, 5.0], "when": [1, 2, 3]})
TABLE = pandas.DataFrame({"id": [0, 0], "step": [0, 1], "action": [0, 1], "reward": [0.0, 1.0]})
SHARE = torch.full((8,), 0.5, dtype=torch.float64)
FIT = calibrate.Fit(("p",), torch.zeros(1), torch.zeros(3, 1), torch.full((3,), 1 / 3), {}, 3)
NULL = Path("/dev/null")  # what must be refused before it is written to


def _fresh_axes(draw):
    """Draws on axes of its own."""
    return lambda **arguments: draw(**{"ax": plots.axes("title", "x", "y"), **arguments})


OF_RECORDS = [
    Door(
        "History.of",
        History.of,
        {"action": torch.zeros(3, 2), "reward": torch.zeros(3, 2)},
        {
            "action": ("abc", torch.zeros(4, 2), 3),
            "reward": ("abc", torch.zeros(3), 3),
            "observation": (torch.zeros(3, 2), "abc"),
            "terminated": (torch.zeros(3, 2), torch.zeros(4, 2, dtype=torch.bool), 3),
            "sites": (3, {"reward": torch.zeros(3, 2)}),
            "length": (torch.tensor([3, 2, 2]), torch.tensor([-1, 2, 2]), 3, torch.zeros(3)),
            "ids": (3, torch.zeros(3), torch.zeros(4, dtype=torch.int64)),
            "seed": SEED,
        },
    ),
    Door("History.load", History.load, {"path": None}, {"path": (3, "no such file.parquet", "run.txt")}),
    Door("History.save", PLAYED.save, {"path": None}, {"path": (3, "run.txt")}),
    Door(
        "History.with_site",
        PLAYED.with_site,
        {"name": "a", "column": torch.zeros(6, 4)},
        {"name": SITE, "column": (3, torch.zeros(5, 4))},
    ),
    Door(
        "load_interactions",
        load_interactions,
        {"source": LOG, "user": "who", "item": "what", "rating": "stars", "time": "when"},
        {
            "source": (None, 3, "no such file.csv", LOG[:0]),
            "user": ("typo", 2.5),
            "item": ("typo", None),
            "rating": ("typo", ["stars"]),
            "time": ("typo",),
            "repeats": ("never", 3),
        },
    ),
    Door("from_pandas", from_pandas, {"frame": TABLE}, {"frame": (*WHATEVER, LOG, TABLE.astype(float)), "seed": SEED}),
    Door(
        "Memory.empty",
        Memory.empty,
        {"steps": 3, "observation": torch.zeros(2), "action": torch.zeros(2)},
        {"steps": (0, *COUNT), "observation": ("abc", 3), "action": ("abc", 3)},
    ),
    Door("Replay", Replay, {"recorded": PLAYED}, {"recorded": WHATEVER}),
    Door("to_device", to_device, {"value": LIST, "device": "cpu"}, {"device": ("nowhere", 3.5)}),
    # ---- outcomes
    Door(
        "mean_return",
        whatif.mean_return,
        {"history": PLAYED},
        {"history": (None, 3, SESSION), "discount": (-1.0, math.nan, "a")},
    ),
    Door("total", whatif.total, {"history": PLAYED, "site": "click"}, {"history": (None, 3), "site": (3, "typo")}),
    Door(
        "state_share",
        whatif.state_share,
        {"history": PLAYED, "num_states": 2},
        {"history": (3,), "num_states": (1, *COUNT)},
    ),
    # ---- off-policy evaluation
    *(
        Door(
            name,
            getattr(ope, name),
            {
                "reward": torch.rand(*rewards, dtype=torch.float64),
                "logged": torch.full(shape, 0.5, dtype=torch.float64),
                "evaluated": torch.full(shape, 0.4, dtype=torch.float64),
            },
            {
                "reward": ("abc", torch.rand(9, 3, dtype=torch.float64), 3),
                "logged": ("abc", torch.rand(9), torch.full(shape, 1.5), torch.full(shape, -0.1), torch.zeros(shape)),
                "evaluated": ("abc", torch.full(shape, 1.5), torch.full(shape, math.nan), torch.rand(9)),
            },
        )
        for name, rewards, shape in (
            ("ips", (8,), (8,)),
            ("sips", (8, 2), (8,)),
            ("iips", (8, 2), (8, 2)),
            ("rips", (8, 2), (8, 2)),
        )
    ),
    Door("rounds", ope.rounds, {"history": PLAYED}, {"history": (None, 3, SESSION)}),
    Door(
        "with_propensity",
        ope.with_propensity,
        {"history": PLAYED, "propensity": torch.full((6, 4), 0.5)},
        {"history": (None, 3), "propensity": ("abc", 3, SHARE)},
    ),
    Door(
        "session_prefix",
        ope.session_prefix,
        {"propensity": torch.full((2, 3, 2), 0.5)},
        {"propensity": ("abc", 3, SHARE)},
    ),
    Door(
        "position_propensity",
        ope.position_propensity,
        {"scores": torch.rand(2, 6), "slate": torch.tensor([[0, 1], [2, 3]])},
        {
            "scores": ("abc", 3, torch.full((2, 6), math.nan)),
            "slate": ("abc", 3, torch.zeros(2, 2), torch.tensor([[0, 9], [2, 3]]), torch.tensor([[0, 0], [2, 3]])),
        },
    ),
    # ---- fits
    Door("Fit.interval", FIT.interval, {"name": "p"}, {"name": ("q", 3), "level": (-0.1, 1.5, math.nan, "a")}),
    Door("Fit.draw", FIT.draw, {"count": 2}, {"count": COUNT, "seed": SEED}),
    Door("RelaxedDraws", calibrate.RelaxedDraws, {"seed": 0, "ids": torch.arange(3)}, {"temperature": RATE}),
    # ---- reports
    Door(
        "report",
        report,
        {"what": {"b": ["c"]}, "path": NULL},
        {
            "what": (3, "abc", {"a": "text"}, {"a": [3]}, {"a": 3}),
            "path": (3, None),
            "title": (3, None),
            "about": (3, "abc"),
            "by": (3, "abc"),
            "episodes": (0, *COUNT),
        },
    ),
    Door(
        "report of a history",
        report,
        {"what": PLAYED, "path": NULL, "by": {"group": [1, 2, 3, 1, 2, 3]}, "success": [1] * 6},
        {
            "by": ({"group": [1]}, {"group": "ab"}, {"group": torch.zeros(6, 2)}),
            "success": ("abc", [1], torch.zeros(6, 2)),
        },
    ),
    Door(
        "curves",
        _fresh_axes(plots.curves),
        {"series": {"a": [1.0, 2.0]}},
        {
            "ax": (None, 3),
            "series": (3, None, {"a": "abc"}, {"a": torch.zeros(2, 2, 2)}, [1.0]),
            "x": (3, "abc", [1.0]),
            "band": (3, "range"),
        },
    ),
    Door(
        "tiles",
        _fresh_axes(pictures.tiles),
        {"values": [1.0, 2.0], "unit": "people"},
        {"values": ("abc", 3, [math.nan]), "columns": (0, *COUNT)},
    ),
    Door(
        "network",
        _fresh_axes(pictures.network),
        {"contacts": CONTACTS, "values": torch.zeros(30), "unit": "age"},
        {"contacts": WHATEVER, "values": ("abc", 3, torch.zeros(31))},
    ),
    Door(
        "plots.save", lambda path: plots.save(plots.axes("t", "x", "y"), path), {"path": None}, {"path": (3, "a.pdf")}
    ),
]
