"""Runs that every check repeats; and the checks of repeats, rows run alone, global generators."""

import pickle
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from ..checkpoints import fingerprint
from ..draws import Draws
from ..gym import episode_ids, stack
from ..history import CORE, History
from ..rollout import rollout
from ..run import Run
from ..sites import Do, Sites
from ..world import Policy, World
from .difference import difference, picked


@dataclass(frozen=True, eq=False)
class Sampled:
    """Actions sampled from a world's action space, by row id and step: what ``check_world`` acts with."""

    action_space: gymnasium.Space[Any]

    def act(self, observation: Any, history: History, draws: Draws) -> Any:
        """One sample a row."""
        space, samples = deepcopy(self.action_space), []
        for seed in (episode_ids(draws.ids, draws.step) & (1 << 31) - 1).tolist():
            space.seed(seed)
            samples.append(space.sample())
        return stack(space, samples, draws.ids.device)


@dataclass(frozen=True, eq=False)
class Watched:
    """A run that a check repeats, over and over."""

    world: World
    policy: Policy
    ids: Tensor
    horizon: int
    seed: int

    def __call__(
        self, ids: Tensor | None = None, interventions: Sequence[Do] = (), record: Sequence[str] | str = "all"
    ) -> History:
        """The history of another such run."""
        return rollout(
            self.world,
            self.policy,
            rows=self.ids if ids is None else ids,
            horizon=self.horizon,
            seed=self.seed,
            interventions=interventions,
            record=record,
        )

    def begun(self, site: Sites) -> Run:
        """Another such run, at its first observation."""
        run = Run(self.world, Draws(self.seed, self.ids, scope="world"), site, self.policy)
        run.begin()
        return run


def check_repeats(run: Watched, name: str) -> History:
    """Raise unless a run repeats, whatever the global generators are at, and leaves what ran unchanged; its history."""
    before = fingerprint((run.world, run.policy))
    with _global_generators(1, name):
        history = run()
    with _global_generators(2, name):
        again = run()
    if apart := difference(history, again):
        raise AssertionError(
            f"two runs of {name} with the same seed differ: {apart}; keep nothing between calls, and take all "
            "chance from draws"
        )
    core = {site: history._by_time[site] for site in CORE}
    if apart := difference(replace(history, _by_time=core), run(record=())):
        raise AssertionError(
            f"{name} runs otherwise when its sites are recorded: {apart}; a shortcut for runs that nobody "
            "records must compute the same"
        )
    assert fingerprint((run.world, run.policy)) == before, (
        f"running {name} changed its fields: expected parameters only; a world keeps what lasts in its state, and a "
        "policy changes in learn"
    )
    try:
        copied = replace(
            run, world=pickle.loads(pickle.dumps(run.world)), policy=pickle.loads(pickle.dumps(run.policy))
        )
    except Exception as error:
        raise AssertionError(
            f"{name} cannot be pickled ({error}): expected it to, for saving and for other processes; define its "
            "class and functions at the top of a module, and keep open files and lambdas out of it"
        ) from error
    if apart := difference(history, copied()):
        raise AssertionError(f"a copy of {name} by pickle runs otherwise: {apart}; make all that matters a field")
    past_end = ~history.valid
    assert not (history.terminated & past_end).any(), "a row terminated twice"
    assert not (history.reward * past_end).any(), "a row was rewarded after its end"
    return history


def check_rows_alone(run: Watched, history: History, name: str) -> None:
    """Raise unless a batch equals its rows, alone and in another order."""
    why = "compute each row from its own state, action and draws alone, and draw by row id, never by place"
    for i in range(len(run.ids)):
        if apart := difference(history[i : i + 1], run(run.ids[i : i + 1])):
            raise AssertionError(f"a row of {name} in a batch and alone differ: {apart}; {why}")
    if apart := difference(picked(history, run.ids.flip(0)), run(run.ids.flip(0))):
        raise AssertionError(f"rows of {name} in another order differ: {apart}; {why}")


@contextmanager
def _global_generators(seed: int, name: str) -> Iterator[None]:
    """Seed Python's, NumPy's and PyTorch's global generators, see that nobody uses them, and put them back."""
    saved = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
        yield
        after = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
        for library, a, b in zip(("random", "numpy", "torch"), before, after, strict=True):
            assert fingerprint(a) == fingerprint(b), (
                f"{name} used the global generator of {library}: take all chance from draws instead"
            )
    finally:
        random.setstate(saved[0])
        np.random.set_state(saved[1])  # noqa: NPY002
        torch.set_rng_state(saved[2])


def nothing_yet(run: Watched) -> History:
    """A history of no steps."""
    never = torch.zeros(run.horizon, len(run.ids), dtype=torch.bool)
    length = torch.zeros_like(run.ids)
    return History({"terminated": never, "truncated": never}, length, run.ids, run.seed, steps=0)
