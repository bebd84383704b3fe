"""The contract of worlds as a test."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ..arguments import checked_int
from ..checkpoints import fingerprint
from ..gym import checked_space, to_numpy
from ..history import History, map_column
from ..rollout import check_role
from ..sites import Do, Sites
from ..trees import leaves_of, to_cpu
from ..world import Policy, Transition, World
from .difference import described, difference, picked
from .steps import check_rows_at_steps
from .watched import Sampled, Watched, check_repeats, check_rows_alone, nothing_yet


def check_world(
    world: World,
    policy: Policy | None = None,
    *,
    rows: int = 6,
    horizon: int = 8,
    seed: int = 0,
    independent: bool = True,
    intervene: Sequence[str] | None = None,
) -> None:
    """Raise AssertionError unless the world keeps the contract of ``world.World``.

    Its spaces start at 0 and hold what it shows; shapes and types are right; the state has a row for each id, and the
    same parts at every step; a run repeats to the bit, touches no global generator and leaves neither the world nor an
    earlier state changed; a copy by pickle is the same world; a batch equals its rows run one by one, in another order,
    and at steps of their own; an intervention acts from its start, only on the rows it names, so that rows whose policy
    stays the same keep their luck; an unknown site is an error.

    policy: acts; by default actions are sampled from the action space.
    rows, horizon: of the runs; at least 2 each.
    independent: False for a population, whose rows meet each other: rows are then neither run alone nor compared
        when others are intervened on; ``rows`` is the population's size.
    intervene: the sites to try interventions on (a row gets the value of its neighbour); all by default.
    """
    check_role("world", world)
    checked_int("rows", rows, 2), checked_int("horizon", horizon, 2)
    name = type(world).__name__
    run = Watched(world, policy or Sampled(world.action_space), torch.arange(rows) + 3, horizon, seed)
    _check_spaces(world)
    _check_steps(run)
    history = check_repeats(run, name)
    _check_naming(run)
    if independent:
        check_rows_alone(run, history, name)
        check_rows_at_steps(run, name)
    for site in history.columns if intervene is None else intervene:
        if site not in ("observation", "terminated", "truncated"):
            _check_intervention(run, history, site, independent)
    _check_unknown_site(run)


def _check_spaces(world: World) -> None:
    for role in ("observation", "action"):
        space = getattr(world, f"{role}_space")
        assert isinstance(space, gymnasium.Space), (
            f"{role}_space is a {type(space).__name__}: expected a gymnasium.Space"
        )
        try:
            checked_space(space, role)
            batch_space(space, 3)
        except Exception as error:
            raise AssertionError(f"{role}_space {space} cannot be batched: {error}") from error
        _check_starts(space, role)
        assert getattr(world, f"{role}_space") == space, f"{role}_space differs each time: expected one space"


def _check_starts(space: gymnasium.Space[Any], role: str) -> None:
    """Raise unless numbers that stand for choices start at 0."""
    if isinstance(space, gymnasium.spaces.Dict):
        for part in space.values():
            _check_starts(part, role)
    first = np.asarray(getattr(space, "start", 0))
    assert not first.any(), (
        f"{role}_space {space} starts at {first.tolist()}: expected 0; Stable-Baselines3, for one, warns of start= in "
        "its checker and then learns as if it were 0. Count from 0, and add the start inside step"
    )


def _check_steps(run: Watched) -> None:
    """Shapes, types, spaces, states; and that a step leaves the state it was given as it was."""
    world, n, history = run.world, len(run.ids), nothing_yet(run)
    going = run.begun(Sites())
    _check_observation(world, going.observation, n, "reset")
    for t in range(run.horizon):
        state, observation, draws, site = going.state, going.observation, going.draws, going.site
        _check_state(state, n)
        before = deepcopy((state, observation))
        action = going.act(history)
        new = world.step(state, action, draws, site)
        assert isinstance(new, Transition), f"step returns a {type(new).__name__}: expected a Transition"
        for name, value, dtype in (("reward", new.reward, torch.float32), ("terminated", new.terminated, torch.bool)):
            what = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            right = isinstance(value, Tensor) and value.dtype == dtype and tuple(value.shape) == (n,)
            assert right, f"{name} at step {t} is {what}: expected a {dtype} tensor ({n},), one a row"
        assert torch.isfinite(new.reward).all(), f"reward at step {t} is {new.reward.tolist()}: expected finite numbers"
        _check_observation(world, new.observation, n, f"step {t}")
        assert fingerprint(before) == fingerprint((state, observation)), (
            f"step {t} changed the state that it was given, in place: return a new one instead"
        )
        again = world.step(state, action, draws, site)
        assert fingerprint(list(again)) == fingerprint(list(new)), (
            f"step {t} from the same state, action and draws came out otherwise: expected no hidden state; keep all "
            "that lasts in the state, and take all chance from draws"
        )
        going.advance(action)


def _check_observation(world: World, observation: Any, n: int, when: str) -> None:
    space = batch_space(world.observation_space, n)
    try:
        batch = to_numpy(map_column(to_cpu, observation))
    except Exception as error:
        raise AssertionError(
            f"observation of {when} is a {type(observation).__name__}: expected tensors, arrays of text, or dicts of "
            "them, first axis rows"
        ) from error
    assert space.contains(batch), (
        f"observation of {when} is {described(observation)}, which {space} does not contain: expected {n} rows of "
        f"{world.observation_space}, with its type, shape and bounds"
    )


def _check_state(state: Any, n: int) -> None:
    for leaf in leaves_of(state):
        if isinstance(leaf, Tensor | np.ndarray):
            assert leaf.shape[:1] == (n,), (
                f"the state holds {described(leaf)}: expected {n} rows in each of its arrays, one for each id of "
                "the draws; parameters belong to the world"
            )


def _check_naming(run: Watched) -> None:
    """Raise unless every step names each site, once: ``rollout`` looks for misspelt names in the first."""
    named: list[str] = []
    going = run.begun(Sites(record=lambda name, step, value: named.append(name)))
    first: list[str] = []
    for t in range(run.horizon):
        named.clear()
        going.advance(going.act(nothing_yet(run)))
        twice = sorted({name for name in named if named.count(name) > 1})
        assert not twice, f"step {t} names {twice} more than once: name a site once, with the value that is then used"
        first = first or sorted(named)
        assert sorted(named) == first, (
            f"step {t} names the sites {sorted(named)} and step 0 named {first}: name every site in every step"
        )


def _check_intervention(run: Watched, history: History, site: str, independent: bool) -> None:
    """Raise unless giving some rows their neighbours' value acts from its start, and on those rows only."""
    factual = history.column(site)
    n, start = len(run.ids), run.horizon // 2
    if not isinstance(factual, Tensor) or factual.shape[0] != n or not independent:
        do = Do(site, lambda value: value, start)  # text, a dict or a population: nothing must change at all
        if apart := difference(history, replace(run(interventions=[do]), scenario=history.scenario)):
            raise AssertionError(f"Do('{site}') that changes nothing changed something: {apart}")
        return
    who = torch.arange(n) % 2 == 0
    do = Do(site, lambda value: value.roll(1, 0), start, who=who)
    try:
        counterfactual = run(interventions=[do])
    except Exception as error:
        raise AssertionError(
            f"Do('{site}') with the values of other rows raised {error!r}: if such values make no sense, leave the "
            "site out of intervene="
        ) from error
    if apart := difference(history[:, :start], counterfactual[:, :start]):
        raise AssertionError(
            f"Do('{site}') from step {start} changed what came before: {apart}; a step may only use its own "
            "state, action and draws"
        )
    if apart := difference(picked(history, run.ids[~who]), picked(counterfactual, run.ids[~who])):
        raise AssertionError(
            f"Do('{site}') on some rows changed others: {apart}; compute each row from its own values, and key "
            "draws by what they are about, not by how many were drawn"
        )


def _check_unknown_site(run: Watched) -> None:
    unknown = "a site that nobody names"
    try:
        run(interventions=[Do(unknown, 0.0)])
    except LookupError:
        return
    raise AssertionError(f"Do('{unknown}') was accepted: expected LookupError, for this world names any site")
