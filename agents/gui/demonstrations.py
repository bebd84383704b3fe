"""Recorded people at web tasks, as the fit reads them: clicks after clicks, where they land, typed runs."""

import gzip
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

LONGEST = 5000  # ms: longer waits are pauses, not pointing
SMALL = 32  # pixels: in wider targets people aim at the words, not at the middle
_NEAR = 6  # pixels beside a target: as far as a click counts as a miss of it


class Pairs(NamedTuple):
    """Clicks that follow a click, (P,) each."""

    bits: Tensor  # float64
    ms: Tensor  # float64
    task: np.ndarray[Any, Any]
    episode: np.ndarray[Any, Any]
    missed: int  # of all clicks that follow a click, in whatever time
    clicks: int


def read(path: str | Path) -> list[Any]:
    """The objects of a file of JSON Lines, .jsonl or .jsonl.gz; ValueError that names the line that is none."""
    records: list[Any] = []
    try:
        opened = gzip.open if Path(path).suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as file:
            records.extend(json.loads(line) for line in file)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {len(records) + 1} of {path} is no JSON: {error}") from None
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError, zlib.error) as error:
        raise ValueError(f"{path} is no whole file of JSON Lines: {error}; copy it again") from None
    return records


def check(number: int, record: Any) -> None:
    """Raise ValueError unless a record has what the fit reads."""
    name = record.get("episode_id", number) if isinstance(record, Mapping) else number
    try:
        record["task"], record["raw_reward"], name
        for step in record["steps"]:
            step["t"] + 0
            action = step["action"]
            if action["type"] == "click":
                action["x"] + action["y"] + sum(step["target"][side] for side in "xywh")
            elif action["type"] == "type":
                len(action["text"])
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"demonstration {name} (record {number}) is incomplete or of another kind: {error!r:.80}; expected "
            "task, raw_reward and steps, each with t and action, clicks with x, y and a target"
        ) from None


def pairs_of(records: Sequence[Mapping[str, Any]]) -> Pairs:
    """The clicks that follow a click within ``LONGEST``."""
    found, missed, clicks = [], 0, 0
    for number, record in enumerate(records):
        for before, after in pairwise(record["steps"]):
            if not before["action"]["type"] == after["action"]["type"] == "click":
                continue
            start, target, ms = before["action"], after["target"], after["t"] - before["t"]
            distance = math.hypot(after["action"]["x"] - start["x"], after["action"]["y"] - start["y"])
            width = min(target["w"], target["h"])
            clicks += 1
            missed += _beside(before, target)
            if 0 < ms < LONGEST and width > 0:
                found.append((math.log2(distance / width + 1), ms, record["task"], number))
    bits, ms, tasks, episodes = zip(*found, strict=True) if found else ((), (), (), ())
    bits_, ms_ = (torch.tensor(values, dtype=torch.float64) for values in (bits, ms))
    return Pairs(bits_, ms_, np.array(tasks), np.array(episodes), missed, clicks)


def _beside(click: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    """Whether a click hit something larger, close beside the target that the next click hit."""
    x, y, hit = click["action"]["x"], click["action"]["y"], click["target"]
    outside = max(target["x"] - x, x - target["x"] - target["w"], target["y"] - y, y - target["y"] - target["h"])
    return 0 < outside <= _NEAR and bool(hit["w"] * hit["h"] > 3 * target["w"] * target["h"])


def offsets_of(records: Sequence[Mapping[str, Any]]) -> tuple[Tensor, float]:
    """(C, 2) sizes and offsets along an axis of clicks in small targets; the share of clicks outside their target."""
    found, outside, clicks = [], 0, 0
    for record in records:
        for step in record["steps"]:
            if step["action"]["type"] != "click":
                continue
            target, clicks, out = step["target"], clicks + 1, False
            for axis, side in (("x", "w"), ("y", "h")):
                size = target[side]
                offset = step["action"][axis] - target[axis] - size / 2
                out |= abs(offset) > size / 2
                if 0 < size <= SMALL and abs(offset) <= size / 2:
                    found.append((size, offset))
            outside += out
    return torch.tensor(found, dtype=torch.float64).reshape(-1, 2), outside / max(clicks, 1)


def mean_of_short(ms: Sequence[float]) -> float:
    """The average of the times from 0 to ``LONGEST``; 0 where there is none."""
    short = [time for time in ms if 0 < time < LONGEST]
    return sum(short) / max(len(short), 1)


def typing_of(records: Sequence[Mapping[str, Any]]) -> tuple[float, float, float, int]:
    """Average ms before the first key; ms a key, the slope of the time to the next action; slips a key; typed runs.

    The time of a typed run is that of its first key. What comes next takes a while of its own, by its type.
    """
    before, runs = [], []
    for record in records:
        steps = record["steps"]
        for i, step in enumerate(steps):
            if step["action"]["type"] == "type":
                before += [step["t"] - steps[i - 1]["t"]] if i else []
                then = steps[i + 1] if i + 1 < len(steps) else None
                kind = None if then is None else then["action"].get("key", then["action"]["type"])
                runs.append((len(step["action"]["text"]), math.inf if then is None else then["t"] - step["t"], kind))
    keys = sum(run[0] for run in runs)
    if not keys:
        return 0.0, 0.0, 0.0, 0
    top = bottom = 0.0
    for kind in {run[2] for run in runs}:
        x, y = np.array([run[:2] for run in runs if run[2] == kind and 0 < run[1] < 3 * LONGEST]).reshape(-1, 2).T
        if len(x):
            top, bottom = top + ((x - x.mean()) * y).sum(), bottom + ((x - x.mean()) ** 2).sum()
    slips = sum(run[2] == "Backspace" for run in runs)
    return mean_of_short(before), float(top / bottom) if bottom else 0.0, slips / keys, len(runs)
