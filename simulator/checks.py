"""The contracts of worlds and policies as one-line tests, for anybody who writes one.

    def test_my_world():
        check_world(MyWorld(...))

A failure is an AssertionError that says what was found and what to do about it.
"""

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
from gymnasium.vector.utils import batch_space
from torch import Tensor

from .checkpoint import fingerprint
from .draws import Draws
from .gym import _checked_space, _first_row, _stack, _to_numpy, episode_ids
from .history import CORE, History, map_column
from .rollout import rollout
from .sites import Do, Sites
from .trees import _select, leaves_of
from .world import Policy, Transition, World


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
        return _stack(space, samples, draws.ids.device)


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

    Its spaces hold what it shows; shapes and types are right; the state has a row for each id; a run repeats to the
    bit, touches no global generator and leaves neither the world nor an earlier state changed; a copy by pickle is
    the same world; a batch equals its rows run one by one and in another order; an intervention acts from its start,
    only on the rows it names, so that rows whose policy stays the same keep their luck; an unknown site is an error.

    policy: acts; by default actions are sampled from the action space.
    rows, horizon: of the runs; at least 2 each.
    independent: False for a population, whose rows meet each other: rows are then neither run alone nor compared
        when others are intervened on; ``rows`` is the population's size.
    intervene: the sites to try interventions on (a row gets the value of its neighbour); all by default.
    """
    if rows < 2 or horizon < 2:
        raise ValueError(f"check of {rows} rows over {horizon} steps: expected at least 2 of each")
    name = type(world).__name__
    run = _Run(world, policy or Sampled(world.action_space), torch.arange(rows) + 3, horizon, seed)
    _check_spaces(world)
    _check_steps(run)
    history = _check_repeats(run, name)
    _check_naming(run)
    if independent:
        _check_rows_alone(run, history, name)
    for site in history.columns if intervene is None else intervene:
        if site not in ("observation", "terminated", "truncated"):
            _check_intervention(run, history, site, independent)
    _check_unknown_site(run)


def check_policy(
    policy: Policy,
    world: World,
    *,
    rows: int = 6,
    horizon: int = 8,
    seed: int = 0,
    independent: bool = True,
) -> None:
    """Raise AssertionError unless the policy keeps the contract of ``world.Policy`` in a world that keeps its own.

    Its actions are a batch of the action space; a run repeats to the bit and touches no global generator; a copy by
    pickle is the same policy; acting changes neither the policy nor the observation; a batch equals its rows run
    one by one and in another order.

    independent: False for a policy that looks across rows, or acts only on certain ids; rows are not run alone.
    """
    if rows < 2 or horizon < 2:
        raise ValueError(f"check of {rows} rows over {horizon} steps: expected at least 2 of each")
    name = type(policy).__name__
    run = _Run(world, policy, torch.arange(rows) + 3, horizon, seed)
    _check_actions(run)
    history = _check_repeats(run, name)
    if independent:
        _check_rows_alone(run, history, name)


@dataclass(frozen=True, eq=False)
class _Run:
    """What a check runs, over and over."""

    world: World
    policy: Policy
    ids: Tensor
    horizon: int
    seed: int

    def __call__(
        self, ids: Tensor | None = None, interventions: Sequence[Do] = (), record: Sequence[str] | str = "all"
    ) -> History:
        return rollout(
            self.world,
            self.policy,
            rows=self.ids if ids is None else ids,
            horizon=self.horizon,
            seed=self.seed,
            interventions=interventions,
            record=record,
        )


def _check_spaces(world: World) -> None:
    for role in ("observation", "action"):
        space = getattr(world, f"{role}_space")
        assert isinstance(space, gymnasium.Space), (
            f"{role}_space is a {type(space).__name__}: expected a gymnasium.Space"
        )
        try:
            _checked_space(space, role)
            batch_space(space, 3)
        except Exception as error:
            raise AssertionError(f"{role}_space {space} cannot be batched: {error}") from error
        assert getattr(world, f"{role}_space") == space, f"{role}_space differs each time: expected one space"


def _check_steps(run: _Run) -> None:
    """Shapes, types, spaces, states; and that a step leaves the state it was given as it was."""
    world, n = run.world, len(run.ids)
    draws, site = Draws(run.seed, run.ids, scope="world"), Sites()
    state, observation = world.reset(draws, site)
    _check_observation(world, observation, n, "reset")
    history = _nothing_yet(run)
    for t in range(run.horizon):
        _check_state(state, n)
        site.step = t
        before = deepcopy((state, observation))
        action = run.policy.act(observation, history, draws.scoped("policy").at(t))
        new = world.step(state, action, draws.at(t), site)
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
        again = world.step(state, action, draws.at(t), site)
        assert fingerprint(list(again)) == fingerprint(list(new)), (
            f"step {t} from the same state, action and draws came out otherwise: expected no hidden state; keep all "
            "that lasts in the state, and take all chance from draws"
        )
        state, observation = new.state, new.observation


def _check_observation(world: World, observation: Any, n: int, when: str) -> None:
    space = batch_space(world.observation_space, n)
    try:
        batch = _to_numpy(map_column(_on_cpu, observation))
    except Exception as error:
        raise AssertionError(
            f"observation of {when} is a {type(observation).__name__}: expected tensors, arrays of text, or dicts of "
            "them, first axis rows"
        ) from error
    assert space.contains(batch), (
        f"observation of {when} is {_described(observation)}, which {space} does not contain: expected {n} rows of "
        f"{world.observation_space}, with its type, shape and bounds"
    )


def _check_state(state: Any, n: int) -> None:
    for leaf in leaves_of(state):
        if isinstance(leaf, Tensor | np.ndarray):
            assert leaf.shape[:1] == (n,), (
                f"the state holds {_described(leaf)}: expected {n} rows in each of its arrays, one for each id of "
                "the draws; parameters belong to the world"
            )


def _check_actions(run: _Run) -> None:
    """That actions are in the action space, and that acting leaves the observation as it was."""
    space = batch_space(run.world.action_space, len(run.ids))
    draws, site = Draws(run.seed, run.ids, scope="policy"), Sites()
    _, observation = run.world.reset(draws.scoped("world"), site)
    before = deepcopy(observation)
    action = run.policy.act(observation, _nothing_yet(run), draws)
    assert fingerprint(before) == fingerprint(observation), (
        "act changed the observation in place: compute on a copy, for the history and the world hold it too"
    )
    try:
        batch = _to_numpy(map_column(_on_cpu, action))
    except Exception as error:
        raise AssertionError(f"act returns a {type(action).__name__}: expected tensors as {space} has") from error
    assert space.contains(batch), (
        f"act returns {_described(action)}, which {space} does not contain: expected {len(run.ids)} rows of "
        f"{run.world.action_space}, with its type, shape and bounds"
    )


def _check_repeats(run: _Run, name: str) -> History:
    """That a run repeats, whatever the global generators are at, and leaves what ran unchanged; the history."""
    before = fingerprint((run.world, run.policy))
    with _global_generators(1, name):
        history = run()
    with _global_generators(2, name):
        again = run()
    if difference := _difference(history, again):
        raise AssertionError(
            f"two runs of {name} with the same seed differ: {difference}; keep nothing between calls, and take all "
            "chance from draws"
        )
    core = {site: history.columns[site] for site in CORE}
    if difference := _difference(replace(history, columns=core), run(record=())):
        raise AssertionError(
            f"{name} runs otherwise when its sites are recorded: {difference}; a shortcut for runs that nobody "
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
    if difference := _difference(history, copied()):
        raise AssertionError(f"a copy of {name} by pickle runs otherwise: {difference}; make all that matters a field")
    past_end = ~history.valid
    assert not (history.terminated & past_end).any(), "a row terminated twice"
    assert not (history.reward * past_end).any(), "a row was rewarded after its end"
    return history


def _check_rows_alone(run: _Run, history: History, name: str) -> None:
    """That a batch equals its rows, alone and in another order."""
    why = "compute each row from its own state, action and draws alone, and draw by row id, never by place"
    for i in range(len(run.ids)):
        if difference := _difference(history[i : i + 1], run(run.ids[i : i + 1])):
            raise AssertionError(f"a row of {name} in a batch and alone differ: {difference}; {why}")
    if difference := _difference(_picked(history, run.ids.flip(0)), run(run.ids.flip(0))):
        raise AssertionError(f"rows of {name} in another order differ: {difference}; {why}")


def _check_naming(run: _Run) -> None:
    """That every step names each site, once: ``rollout`` looks for misspelt names in the first."""
    named: list[str] = []
    draws, site = Draws(run.seed, run.ids, scope="world"), Sites(record=lambda name, step, value: named.append(name))
    state, observation = run.world.reset(draws, site)
    first: list[str] = []
    for t in range(run.horizon):
        named.clear()
        site.step = t
        action = run.policy.act(observation, _nothing_yet(run), draws.scoped("policy").at(t))
        state, observation, _, _ = run.world.step(state, action, draws.at(t), site)
        twice = sorted({name for name in named if named.count(name) > 1})
        assert not twice, f"step {t} names {twice} more than once: name a site once, with the value that is then used"
        first = first or sorted(named)
        assert sorted(named) == first, (
            f"step {t} names the sites {sorted(named)} and step 0 named {first}: name every site in every step"
        )


def _check_intervention(run: _Run, history: History, site: str, independent: bool) -> None:
    """That giving some rows their neighbours' value acts from its start, and on those rows only."""
    factual = history.column(site)
    n, start = len(run.ids), run.horizon // 2
    if not isinstance(factual, Tensor) or factual.shape[0] != n or not independent:
        do = Do(site, lambda value: value, start)  # text, a dict or a population: nothing must change at all
        if difference := _difference(history, replace(run(interventions=[do]), scenario=history.scenario)):
            raise AssertionError(f"Do('{site}') that changes nothing changed something: {difference}")
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
    if difference := _difference(history[:, :start], counterfactual[:, :start]):
        raise AssertionError(
            f"Do('{site}') from step {start} changed what came before: {difference}; a step may only use its own "
            "state, action and draws"
        )
    if difference := _difference(_picked(history, run.ids[~who]), _picked(counterfactual, run.ids[~who])):
        raise AssertionError(
            f"Do('{site}') on some rows changed others: {difference}; compute each row from its own values, and key "
            "draws by what they are about, not by how many were drawn"
        )


def _check_unknown_site(run: _Run) -> None:
    unknown = "a site that nobody names"
    try:
        run(interventions=[Do(unknown, 0.0)])
    except LookupError:
        return
    raise AssertionError(f"Do('{unknown}') was accepted: expected LookupError, for this world names any site")


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


def _nothing_yet(run: _Run) -> History:
    """A history of no steps."""
    never = torch.zeros(run.horizon, len(run.ids), dtype=torch.bool)
    length = torch.zeros_like(run.ids)
    return History({"terminated": never, "truncated": never}, length, run.ids, run.seed, steps=0)


def _picked(history: History, ids: Tensor) -> History:
    """The rows with these ids, in this order."""
    rows = (history.ids == ids[:, None]).int().argmax(1)
    columns = {
        name: map_column(lambda leaf: _select(leaf.swapaxes(0, 1), rows).swapaxes(0, 1), column)
        for name, column in history.columns.items()
    }
    return replace(history, columns=columns, length=history.length[rows], ids=ids)


def _difference(a: History, b: History) -> str | None:
    """Where two histories of the same rows first differ before the rows' ends; None where they do not."""
    if a.columns.keys() != b.columns.keys():
        return f"one names {sorted(a.columns)} and the other {sorted(b.columns)}"
    if not torch.equal(a.length, b.length):
        i = int((a.length != b.length).nonzero()[0])
        return f"row id {a.ids[i]} ends after {a.length[i]} steps and after {b.length[i]}"
    for name in a.columns:
        for left, right in zip(leaves_of(a.column(name)), leaves_of(b.column(name)), strict=True):
            steps = min(left.shape[1], right.shape[1])  # a run of rows that all end early is shorter
            unequal = np.asarray(_unequal(left[:, :steps], right[:, :steps]))
            if unequal.shape[0] == len(a):
                unequal &= np.arange(steps) < (a.length + (name == "observation")).numpy()[:, None]
            if unequal.any():
                i, t = np.argwhere(unequal)[0].tolist()
                return f"'{name}' of row id {a.ids[i]} at step {t} is {_short(left[i, t])} and {_short(right[i, t])}"
    return None


def _unequal(a: Any, b: Any) -> Any:
    """(n, T) bool: where entries differ in any part; NaN equals NaN."""
    if isinstance(a, Tensor):
        a, b = a.detach().cpu().numpy(), b.detach().cpu().numpy()
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.ones(a.shape[:2], dtype=bool)
    unequal = (a != b) & ~((a != a) & (b != b))
    return unequal.reshape(*a.shape[:2], -1).any(axis=2)


def _short(value: Any) -> str:
    return str(value.tolist() if isinstance(value, Tensor | np.ndarray) else value)[:80]


def _on_cpu(leaf: Any) -> Any:
    return leaf.cpu() if isinstance(leaf, Tensor) else leaf


def _described(value: Any) -> str:
    """Types, shapes and the first row of a column."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_described(part)}" for key, part in value.items()) + "}"
    if not isinstance(value, Tensor | np.ndarray):
        return f"a {type(value).__name__}"
    first = f", first {_short(_first_row(value))}" if value.ndim and len(value) else ""
    return f"{value.dtype} {tuple(value.shape)}{first}"
