"""Committee: networks that have learned from answers, and doubt where they differ; distil: who is asked for that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, check_callable, check_is, checked_int, checked_seed
from ethogram.simulator.kernels import Array

from ..citizens import Answers, Features, Groups, Perceptron, grouped

Levels = Mapping[str, Tensor]  # column -> (G,) float64: a whole number, or the number of a bin, from 0

Seen = Mapping[str, Tensor]  # what people see: column -> (n,)


class Member(Protocol):
    """A network or rule that says what a group would answer."""

    def probabilities(self, observation: Levels) -> Tensor:
        """(G, 2) of isolating and of wanting a job."""
        ...


Fit = Callable[[tuple[Levels, Tensor], int], Member]  # (levels (m,), answers (m, 2)) and a seed to a member


@dataclass(frozen=True, eq=False)
class Committee:
    """Several that have learned from the same answers: their mean predicts, and where they differ they are in doubt.

    Query by committee: Seung, Opper & Sompolinsky, COLT 1992; of networks from several starts, as in Lakshminarayanan,
    Pritzel & Blundell, "Simple and scalable predictive uncertainty estimation using deep ensembles" (2017).
    """

    members: Sequence[Member]

    def __post_init__(self) -> None:
        check_is("members", self.members, Sequence, "a list of what Perceptron.fit gives, or other with probabilities")
        if len(self.members) < 2:
            raise ValueError(f"members are {len(self.members)}: expected 2 or more, for one never differs from itself")

    def predict(self, levels: Levels) -> tuple[Array, Array]:
        """Two (G, 2) float64: the mean of the members' probabilities, and their standard deviation."""
        each = np.stack([member.probabilities(levels).numpy() for member in self.members])
        return each.mean(0), each.std(0, ddof=1)


def levels_of(groups: Groups) -> dict[str, Tensor]:
    """Each group's level of each column that it was grouped by, "period" too, as numbers to learn from."""
    levels = groups.levels(groups.codes)
    found = {}
    for k, (name, meaning) in enumerate(zip(groups.names, groups.meanings, strict=True)):
        first = meaning[0] if isinstance(meaning, range) else 0
        found[name] = torch.from_numpy(levels[:, k] + float(first))
    if "period" in groups.by:
        found["period"] = torch.full((len(levels),), float(groups.period), dtype=torch.float64)
    return found


def perceptron(
    data: tuple[Levels, Tensor],
    seed: int,
    features: Features | None = None,
    hidden: Sequence[int] = (32,),
    epochs: int = 400,
) -> Perceptron:
    """A small network fitted to answers; ``functools.partial`` gives it other features and sizes.

    features: of levels, named numbers; None: each column that differs among those asked, as the number that it is.
    """
    if features is None:
        features = partial(_some, tuple(name for name, column in data[0].items() if (column != column[0]).any()))
    return Perceptron.fit(data, features, hidden=hidden, epochs=epochs, batch=64, seed=seed)


def _some(names: Sequence[str], levels: Levels) -> Levels:
    return {name: levels[name] for name in names}


def distil(
    answers: Answers,
    by: Any,
    crowds: Sequence[Seen],
    calls: int,
    *,
    fit: Fit = perceptron,
    members: int = 4,
    rounds: int = 3,
    seed: int = 0,
) -> Committee:
    """A committee that has learned from the answers to at most so many questions.

    by: as of ``Archetypes``. crowds: what people see in each of some periods, for instance those of a run with a rule;
    the first is period 0. The first of the rounds asks groups at random, with probabilities in proportion to their
    people; each later one those about whom its committee is most in doubt, times their people, and learns from all.
    """
    check_is("answers", answers, Answers, "Answers(function)")
    check_is("crowds", crowds, Sequence, "a list of what people see, a dict of columns each")
    check_callable("fit", fit, "a function of (levels, answers) and a seed, such as perceptron")
    checked_int("members", members, 2)
    checked_int("rounds", rounds, 1)
    checked_int("calls", calls, 2 * rounds)
    if not crowds:
        raise ValueError("crowds is empty: expected what people see in one period or more")
    pool = _Pool([grouped(seen, by, period) for period, seen in enumerate(crowds)])
    lot = Draws(checked_seed(seed), torch.arange(len(pool.people)), 0, "distil").gumbel("asked").double().numpy()
    known = np.zeros(len(pool.people), np.bool_)
    committee: Committee | None = None
    for turn in range(rounds):
        doubt = np.log(pool.people)
        if committee is not None:
            doubt = doubt + np.log(committee.predict(pool.levels)[1].sum(1) + 1e-9)
        rank = np.where(known, -np.inf, doubt + lot)  # Gumbel's trick: the highest are draws without replacement
        share = calls * (turn + 1) // rounds - int(known.sum())
        known[np.argsort(-rank, kind="stable")[: min(share, int((~known).sum()))]] = True
        chosen = torch.from_numpy(known.nonzero()[0])
        found = torch.tensor(answers.to([pool.questions[i] for i in chosen.tolist()]), dtype=torch.float64)
        learned = {name: column[chosen] for name, column in pool.levels.items()}
        committee = Committee([fit((learned, found), seed + k) for k in range(members)])
    assert committee is not None
    return committee


class _Pool:
    """The groups of all crowds, those of the same question once."""

    def __init__(self, crowds: Sequence[Groups]) -> None:
        questions = [question for groups in crowds for question in groups.questions(groups.codes)]
        people = np.concatenate([groups.people for groups in crowds])
        first: dict[str, int] = {}
        which = np.array([first.setdefault(str(question), i) for i, question in enumerate(questions)])
        kept, place = np.unique(which, return_inverse=True)
        self.questions = [questions[i] for i in kept]
        self.people = np.bincount(place, people)
        columns = [levels_of(groups) for groups in crowds]
        rows = torch.from_numpy(kept)
        self.levels = {name: torch.cat([levels[name] for levels in columns])[rows] for name in columns[0]}
