"""Sessions, lists and learners: what ``small_runs.py`` measures of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import by_hand
import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from timing import Jobs, Timed, cycling, find

from ethogram.simulator import Draws, Sites, Transition, WorldVectorEnv, episodes, rollout

SLIPS, LEAVES, PAGES = 0.1, 0.04, 12


@dataclass(frozen=True)
class Form:
    """A user who clicks through a form of some pages, until it is sent or they give up: rows end at different steps.

    Observation: (n,) int64 page, from 0; the number of pages once it is sent. Action: (n,) int64, 0 back, 1 next,
    2 read. Reward: 1 for sending, less 0.01 a step. Terminates when it is sent or the user gives up.

    Sites: "slips" (n,) bool an action does nothing, "page" (n,), "leaves" (n,) bool who gives up.
    """

    slips: torch.Tensor  # (pages, 3) probability
    leaves: float = LEAVES  # probability a step

    @property
    def observation_space(self) -> spaces.Discrete[Any]:
        """Pages, and the end."""
        return spaces.Discrete(len(self.slips) + 1)

    @property
    def action_space(self) -> spaces.Discrete[Any]:
        """Back, next, read."""
        return spaces.Discrete(3)

    def reset(self, draws: Draws, site: Sites) -> tuple[torch.Tensor, torch.Tensor]:
        """All on the first page."""
        page = torch.zeros_like(draws.ids)
        return page, page

    def step(self, page: torch.Tensor, action: torch.Tensor, draws: Draws, site: Sites) -> Transition:
        """One click."""
        last = len(self.slips)
        slips = site("slips", draws.bernoulli("slips", self.slips[page.clamp(max=last - 1), action]))
        moves = torch.tensor([-1, 1, 0])[action].masked_fill(slips, 0)
        page = site("page", (page + moves).clamp(0, last))
        leaves = site("leaves", draws.uniform("leaves") < self.leaves)
        sent = page == last
        return Transition(page, page, sent.float() - 0.01, sent | leaves)


def bare(world: Any, actions: Any, rows: int) -> Callable[[], Any]:
    """A call of it is one bare step of a world, as a plain loop makes it."""
    draws, site = Draws(0, torch.arange(rows), scope="world"), Sites()
    state, _ = world.reset(draws, site)

    def step(action: Any) -> None:
        nonlocal state
        site.step += 1
        state = world.step(state, action, draws.at(site.step), site).state

    return cycling(step, actions)


def ending(peers: bool) -> Jobs:
    """A world whose rows end at different steps."""
    slips = torch.full((PAGES, 3), SLIPS)
    world, jobs = Form(slips), Jobs()
    for n in (8, 256, 4096):
        envs, actions = WorldVectorEnv(world, n, horizon=100), np.random.default_rng(0).integers(3, size=(16, n))
        envs.reset(seed=0)
        step = cycling(envs.step, actions)
        paid = [step()[1].mean() for _ in range(150)]  # until ages are mixed
        jobs[f"{n:,} envs"] = Timed(step, n)
        jobs[f"{n:,} envs / its bare step"] = Timed(bare(world, torch.from_numpy(actions), n), n)
        if peers:
            step = cycling(by_hand.Forms(n, 100, slips.numpy(), LEAVES).step, actions)
            assert n < 4096 or abs(np.mean([step()[1].mean() for _ in range(150)]) - np.mean(paid)) < 1e-3
            jobs[f"{n:,} envs / NumPy by hand"] = Timed(step, n)
    return jobs


def session() -> Any:
    """TRAP as a world."""
    return find("CascadingSession", "envs.sessions", "envs.cascade")(trap())


def trap() -> Any:
    """TRAP: 2 states, 6 items, lists of 2, 6 steps."""
    return find("trap", "envs.sessions", "envs.mdp")()


def tabular(peers: bool) -> Jobs:
    """The session world through ``gymnasium.make_vec``."""
    mdp, jobs = trap(), Jobs()
    for n in (8, 256, 4096):
        slates = np.random.default_rng(0).random((8, n, mdp.num_items)).argsort(axis=2)[:, :, : mdp.length].copy()
        envs = gymnasium.make_vec("ethogram/CascadingSession-v0", num_envs=n)
        envs.reset(seed=0)
        step = cycling(envs.step, slates)
        paid = np.mean([step()[1].mean() for _ in range(70)])
        jobs[f"{n:,} rows"] = Timed(step, n)
        if peers:
            step = cycling(by_hand.Sessions(n, mdp).step, slates)
            assert n < 4096 or abs(np.mean([step()[1].mean() for _ in range(70)]) - paid) < 0.01
            jobs[f"{n:,} rows / numba by hand"] = Timed(step, n)
    return jobs


def rolled(peers: bool) -> Jobs:
    """``rollout`` beside the world's step."""
    world, policy, steps, jobs = session(), find("Fixed", "agents")([0, 1]), 100, Jobs()
    for n in (1, 1000):
        slates = torch.tensor([0, 1]).expand(1, n, 2).contiguous()
        run = {"rows": n, "horizon": steps}
        name, plain = f"{n:,} rows" if n > 1 else "1 row", Timed(bare(world, slates, n))
        jobs[name] = Timed(lambda run=run: rollout(world, policy, **run), steps)
        jobs[f"{name} / the step in a plain loop"] = plain
        jobs[f'{name}, record="all"'] = Timed(lambda run=run: rollout(world, policy, record="all", **run), steps)
        jobs[f'{name}, record="all" / the step in a plain loop'] = plain
    return jobs


def lists(peers: bool) -> Jobs:
    """The best list of up to 3 of 20 items."""
    best, rng = find("best_permutation", "agents"), np.random.default_rng(0)
    u, w, none = rng.random((1000, 20)), rng.random((1000, 20)), np.full(1000, 0.1)
    batch = [torch.from_numpy(x) for x in (u, w, none)]
    one, plain = [x[0] for x in batch], (u[0].tolist(), w[0].tolist(), 0.1)
    jobs: Jobs = {"one state": Timed(lambda: best(*one, 3))}
    if peers:
        slates, values = by_hand.best_lists(u, w, none, 3)
        assert (best(*batch, 3)[0].numpy() == slates).all()
        assert np.isclose(values[0], by_hand.best_value(*plain, 3))
        jobs["one state / numba by hand"] = Timed(lambda: by_hand.best_list(u[0], w[0], 0.1, 3))
        jobs["one state / plain Python"] = Timed(lambda: by_hand.best_value(*plain, 3))
    jobs["batch of 1,000, a state"] = Timed(lambda: best(*batch, 3), 1000)
    if peers:
        jobs["batch of 1,000, a state / numba by hand"] = Timed(lambda: by_hand.best_lists(u, w, none, 3), 1000)
    return jobs


def formula(states: int, items: int, horizon: int = 3) -> Any:
    """An MDP made as the paper's MovieLens one is, lists of 3."""
    return replace(find("movielens_formula", "envs.sessions", "envs.mdp")(states, items, 1.0), horizon=horizon)


def learner(mdp: Any) -> Any:
    """CascadingVI for 100,000 episodes."""
    return find("CascadingVI", "agents")(mdp.reward, mdp.length, mdp.horizon, 100_000)


def learning(mdp: Any, chunk: int) -> Timed:
    """Episodes in compiled code, so many a call, each call going on where the last ended."""
    learn_in, agent, first = find("learn_in", "agents.cascading"), learner(mdp), iter(range(0, 10**9, chunk))
    return Timed(lambda: learn_in(mdp, agent, chunk, first=next(first)), chunk)


def online(peers: bool) -> Jobs:
    """``episodes`` beside ``learn_in``."""
    jobs = Jobs()
    make = find("CascadingSession", "envs.sessions", "envs.cascade")
    mdps = {"TRAP, H = 3": replace(trap(), horizon=3), "20 states, 20 items, H = 3": formula(20, 20)}
    for name, mdp in mdps.items():
        run = episodes(make(mdp), learner(mdp), 10**9, horizon=mdp.horizon)
        jobs[name] = Timed(lambda run=run: next(run))
        jobs[f"{name} / learn_in"] = learning(mdp, 200)
    return jobs


def late(peers: bool) -> Jobs:
    """CascadingVI after 10,000 episodes; 25 items."""
    jobs = Jobs()
    for name, states, horizon in (*((f"S = {s}, H = 3", s, 3) for s in (10, 20, 40, 80)), ("S = 20, H = 12", 20, 12)):
        jobs[name] = learning(formula(states, 25, horizon), 500)
        for _ in range(19):
            jobs[name].run()
    jobs["S = 20, H = 12 / S = 20, H = 3"] = jobs["S = 20, H = 3"]
    return jobs
