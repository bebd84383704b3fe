"""The loop, the only one: a policy acts in a world, and a History comes out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import torch
from torch import Tensor
from tqdm import tqdm

from .arguments import INTS, check_is, checked_int, checked_seed
from .checkpoints import Checkpoint
from .draws import Draws
from .history import History, SoFar
from .recording import Record, Recorder
from .run import Run
from .sites import Do, Sites
from .world import Learner, Policy, World

ASKED = {"world": ("observation_space", "action_space", "reset", "step"), "policy": ("act",)}  # by the protocols


def rollout(
    world: World,
    policy: Policy,
    *,
    rows: int | Tensor,
    horizon: int,
    seed: int = 0,
    interventions: Sequence[Do] = (),
    record: Sequence[str | Record] | str = (),
    scenario: str | None = None,
    draws: Draws | None = None,
    progress: bool = False,
    checkpoint: str | Path | Callable[[Mapping[str, Any], float], Checkpoint] | None = None,
    checkpoint_every: float = 30.0,
) -> History:
    """Run ``policy`` in ``world`` for ``horizon`` steps and return what happened.

    rows: how many rows, whose ids are then 0 to rows - 1; or their ids, (n,) int64, on the device to run on. The
        same id meets the same luck in any batch, and twice in one that names it twice.
    seed: any int. Two runs with the same seed share every draw, whatever the policy and the interventions.
    interventions: what to change; sites "observation", "action" and "reward" are named here, the others by the world.
    record: names of sites to keep besides the observation, action and reward; "all" for every site; a ``Record``
        thins or reduces one. A Record of a core column replaces the full column.
    draws: chance to use in place of ``Draws(seed, ids)``, such as what ``abduct`` infers from a log; from step 0 on.
    scenario: a name for the history; "factual", or the intervened sites' names, by default.
    progress: show a bar.
    checkpoint: a file to save to at least every ``checkpoint_every`` seconds, atomically. If it exists, the run goes
        on from there, to the same bits as if it had never stopped; it is removed when the run is complete. Ctrl-C
        saves first. A policy that remembers something by itself needs ``state_dict()`` and ``load_state_dict(state)``.
        Or what makes a Checkpoint from the run's parts, by name, and ``checkpoint_every``.

    Raises LookupError for an intervention or record of a site that the world does not name, ValueError where the
    world breaks its contract or the checkpoint is damaged or of another run, OSError where it cannot be written, and
    TypeError where the policy, say, remembers something that it cannot hold.
    """
    ids = checked_run(world, policy, rows, horizon, seed, interventions)
    draws = _checked_draws(draws, seed, ids)
    recorder = Recorder(record, horizon, ids)
    site = Sites(interventions, recorder, "all" if record == "all" else recorder.asked)
    run = Run(world, draws, site, policy)
    run.begin()
    saver = None
    if checkpoint is not None:
        what = {"world": world, "policy": policy, "draws": draws, "horizon": horizon, "record": record}
        make = checkpoint if callable(checkpoint) else partial(Checkpoint, checkpoint)
        saver = make({**what, "interventions": list(interventions)}, checkpoint_every)
        if (saved := saver.load(run.bookkeeping)) is not None:
            run.resume(*saved[:2])
            recorder.restore(saved[0], saved[2])
    if scenario is None:
        scenario = " and ".join(do.site for do in interventions) or "factual"
    start = run.draws.step
    steps = range(start, horizon)
    with saver or nullcontext():
        for t in tqdm(steps, initial=start, total=horizon, unit="step") if progress else steps:
            if run.over:
                break
            run.advance(run.act(SoFar.of_run(recorder, run, scenario)))
            recorder.ends(t, run, last=t == horizon - 1)
            if t == start:
                site.check_names([do.site for do in interventions] + recorder.asked)
            if saver is not None:
                saver.save(t + 1, run.bookkeeping, recorder.kept, last=t == horizon - 1)
    if saver is not None:
        saver.remove()
    return recorder.history(run, scenario)


def episodes(
    world: World,
    agent: Learner,
    num_episodes: int,
    *,
    horizon: int,
    seed: int = 0,
    interventions: Sequence[Do] = (),
    record: Sequence[str | Record] | str = "all",
    first: int = 0,
    progress: bool = False,
) -> Iterator[History]:
    """Let an agent learn online: act for one episode, learn from it, and again.

    Yields each episode's one-row history after the agent has learnt from it. Episode k is row id ``first + k``, so
    that two agents with the same seed meet the same luck in the same episode.
    """
    if not isinstance(agent, Learner):
        raise TypeError(
            f"agent is a {type(agent).__name__}, without learn(history): expected an agent that learns, or use rollout"
        )
    end = checked_int("first", first, 0) + checked_int("num_episodes", num_episodes, 0)
    for k in tqdm(range(first, end), disable=not progress, unit="episode"):
        history = rollout(
            world,
            agent,
            rows=torch.tensor([k]),
            horizon=horizon,
            seed=seed,
            interventions=interventions,
            record=record,
        )
        agent.learn(history)
        yield history


def check_role(role: str, value: object) -> None:
    """Raise TypeError unless the value has what a "world" has, or a "policy"."""
    if isinstance(value, gymnasium.Env | gymnasium.vector.VectorEnv):
        many = ", made for a single row" if isinstance(value, gymnasium.vector.VectorEnv) else ""
        raise TypeError(f"{role} is a Gymnasium environment, {value}: expected a World; wrap it as FromGym(env){many}")
    # isinstance(value, World) would make both spaces, for the sake of their names
    if isinstance(value, type) or not all(hasattr(type(value), name) or hasattr(value, name) for name in ASKED[role]):
        what = f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
        methods = "reset, step and two spaces" if role == "world" else "act(observation, history, draws)"
        raise TypeError(f"{role} is {what}: expected an object with {methods}")


def checked_run(
    world: World, policy: Policy, rows: int | Tensor, horizon: int, seed: int, interventions: Sequence[Do]
) -> Tensor:
    """The ids of the rows, or an error that says which argument of ``rollout`` is wrong."""
    check_role("world", world)
    check_role("policy", policy)
    checked_seed(seed)
    checked_int("horizon", horizon, 1)
    many = "how many, an int, or their ids, an int64 tensor (n,)"
    check_is("rows", rows, (Tensor, *INTS), many)
    ids = rows if isinstance(rows, Tensor) else torch.arange(checked_int("rows", rows, 1))
    if ids.dtype != torch.int64 or ids.dim() != 1 or not len(ids):
        raise ValueError(f"rows is {ids.dtype} {tuple(ids.shape)}: expected {many}, one at least")
    check_interventions("interventions", interventions)
    for do in interventions:
        if do.start >= horizon + (do.site == "observation"):
            raise ValueError(
                f"Do('{do.site}') starts at step {do.start} of a run of {horizon} steps, so that it would never act: "
                f"expected start below {horizon}"
            )
    return ids


def check_interventions(name: str, value: Any, other: str = "") -> None:
    """Raise TypeError unless a value is a list of interventions; other: what it may be besides."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(do, Do) for do in value):
        what = f"{value!r:.60}" if isinstance(value, Sequence) else f"a {type(value).__name__}"
        raise TypeError(f"{name} is {what}: expected a list of Do, such as [Do('click', 0)]{other}")


def _checked_draws(draws: Draws | None, seed: int, ids: Tensor) -> Draws:
    """Those given, if they are of this run; else the seed's."""
    if draws is None:
        return Draws(seed, ids, scope="world")
    check_is("draws", draws, Draws, "Draws, such as abduct gives")
    if seed not in (0, draws.seed):
        raise ValueError(f"seed={seed} and draws= of seed {draws.seed}: expected one or the other; leave seed out")
    if not torch.equal(draws.ids, ids):
        raise ValueError("draws= are for other rows: expected the same ids; pass rows=draws.ids")
    return draws.at(0)
