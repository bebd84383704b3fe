"""The doors behind which compiled code works, and arrays that do not fit them; run by ``test_doors.py``.

Each door takes good arguments, of which one or two are exchanged for others: too short or long, of another type or
shape, out of range, no tensor at all. A door may raise what Python raises; it may not crash, hang or damage memory.
"""

import faulthandler
import random
import sys
import traceback
from dataclasses import replace

import numpy as np
import torch

from ethogram.agents.bandits import CTS, CascadeKLUCB, beta, count_feedback, kl_upper_bound, play
from ethogram.agents.cascading import AdaptVI, CascadingBPI, CascadingVI, best_permutation, learn_in, optimal_values
from ethogram.agents.simple import Fixed, Table
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR
from ethogram.envs.sessions import CascadingSession, cascading_bandit, trap
from ethogram.envs.sessions.arrays import clicked_rows, first_true, lookup
from ethogram.simulator import Draws, History, Sites, abduct, derived_ids, rollout
from ethogram.simulator.draws import invert_cdf
from ethogram.simulator.networks import erdos_renyi

CLEAR = (ValueError, TypeError, IndexError, LookupError, RuntimeError, AttributeError, OverflowError, ArithmeticError)
SECONDS = 60  # kernels are compiled in some of them

MDP = trap()
S, N, M = MDP.num_states, MDP.num_items, MDP.length
SESSION, CONTACTS = CascadingSession(MDP), erdos_renyi(9, 3, seed=1)
BANDIT = cascading_bandit(torch.linspace(0.1, 0.5, 4, dtype=torch.float64), 2)
LOG = rollout(SESSION, Fixed(list(range(M))), rows=3, horizon=2, record=["click"])


def integers(*values):
    return torch.tensor(values, dtype=torch.int64)


def shares(*shape):
    return torch.linspace(0.1, 0.9, int(np.prod(shape)), dtype=torch.float64).reshape(shape)


def draws(ids, step):
    return Draws(3, ids, step, "world")


def log_of(observation, action, click, reward, length):
    """A History made by hand, past its own checks: as from a file that nobody checked."""
    history = History.of(
        observation=LOG.observation, action=LOG.action, reward=LOG.reward, sites={"click": LOG.column("click")}
    )
    columns = {"observation": observation, "action": action, "click": click, "reward": reward}
    by_time = {**history._by_time, **{name: x.swapaxes(0, 1) for name, x in columns.items()}}
    return replace(history, _by_time=by_time, length=length)


LOGGED = {
    "observation": LOG.observation,
    "action": LOG.action,
    "click": LOG.column("click"),
    "reward": LOG.reward,
    "length": LOG.length,
}
IDS, STATES = integers(4, 5, 6), integers(0, 1, 0)
SLATES = torch.arange(M).expand(3, M).clone()
STAGE = SEIR(CONTACTS).reset(Draws(1, torch.arange(9)), Sites())[0]
ADOPTED = Adoption(CONTACTS).reset(Draws(1, torch.arange(9)), Sites())[0]


def bandit(kind, clicks, examined):
    agent = kind(4, 2)
    agent.clicks, agent.examined = clicks, examined
    return play(agent, BANDIT, 5)


DOORS = {
    "uniform": (
        lambda ids, step, index: draws(ids, step).uniform("x", index),
        {"ids": IDS, "step": 1, "index": SLATES},
    ),
    "span": (lambda ids, step, index: draws(ids, step).uniform("x", index), {"ids": IDS, "step": IDS, "index": 3}),
    "bernoulli": (lambda ids, p: draws(ids, 0).bernoulli("x", p), {"ids": IDS, "p": shares(3)}),
    "bernoulli among": (
        lambda ids, p, among: draws(ids, 0).bernoulli("x", p, among=among),
        {"ids": IDS, "p": shares(3), "among": IDS > 4},
    ),
    "bernoulli index": (
        lambda ids, p, index: draws(ids, 0).bernoulli("x", p, index),
        {"ids": IDS, "p": shares(3, M), "index": SLATES},
    ),
    "event": (lambda ids, hazard: draws(ids, 0).event("x", hazard), {"ids": IDS, "hazard": shares(3)}),
    "gumbel": (lambda ids, index: draws(ids, 0).gumbel("x", index), {"ids": IDS, "index": 2}),
    "categorical": (
        lambda ids, p, which: draws(ids, 0).categorical("x", p, which),
        {"ids": IDS, "p": torch.full((2, 4), 0.25), "which": STATES},
    ),
    "inverse_cdf": (
        lambda ids, table, which: draws(ids, 0).inverse_cdf("x", table, which),
        {"ids": IDS, "table": torch.full((2, 4), 0.25).cumsum(1), "which": STATES},
    ),
    "invert_cdf": (invert_cdf, {"uniform": shares(3).float(), "cumulative": shares(2, 4), "which": STATES}),
    "derived_ids": (derived_ids, {"ids": IDS, "number": STATES}),
    "lookup": (lookup, {"table": shares(S, N + 1), "rows": STATES, "columns": SLATES}),
    "first_true": (first_true, {"flags": SLATES > 0}),
    "clicked_rows": (clicked_rows, {"state": STATES, "slate": SLATES, "click": STATES, "num_items": N}),
    "session": (
        lambda state, slate, ids: SESSION.step(state, slate, draws(ids, 0), Sites()),
        {"state": STATES, "slate": SLATES, "ids": IDS},
    ),
    "session, watched": (
        lambda state, slate, ids: SESSION.step(state, slate, draws(ids, 0), Sites(record=lambda *_: None)),
        {"state": STATES, "slate": SLATES, "ids": IDS},
    ),
    "epidemic": (
        lambda stage, action, ids: SEIR(CONTACTS).step(STAGE._replace(stage=stage), action, draws(ids, 0), Sites()),
        {"stage": STAGE.stage, "action": torch.zeros(9, dtype=torch.int64), "ids": torch.arange(9)},
    ),
    "adoption": (
        lambda adopted, exposure, nudge, ids: Adoption(CONTACTS).step(
            ADOPTED._replace(adopted=adopted, exposure=exposure), nudge, draws(ids, 0), Sites()
        ),
        {**ADOPTED._asdict(), "nudge": torch.zeros(9), "ids": torch.arange(9)},
    ),
    "CascadingVI": (lambda **log: CascadingVI(MDP.reward, M, MDP.horizon, 9).learn(log_of(**log)), LOGGED),
    "CascadingBPI": (lambda **log: CascadingBPI(MDP.reward, M, MDP.horizon, 0.5).learn(log_of(**log)), LOGGED),
    "AdaptVI": (lambda **log: AdaptVI(S, N, M, MDP.horizon, 9).learn(log_of(**log)), LOGGED),
    "CTS": (lambda **log: CTS(N, M).learn(log_of(**log)), LOGGED),
    "count_feedback": (lambda num_items, **log: count_feedback(log_of(**log), num_items), {**LOGGED, "num_items": N}),
    "abduct": (lambda **log: abduct(SESSION, log_of(**log)), LOGGED),
    "act": (
        lambda observation, ids, step: CascadingVI(MDP.reward, M, MDP.horizon, 9).act(
            observation, None, draws(ids, step)
        ),
        {"observation": STATES, "ids": IDS, "step": 1},
    ),
    "Table": (
        lambda actions, observation, ids, step: Table(actions).act(observation, None, draws(ids, step)),
        {"actions": torch.zeros(2, S, M, dtype=torch.int64), "observation": STATES, "ids": IDS, "step": 1},
    ),
    "learn_in": (
        lambda reward, length, horizon, num_episodes: learn_in(
            MDP, CascadingVI(reward, length, horizon, 9), num_episodes
        ),
        {"reward": MDP.reward, "length": M, "horizon": MDP.horizon, "num_episodes": 3},
    ),
    "best_permutation": (
        best_permutation,
        {"attraction": shares(2, 4), "value": shares(2, 4), "no_click": shares(2), "length": 2},
    ),
    "optimal_values": (
        lambda attraction, transition, reward: optimal_values(
            replace(MDP, attraction=attraction, transition=transition, reward=reward)
        ),
        {"attraction": MDP.attraction, "transition": MDP.transition, "reward": MDP.reward},
    ),
    "play": (lambda **counts: bandit(CTS, **counts), {"clicks": torch.ones(4).double(), "examined": shares(4) + 2}),
    "play, KL": (
        lambda **counts: bandit(CascadeKLUCB, **counts),
        {"clicks": torch.ones(4).double(), "examined": shares(4) + 2},
    ),
    "beta": (lambda ids, a, b: beta(draws(ids, 0), "x", a, b), {"ids": IDS, "a": 1 + shares(4), "b": 1 + shares(4)}),
    "kl_upper_bound": (kl_upper_bound, {"mean": shares(4), "budget": shares(4)}),
}

FAR = (-1, -7, 5, 99, 10**6, 2**31, 2**62, -(2**63))
FLOATS = (float("nan"), float("inf"), -1.0, 2.5, 1e30, -0.5)


def spoilt(value, chance):
    """Another value in the place of a good one."""
    if not isinstance(value, torch.Tensor):
        return chance.choice(
            [value, 0, -1, 10**6, 2.5, float("nan"), "3", None, True, np.int64(2), [1], torch.tensor(2)]
        )
    flat = value.clone(memory_format=torch.contiguous_format)
    how = chance.randrange(13)
    if how == 0 and len(value):
        return value[:-1]
    if how == 1:
        return torch.cat([value, value, value])
    if how == 2:
        return value[:0]
    if how == 3:
        return value.to(
            chance.choice([torch.int8, torch.int32, torch.float16, torch.bfloat16, torch.float32, torch.bool])
        )
    if how == 4:
        return value[..., None]
    if how == 5:
        return value.flatten() if value.dim() > 1 else value[None]
    if how == 6:
        return chance.choice([value.numpy(), value.tolist(), None, "three", 1, {"a": value}])
    if how == 7:
        return value[..., :1] if value.dim() > 1 else value.flip(0)
    if how == 8:
        return value.expand(2, *value.shape)[0].movedim(0, -1)
    if flat.numel() and flat.dtype != torch.bool:
        numbers = (
            FLOATS
            if flat.is_floating_point()
            else [x for x in FAR if torch.iinfo(flat.dtype).min <= x <= torch.iinfo(flat.dtype).max]
        )
        for _ in range(chance.choice([1, 1, flat.numel()])):
            flat.view(-1)[chance.randrange(flat.numel())] = chance.choice(numbers)
    return flat


def attempt(door, chance):
    """One call with arguments of which some do not fit; the error, or None."""
    function, good = DOORS[door]
    names = chance.sample(sorted(good), min(len(good), chance.choice([1, 1, 2])))
    arguments = {name: spoilt(value, chance) if name in names else value for name, value in good.items()}
    try:
        function(**arguments)
    except CLEAR as error:
        return error
    return None


def main(seed, tries):
    """So many attempts at each door, whose number is printed before each, so that a crash says where it was."""
    for door, (function, good) in DOORS.items():
        print(door, "good", flush=True)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        function(**good)
        for k in range(tries):
            print(door, k, flush=True)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            error = attempt(door, random.Random(f"{seed} {door} {k}"))
            if error is not None and not str(error):
                traceback.print_exception(error)
                sys.exit(f"{door} {k}: an error without a word")
    faulthandler.cancel_dump_traceback_later()
    print("done", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
