"""How whole episodes on screens went: success, progress, the way taken, and what came after an error."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import History, check_is

from .measures import Array, Measure, Runs, listed, measures, told


@dataclass(frozen=True)
class EpisodeScores:
    """Shares of 0 to 1, each with its interval over episodes and its spread from run to run; printing gives the table.

    success: task success rate (TSR). progress (PG): share of the way before the first wrong step, of recorded episodes;
    of others how near the end came, 1 - steps still needed / steps needed at first, at the nearest. efficiency: the
    shortest way over steps taken, of successful episodes. spl: the same with 0 for those that failed (success weighted
    by path length, Anderson et al. 2018). revisits: of the changes of screen, those to a screen of the same episode.
    recovery: of wrong steps with another after them, those with a right one next. rescued: of the episodes with a wrong
    step, those that succeeded. baselines: the same of chance, of the wrong neighbour, and of whatever else was given.
    """

    success: Measure
    progress: Measure
    efficiency: Measure
    spl: Measure
    revisits: Measure
    recovery: Measure
    rescued: Measure
    baselines: Mapping[str, "EpisodeScores"] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = []
        for name in _NAMES:
            beside = [f"{other} {told(getattr(scores, name).value)}" for other, scores in self.baselines.items()]
            lines.append("; ".join([f"{name:12}{getattr(self, name)}", *beside]))
        return "\n".join(lines)


_NAMES = [part.name for part in fields(EpisodeScores) if part.name != "baselines"]


def episode_scores(
    runs: Runs,
    *,
    verdict: str | None = None,
    lengths: Tensor | None = None,
    shortest: Tensor | None = None,
    remaining: Tensor | list[Tensor] | None = None,
    baselines: Mapping[str, Runs] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> EpisodeScores:
    """Scores of the episodes of a history, or of several runs of the same episodes.

    verdict: a recorded column (n, T) that judges each step, such as "match/strict" of a replay: below 1 is wrong, NaN
        is not counted. An episode succeeds if all its steps were done and none is wrong. None: it succeeds if it is
        rewarded, as symbolic tasks are.
    lengths: (n,) int64, with verdict: the steps of each recorded episode, where a run may end before its end; None: all
        were done.
    shortest: (n,) the steps that the shortest way takes; None: as ``remaining`` says. Without both, efficiency and spl
        are NaN.
    remaining: (n, T + 1), of each run: the steps that the shortest way on would take from each screen seen, inf where
        there is none. A step is wrong that does not bring one nearer. Without it, and without verdict, progress is NaN,
        and a step is wrong that neither changes the screen nor is rewarded: a miss, say.
    baselines: runs of other policies to stand beside, such as ``{"chance": …, "wrong neighbour": …}``, scored in the
        same way but without ``remaining``.

    Revisits are NaN where the observation has no number of a screen, (n, T + 1). A shortest way may revisit: home, say.
    """
    histories = listed("runs", runs)
    ways = [None] * len(histories) if remaining is None else remaining if isinstance(remaining, list) else [remaining]
    if len(ways) != len(histories):
        raise ValueError(f"remaining is of {len(ways)} runs: expected a list of {len(histories)}, one for each run")
    judged = [_counts(history, verdict, lengths, shortest, way) for history, way in zip(histories, ways, strict=True)]
    top, bottom = (np.stack([pair[part] for pair in judged]) for part in (0, 1))
    found = measures(top, bottom, resamples, seed)
    check_is("baselines", {} if baselines is None else baselines, Mapping, "a dict of names to histories")
    if shortest is None and ways[0] is not None:
        shortest = ways[0][:, 0]
    options: Any = {"verdict": verdict, "lengths": lengths, "shortest": shortest, "resamples": resamples, "seed": seed}
    beside = {name: episode_scores(other, **options) for name, other in (baselines or {}).items()}
    named: Any = dict(zip(_NAMES, found, strict=True))
    return EpisodeScores(**named, baselines=beside)


def _counts(
    history: History, verdict: str | None, lengths: Tensor | None, shortest: Tensor | None, way: Tensor | None
) -> tuple[Array, Array]:
    """Tops and bottoms of the seven ratios, (n, 7) each, in the order of ``EpisodeScores``."""
    n, none = len(history), torch.zeros(len(history), dtype=torch.float64)
    one, length = torch.ones_like(none), history.length.double()
    top, bottom = dict.fromkeys(range(7), none), dict.fromkeys(range(7), none)
    if way is not None:
        way = _checked("remaining", way, (n, history.num_steps + 1)).double()
        shortest = way[:, 0] if shortest is None else shortest
    if verdict is None:
        success = (history.reward.where(history.valid, 0).sum(1) > 0).double()
        moved = _changed(history) if way is None else way[:, 1:] < way[:, :-1]
        right = None if moved is None else moved | (history.reward > 0)
        if way is not None:
            steps = torch.arange(history.num_steps + 1, device=way.device) <= history.length[:, None]
            nearest = way.where(steps, torch.inf).amin(1)
            near = (1 - nearest / way[:, 0]).nan_to_num(nan=0.0).clamp(min=0)
            top[1], bottom[1] = torch.where(success > 0, 1.0, near), one
    else:
        whole = length if lengths is None else _checked("lengths", lengths, (n,)).double()
        right = ~(_checked(f"column '{verdict}'", history[verdict], (n, history.num_steps)) < 1)
        wrong = ~right & history.valid
        before = torch.where(wrong.any(1), wrong.long().argmax(1), history.length).double()
        top[1], bottom[1] = before / whole.clamp(min=1), one
        success = (before == whole).double()
    top[0], bottom[0] = success, one
    if shortest is not None:
        least = _checked("shortest", shortest, (n,)).double()
        share = (least / torch.maximum(length, least)).nan_to_num(nan=0.0) * success
        top[2], bottom[2], top[3], bottom[3] = share, success, share, one
    top[4], bottom[4] = _revisits(history)
    if right is not None:
        wrong = ~right & history.valid
        then = wrong[:, :-1] & history.valid[:, 1:]
        top[5], bottom[5] = (then & right[:, 1:]).sum(1), then.sum(1)
        top[6], bottom[6] = success * wrong.any(1), wrong.any(1)
    columns = [torch.stack([part[i].double() for i in range(7)], 1).cpu().numpy() for part in (top, bottom)]
    return columns[0], columns[1]


def _revisits(history: History) -> tuple[Tensor, Tensor]:
    """(n,) how often a screen was come to that had been seen; how often one was come to."""
    observed: Any = history.columns.get("observation")
    screen = observed.get("screen") if isinstance(observed, dict) else None
    if not isinstance(screen, Tensor) or screen.dim() != 2:
        return torch.zeros(len(history)), torch.zeros(len(history))
    come = (screen[:, 1:] != screen[:, :-1]) & history.valid  # (n, T)
    seen = torch.stack([(screen[:, : t + 1] == screen[:, t + 1 : t + 2]).any(1) for t in range(history.num_steps)], 1)
    return (come & seen).sum(1), come.sum(1)


def _changed(history: History) -> Tensor | None:
    """(n, T) whether a step changed anything of what is seen; None where not all of that is numbers."""
    seen: Any = history.columns.get("observation")
    parts = list(seen.values()) if isinstance(seen, dict) else [seen]
    if not all(isinstance(part, Tensor) for part in parts):
        return None
    return torch.stack([(part[:, 1:] != part[:, :-1]).flatten(2).any(2) for part in (p[..., None] for p in parts)]).any(
        0
    )


def _checked(name: str, value: Any, shape: tuple[int, ...]) -> Tensor:
    """A tensor of that shape; TypeError or ValueError otherwise."""
    check_is(name, value, Tensor, f"a tensor {shape}")
    if tuple(value.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(value.shape)}: expected {shape}")
    found: Tensor = value
    return found
