"""Audits: what some people's answers say of all people's, step by step and over a run."""

import math
from dataclasses import dataclass

import numpy as np

from ethogram.simulator import Draws
from ethogram.simulator.kernels import Array

from ..citizens import DECISIONS
from .estimates import Estimate, conformal_bound, prediction_powered, tuned_power


@dataclass(frozen=True, eq=False)
class Audit:
    """One step: sums over people in groups that were surely asked and over the others, and k draws among the others.

    people: how many there are. certain, predicted: (2,) the sum of the answers of those surely asked, and of the
    predictions of the others. answered_drawn, predicted_drawn: (k, 2) of those who were drawn. weight: (k,) people of
    the drawn group / (all people times its probability in a draw); most: the largest that one could be.
    """

    people: float
    certain: Array
    predicted: Array
    answered_drawn: Array
    predicted_drawn: Array
    weight: Array
    most: float


class Audits:
    """Findings of ``Distilled`` in its steps, for runs of several seeds; a step that is run again says the same.

    The mean answer, P(isolate) or P(work), is over people as they stand in each step of the run: what it would be if
    each group had been asked about itself. Raises ValueError before there is a step.
    """

    def __init__(self) -> None:
        self._steps: dict[tuple[int, int, int], Audit] = {}

    def __fingerprint__(self) -> None:
        """Nothing: what is found out does not make another run."""

    def __len__(self) -> int:
        return len(self._steps)

    def keep(self, draws: Draws, audit: Audit) -> None:
        """Remember a step's."""
        self._steps[draws.seed, int(draws.ids[0]) if len(draws.ids) else 0, draws.step] = audit

    def of(self, seed: int | None = None) -> list[Audit]:
        """The steps of one run, in their order; seed: which, where there are several."""
        runs = sorted({key[:2] for key in self._steps if seed in (None, key[0])})
        if len(runs) != 1:
            raise ValueError(
                f"audits of {len(runs)} runs (seed, first row): {runs[:5]}; expected one: name its seed=, or give each "
                "Audits of its own"
            )
        return [self._steps[key] for key in sorted(self._steps) if key[:2] == runs[0]]

    def by_step(
        self, decision: str = "isolate", *, power: float | None = 1.0, seed: int | None = None
    ) -> list[Estimate]:
        """The mean answer of all people, in each step.

        power: as of ``prediction_powered``; None tunes each step's by the draws of the other steps, so that nothing is
        biased; that of a single step by its own.
        """
        k, audits, found = _index(decision), self.of(seed), []
        parts = [(a.weight * a.answered_drawn[:, k], a.weight * a.predicted_drawn[:, k]) for a in audits]
        for step, audit in enumerate(audits):
            certain, everybody = audit.certain[k] / audit.people, audit.predicted[k] / audit.people
            if not len(audit.weight):  # all were asked
                found.append(Estimate(certain, 0.0, 1))
                continue
            others = [part for part in parts[:step] + parts[step + 1 :] if len(part[0])]
            own = tuned_power(others) if power is None and others else power
            drawn = audit.answered_drawn[:, k], audit.predicted_drawn[:, k]
            rest = prediction_powered(*drawn, everybody, audit.weight, own)
            found.append(Estimate(certain + rest.value, rest.stderr, rest.degrees))
        return found

    def estimate(self, decision: str = "isolate", *, power: float | None = 1.0, seed: int | None = None) -> Estimate:
        """The mean answer over all people and steps. Steps draw on their own, so that variances add up.

        Degrees of freedom by Welch & Satterthwaite.
        """
        steps = self.by_step(decision, power=power, seed=seed)
        variances = np.array([step.stderr**2 for step in steps])
        apart = float((variances**2 / [step.degrees for step in steps]).sum())
        degrees = int(variances.sum() ** 2 / apart) if apart > 0 else 1
        value = math.fsum(step.value for step in steps) / len(steps)
        return Estimate(value, math.sqrt(variances.sum()) / len(steps), max(degrees, 1))

    def bound(self, decision: str = "isolate", level: float = 0.9, seed: int | None = None) -> float:
        """How far the answer of a person who was not surely asked is from the prediction, with this probability.

        Of a person at random in a step at random; by ``conformal_bound``, from the draws of all steps.
        """
        k, audits = _index(decision), self.of(seed)
        errors = np.concatenate([np.abs(a.answered_drawn - a.predicted_drawn)[:, k] for a in audits])
        return conformal_bound(errors, np.concatenate([a.weight for a in audits]), max(a.most for a in audits), level)


def _index(decision: str) -> int:
    if decision not in DECISIONS:
        raise ValueError(f"decision is {decision!r}: expected one of {DECISIONS}")
    return DECISIONS.index(decision)
