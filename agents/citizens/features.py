"""Named features and decisions of a record."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ethogram.simulator import History, check_callable, map_column

from .decisions import check_period

INTERCEPT = "intercept"

Features = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]  # what is seen to named numbers, (n,) each

Data = History | tuple[Mapping[str, Tensor], Tensor]  # or (observation columns (m,), actions or answers (m, 2))


def expit(log_odds: Tensor) -> Tensor:
    """Probabilities of log-odds: the same bits wherever in a tensor a number stands."""
    return 1 / (1 + (-log_odds).exp())


def features_of(features: Features, observation: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """name -> (n,) float64. Raises ValueError where ``features`` gives anything but named tensors (n,)."""
    found = features(observation)
    if not isinstance(found, Mapping) or not found or INTERCEPT in found:
        names = list(found) if isinstance(found, Mapping) else type(found).__name__
        raise ValueError(f"features gives {names}: expected a dict of names to tensors (n,); the intercept is implied")
    n = len(next(iter(observation.values())))
    for name, column in found.items():
        if not isinstance(column, Tensor) or tuple(column.shape) != (n,):
            what = f"of shape {tuple(column.shape)}" if isinstance(column, Tensor) else f"a {type(column).__name__}"
            raise ValueError(f"feature '{name}' is {what}: expected a tensor ({n},), one number for each person")
    return {name: column.to(torch.float64) for name, column in found.items()}


def decisions(data: Data, features: Features, period: int) -> tuple[list[str], Tensor, Tensor]:
    """The decisions in a record: names of K features, their values (m, K) float64, what was done (m, 2) float64.

    Of a History: on the days on which a period begins, in rows that have not ended, for the decisions of the other
    days hang on the same luck. A pair of observations and actions is taken as it is.
    """
    check_period(period)
    check_callable("features", features, "a function of what people see")
    if isinstance(data, History):
        first = data.valid & (torch.arange(data.num_steps, device=data.length.device) % period == 0)  # (n, T)
        seen, did = map_column(lambda column: column[:, :-1][first], data.observation), data.action[first]
    elif isinstance(data, tuple) and len(data) == 2:
        seen, did = data
    else:
        raise TypeError(f"data is a {type(data).__name__}: expected a History, or a pair (observations, actions)")
    if not isinstance(seen, Mapping):
        raise ValueError(
            f"observations are a {type(seen).__name__}: expected a dict of columns, what people of a city see; this "
            "fits citizens, who isolate and work; users of sessions are fitted by ethogram.envs.datasets.fit_sessions"
        )
    columns = features_of(features, seen)
    m = len(next(iter(columns.values())))
    if not isinstance(did, Tensor) or tuple(did.shape) != (m, 2) or not ((did >= 0) & (did <= 1)).all():
        what = tuple(did.shape) if isinstance(did, Tensor) else type(did).__name__
        raise ValueError(f"actions are {what}: expected a tensor ({m}, 2) of numbers from 0 to 1, [isolate, work]")
    x = torch.stack(list(columns.values()), 1)
    if not (good := x.isfinite()).all():
        row, k = (~good).nonzero()[0].tolist()
        raise ValueError(f"feature '{list(columns)[k]}' is {x[row, k]} in decision {row}: expected finite numbers")
    return list(columns), x, did.to(torch.float64)
