"""The loop, the only one: a policy acts in a world, and a History comes out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .checkpoint import Checkpoint, fingerprint
from .draws import Draws
from .history import History, first_leaf
from .recording import Record, Recorder
from .sites import Do, Sites
from .world import Learner, Policy, World


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
    checkpoint: str | Path | Callable[[str, float], Checkpoint] | None = None,
    checkpoint_every: float = 30.0,
) -> History:
    """Run ``policy`` in ``world`` for ``horizon`` steps and return what happened.

    rows: how many rows, whose ids are then 0 to rows - 1; or their ids, (n,) int64, on the device to run on. The
        same id meets the same luck in any batch, and twice in one that names it twice.
    seed: any int. Two runs with the same seed share every draw, whatever the policy and the interventions.
    interventions: what to change; sites "observation", "action" and "reward" are named here, the others by the world.
    record: names of sites to keep besides the observation, action and reward; "all" for every site; a ``Record``
        thins or reduces one. A Record of a core column replaces the full column.
    draws: chance to use in place of ``Draws(seed, ids)``, such as what ``abduct`` infers from a log.
    scenario: a name for the history; "factual", or the intervened sites' names, by default.
    progress: show a bar.
    checkpoint: a file to save to at least every ``checkpoint_every`` seconds, atomically. If it exists, the run goes
        on from there, to the same bits as if it had never stopped; it is removed when the run is complete. Or what
        makes a Checkpoint from the run's fingerprint and ``checkpoint_every``.

    Raises LookupError for an intervention or record of a site that the world does not name, ValueError where the
    world breaks its contract or the checkpoint is of another run.
    """
    ids = checked_run(world, policy, rows, horizon, seed, interventions)
    if draws is None:
        draws = Draws(seed, ids, scope="world")
    if seed not in (0, draws.seed):
        raise ValueError(f"seed={seed} and draws= of seed {draws.seed}: expected one or the other; leave seed out")
    seed = draws.seed
    if not torch.equal(draws.ids, ids):
        raise ValueError("draws= are for other rows: expected the same ids; pass rows=draws.ids")
    chance = draws.scoped("policy")
    recorder = Recorder(record, horizon, ids)
    site = Sites(interventions, recorder, "all" if record == "all" else recorder.asked)
    length = torch.zeros_like(ids[:1]).expand(len(ids))  # one number for all while all are alive
    alive = torch.ones_like(ids, dtype=torch.bool)
    all_alive = True
    state, observation = world.reset(draws, site)
    observation = site("observation", observation)
    start = 0
    saver = None
    if checkpoint is not None:
        run = (world, policy, draws, horizon, list(interventions), record)
        saver = (checkpoint if callable(checkpoint) else partial(Checkpoint, checkpoint))(
            fingerprint(run), checkpoint_every
        )
        saved = saver.load((state, observation, length, alive))
        if saved is not None:
            start, (state, observation, length, alive), (recorder.columns, recorder.series) = saved
            all_alive = bool(alive.all())
    if scenario is None:
        scenario = " and ".join(do.site for do in interventions) or "factual"

    def so_far(steps: int) -> History:
        return History(recorder.columns, length, ids, seed, scenario, recorder.series, steps)

    end = horizon
    for t in tqdm(range(start, horizon), initial=start, total=horizon, disable=not progress, unit="step"):
        if not all_alive and not alive.any():
            end = t
            break
        site.step = t
        action = site("action", policy.act(observation, so_far(t), chance.at(t)))
        if len(first_leaf(action)) != len(ids):
            raise ValueError(f"{type(policy).__name__} gives {len(first_leaf(action))} actions: expected {len(ids)}")
        state, observation, reward, terminated = world.step(state, action, draws.at(t), site)
        if t == start:
            check_transition(world, len(ids), observation, reward, terminated)
        reward = site("reward", reward if all_alive else reward.where(alive, 0))
        length = (length[:1] + 1).expand(len(ids)) if all_alive else length + alive
        if terminated.numpy().any() if terminated.is_cpu else terminated.any():  # NumPy stops looking at the first
            recorder.flag("terminated", t, terminated & alive)
            alive = alive & ~terminated
            all_alive = False
        if t == horizon - 1 and all_alive:
            last = torch.arange(horizon, device=ids.device) == t
            recorder.columns["truncated"] = last[:, None].expand(horizon, len(ids))
        elif t == horizon - 1:
            recorder.flag("truncated", t, alive)
        site.step = t + 1
        observation = site("observation", observation)
        if t == start:
            site.check_names([do.site for do in interventions] + recorder.asked)
        if saver is not None and t < horizon - 1:
            saver.save(t + 1, (state, observation, length, alive), (recorder.columns, recorder.series))
    if not all_alive and "reward" in recorder.columns:
        recorder.columns["reward"].masked_fill_(torch.arange(horizon, device=ids.device)[:, None] >= length, 0)
    recorder.cut(end)
    length = length.contiguous()
    history = so_far(end)
    if saver is not None:
        saver.remove()
    return history if end < horizon else replace(history, steps=None)


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
        raise TypeError(f"{type(agent).__name__} has no learn(history): expected an agent that learns, or use rollout")
    for k in tqdm(range(first, first + num_episodes), disable=not progress, unit="episode"):
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


def checked_run(
    world: World, policy: Policy, rows: int | Tensor, horizon: int, seed: int, interventions: Sequence[Do]
) -> Tensor:
    """The ids of the rows, or an error that says which argument of ``rollout`` is wrong."""
    for role, value, protocol in (("world", world, World), ("policy", policy, Policy)):
        if isinstance(value, type) or not isinstance(value, protocol):
            what = f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
            methods = "reset, step and two spaces" if role == "world" else "act(observation, history, draws)"
            raise TypeError(f"{role} is {what}: expected an object with {methods}")
    for name, number in (("horizon", horizon), ("seed", seed)):
        if not isinstance(number, Integral):
            raise TypeError(f"{name} is {number!r}: expected an int")
    if not isinstance(rows, Integral | Tensor):
        raise TypeError(f"rows is {rows!r}: expected how many, an int, or their ids, an int64 tensor (n,)")
    if (len(rows) if isinstance(rows, Tensor) else rows) < 1 or horizon < 1:
        raise ValueError(f"rollout of rows={rows} over {horizon} steps: expected at least one of each")
    if not isinstance(interventions, Sequence) or not all(isinstance(do, Do) for do in interventions):
        raise TypeError(f"interventions is {interventions!r}: expected a list of Do, such as [Do('click', 0)]")
    for do in interventions:
        if do.start >= horizon + (do.site == "observation"):
            raise ValueError(
                f"Do('{do.site}') starts at step {do.start} of a run of {horizon} steps, so that it would never act: "
                f"expected start below {horizon}"
            )
    return rows if isinstance(rows, Tensor) else torch.arange(rows)


def check_transition(world: World, n: int, observation: Any, reward: Tensor, terminated: Tensor) -> None:
    """One look at the first step: a wrong shape here would broadcast in silence later."""
    name = type(world).__name__
    if tuple(reward.shape) != (n,) or reward.dtype != torch.float32:
        raise ValueError(f"reward of {name} is {reward.dtype} {tuple(reward.shape)}: expected float32 ({n},)")
    if tuple(terminated.shape) != (n,) or terminated.dtype != torch.bool:
        raise ValueError(f"terminated of {name} is {terminated.dtype} {tuple(terminated.shape)}: expected bool ({n},)")
    if len(first_leaf(observation)) != n:
        raise ValueError(f"observation of {name} has {len(first_leaf(observation))} rows: expected {n}")
