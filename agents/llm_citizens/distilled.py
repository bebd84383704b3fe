"""Distilled: citizens of whom few are asked, and the others answered by those who have learned from answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, History, check_is, check_number, checked_int, derived_ids
from ethogram.simulator.kernels import Array

from ..citizens import Answers, Groups, check_by, check_period, drawn, grouped
from .audits import Audit, Audits
from .distil import Committee, levels_of


@dataclass(frozen=True, eq=False)
class Distilled:
    """Groups of people of whom the doubtful are asked, some others at random, and the rest answered by a committee.

    answers, by, period: as of ``Archetypes``. committee: made by ``distil``; it learns nothing more in a run, so that
    a run repeats and resumes to the same bits.
    doubtful: how many groups are asked in each step because doubt is largest, people times the members' spread.
    audited: how many draws, with replacement, are made among the others in each step, with probabilities in proportion
    to people times (uniform + (1 - uniform) doubt / mean doubt); of them ``audits`` learns what all would have
    answered. Whoever is asked decides by the answer. A question that is known already costs nothing, so these are the
    most questions that a step may take.
    audits: keeps what was found out; see there.
    """

    answers: Answers
    by: Any
    committee: Committee
    doubtful: int = 20
    audited: int = 20
    period: int = 1
    uniform: float = 0.25
    audits: Audits = field(default_factory=Audits)

    def __post_init__(self) -> None:
        check_is("answers", self.answers, Answers, "Answers(function)")
        check_by(self.by)
        check_is("committee", self.committee, Committee, "what distil(…) gives, or Committee([…])")
        checked_int("doubtful", self.doubtful, 0)
        checked_int("audited", self.audited, 2)
        check_period(self.period)
        check_number("uniform", self.uniform, 0, 1)
        if self.uniform == 0:
            raise ValueError("uniform is 0: expected above 0, so that everybody may be drawn, sure predictions too")
        check_is("audits", self.audits, Audits, "Audits()")

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8. Looks at all rows: under a planner, city by city."""
        groups = grouped(observation, self.by, draws.step // self.period)
        return drawn(
            groups, self.answered(groups, draws), groups.slots(np.arange(len(groups.codes))), draws, self.period
        )

    def answered(self, groups: Groups, draws: Draws) -> Array:
        """(G, 2) float64, the probabilities of each group; asks, and keeps in ``audits`` what was found out."""
        chance, spread = self.committee.predict(levels_of(groups))
        people, doubt = groups.people.astype(np.float64), spread.sum(1)
        surely = np.argsort(-people * doubt, kind="stable")[: self.doubtful]
        rest = people.copy()
        rest[surely] = 0
        share = self._chances(rest, doubt)
        lot = _picked(share, self.audited, draws)
        asked = np.concatenate([surely, lot])
        found = np.array(self.answers.to(groups.questions(groups.codes[asked])), np.float64).reshape(-1, 2)
        self.audits.keep(
            draws,
            Audit(
                people=people.sum(),
                certain=people[surely] @ found[: len(surely)],
                predicted=rest @ chance,
                answered_drawn=found[len(surely) :],
                predicted_drawn=chance[lot],
                weight=(rest[lot] / share[lot]) / people.sum(),
                most=float((rest[rest > 0] / share[rest > 0]).max(initial=0) / people.sum()),
            ),
        )
        chance[asked] = found
        return chance

    def _chances(self, rest: Array, doubt: Array) -> Array:
        """(G,) float64, the probabilities of the groups in each draw; rest: (G,) people who may be drawn."""
        mean = rest @ doubt / max(rest.sum(), 1)
        mass = rest * (self.uniform + (1 - self.uniform) * doubt / mean) if mean > 0 else rest
        return np.asarray(mass / max(mass.sum(), 1))


def _picked(share: Array, times: int, draws: Draws) -> Array:
    """(times,) int64 groups drawn with replacement with these probabilities, (G,); none where all are 0."""
    if not share.any():
        return np.empty(0, np.int64)
    ids = derived_ids(draws.ids[:1].cpu().expand(times), torch.arange(times))
    each = Draws(draws.seed, ids, draws.step, draws.scope)
    coarse, fine = (each.uniform(f"audit, {part}").double().numpy() for part in ("coarse", "fine"))
    place = (np.floor(coarse * 2**20) + fine) / 2**20  # 40 bits and more, for groups of few people
    reached = share.cumsum()
    return np.minimum(np.searchsorted(reached, place * reached[-1], side="right"), share.nonzero()[0][-1])
