"""Setup: a run before it is run, and before anybody asks what comes of it."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Self

from torch import Tensor

from ..history import History
from ..recording import Record, Recorder
from ..rollout import checked_run, rollout
from ..sites import Do
from ..world import Policy, World


@dataclass(frozen=True, eq=False)
class Setup:
    """A policy in a world, over so many rows and steps: what ``ensemble`` and ``contrast`` ask questions of.

    Chance is not part of it: ``run`` takes a seed. ``dataclasses.replace(setup, policy=…)`` is the same with one thing
    changed; ``to_device`` moves one whose rows are ids.

    rows: how many rows, whose ids are then 0 to rows - 1; or their ids, (n,) int64. horizon: how many steps.
    record: names of sites to keep besides the observation, action and reward, and Records; "all" for every site.
    interventions: what is changed in every run of it; those of a what-if come after.

    Raises what ``rollout`` would raise of these arguments, when it is made: TypeError for a world, policy, number of
    rows or intervention that is none, ValueError for no rows or steps, a Record of other rows, or an intervention that
    would never act. Whether a world names a site shows in the first step.
    """

    world: World
    policy: Policy
    _: KW_ONLY
    rows: int | Tensor
    horizon: int
    record: Sequence[str | Record] | str = ()
    interventions: Sequence[Do] = ()

    def __post_init__(self) -> None:
        ids = checked_run(self.world, self.policy, self.rows, self.horizon, 0, self.interventions)
        Recorder(self.record, self.horizon, ids)

    def under(self, interventions: Sequence[Do]) -> Self:
        """The same with these interventions after its own."""
        alone = replace(self, interventions=interventions)  # checks them
        return replace(alone, interventions=[*self.interventions, *interventions])

    def run(self, seed: int = 0, interventions: Sequence[Do] = (), **more: Any) -> History:
        """One run, by ``rollout``, with these interventions after its own.

        more: ``draws``, ``scenario``, ``progress``, ``checkpoint``, ``checkpoint_every``, as in ``rollout``.
        """
        what = self.under(interventions) if interventions else self
        return rollout(
            what.world,
            what.policy,
            rows=what.rows,
            horizon=what.horizon,
            seed=seed,
            interventions=what.interventions,
            record=what.record,
            **more,
        )
