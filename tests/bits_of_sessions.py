"""Cases of ``test_same_bits.py``: sessions, the agents that act in them, and experiments with both."""

import contextlib
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import by_hand
import torch
from bits import CASES, SAME_AS, arrays_of, case, rough, same_as

import ethogram.envs  # noqa: F401  registers the ids
from ethogram.agents.bandits import (
    CTS,
    CascadeKLUCB,
    CascadeLinTS,
    CascadeLinUCB,
    CascadeUCB1,
    CascadeUCBV,
    LinTSCascade,
    TSCascade,
    play,
)
from ethogram.agents.cascading import (
    AdaptVI,
    CascadingBPI,
    CascadingVI,
    best_permutation,
    learn_in,
    myopic_policy,
    optimal_values,
    policy_value,
    state_free_policy,
)
from ethogram.agents.simple import Fixed, PlackettLuce, Replay, Table, UniformSlates
from ethogram.envs.choices import Choosing
from ethogram.envs.clicks import ClickLog
from ethogram.envs.datasets import session_mdp
from ethogram.envs.sessions import (
    CascadingSession,
    FlatSlates,
    click_rate_by_position,
    click_rate_by_step,
    good_medium_bad,
    item_share,
    movielens_formula,
    trap,
    two_level_bandit,
)
from ethogram.simulator.draws import Draws
from ethogram.simulator.history import History
from ethogram.simulator.ope import iips, position_propensity, prefix_propensity, rips, rounds
from ethogram.simulator.rollout import episodes, rollout
from ethogram.simulator.sites import Do
from ethogram.simulator.whatif import Setup, abduct, contrast, ensemble, mean_return, session_length, state_share, total

# ---- sessions

TRAP, UNIFORM = CascadingSession(trap()), UniformSlates(6, 2)
SESSIONS = {"rows": 40, "horizon": 6, "seed": 7}


@case
def session():
    return rollout(TRAP, UNIFORM, **SESSIONS)


@same_as("session")
def session_watched():
    history = rollout(TRAP, UNIFORM, record="all", **SESSIONS)
    return {name: array for name, array in arrays_of(history).items() if name not in history.sites}


@case
def sessions_of_some():
    return rollout(TRAP, UNIFORM, record="all", **SESSIONS)[torch.tensor([3, 30])]


@same_as("sessions of some")
def sessions_of_some_alone():
    return rollout(TRAP, UNIFORM, record="all", **SESSIONS | {"rows": torch.tensor([3, 30])})


@case
def session_with_all_sites():
    return rollout(TRAP, by_hand.ShortLists(), record="all", **SESSIONS)


@case
def session_with_interventions():
    changes = [
        Do("attraction", lambda p: p / 2, start=1, who=torch.arange(40) % 3 == 0),
        Do("click", 0, start=2, stop=4, who=torch.arange(40) < 9),
        Do("state", lambda s: 1 - s, start=3, stop=5),
        Do("action", torch.tensor([5, 1]), start=5),
        Do("observation", 1, stop=2),
        Do("reward", lambda r: r * 2, start=4),
    ]
    return rollout(TRAP, PlackettLuce(by_hand.table(2, 6, high=3), 2), interventions=changes, record="all", **SESSIONS)


@case
def sessions_of_other_instances():
    worlds = {
        "moods": good_medium_bad(9),
        "formula": movielens_formula(5, 8, 0.5),
        "bandit": two_level_bandit(6, 3, 0.1),
    }
    run = {name: (CascadingSession(mdp), UniformSlates(mdp.num_items, 3)) for name, mdp in worlds.items()}
    return {name: arrays_of(rollout(*pair, rows=30, horizon=4, seed=-3)) for name, pair in run.items()}


@case
def flat_slates():
    world = FlatSlates(CascadingSession(good_medium_bad(5)))
    return rollout(world, by_hand.Codes(world.action_space), record=["click"], **SESSIONS)


@case
def movielens_sessions():
    model = session_mdp(by_hand.movielens(), num_states=3, num_items=6, length=2, horizon=5, window=3)
    history = rollout(CascadingSession(model.mdp), UNIFORM, record=["click"], **SESSIONS)
    numbers = {"attraction": model.mdp.attraction, "transition": model.mdp.transition, "profiles": model.profiles}
    return rough(numbers) | arrays_of(history)


def clicked_by(model):
    world, run = CascadingSession(trap(), user=model), {"record": ["attraction", "clicks", "click"], **SESSIONS}
    log = ClickLog.of(history := rollout(world, by_hand.ShortLists(), **run))
    chances = model.click_probability(log.state, log.slates), model.conditional_click_probability(log)
    changed = rollout(world, UNIFORM, interventions=[Do("attraction", 0.5, start=2)], **run)
    both = {"history": arrays_of(history), "changed": arrays_of(changed)}
    return arrays_of(both) | rough(dict(zip(("marginal", "conditional"), chances, strict=True)))


CASES |= {f"clicks of {type(model).__name__}": partial(clicked_by, model) for model in by_hand.CLICK_MODELS}


def fitted(model):
    """Estimates from the clicks of the model itself, and how well they predict."""
    run = {"rows": 60, "horizon": 6, "seed": 8, "record": ["clicks"]}
    log = ClickLog.of(rollout(CascadingSession(trap(), user=model), by_hand.ShortLists(), **run))
    fit = type(model).fit(log, 2, 6)
    surprise = fit.perplexity(log)
    numbers = {"perplexity": surprise.by_position, "likelihood": fit.log_likelihood(log)}
    return rough(numbers | {name: torch.as_tensor(value) for name, value in vars(fit).items() if value is not None})


CASES |= {f"fit of {type(model).__name__}": partial(fitted, model) for model in by_hand.CLICK_MODELS}


@case
def outcomes_and_estimates():
    scores = by_hand.table(2, 6, high=3)
    history = rollout(TRAP, PlackettLuce(scores, 2), record=["click"], **SESSIONS)
    found = {"return": mean_return(history, 0.9), "by step": click_rate_by_step(history)}
    found |= {"by position": click_rate_by_position(history), "item": item_share(history, 6)}
    found |= {"state": state_share(history, 2), "length": session_length(history), "total": total(history, "click")}
    log = rounds(history)
    other = PlackettLuce(scores.flip(1), 2)
    logged, wanted = (p.scores_in(log.observation) for p in (PlackettLuce(scores, 2), other))
    for estimate, chance in ((iips, position_propensity), (rips, prefix_propensity)):
        value = estimate(log.reward, chance(logged, log.action), chance(wanted, log.action), unit=log.unit)
        found |= {f"{estimate.__name__}.value": value.value, f"{estimate.__name__}.stderr": value.stderr}
    return rough(found)


# ---- agents


def learnt(make, mdp):
    """What an agent does in each episode, and its plan and curve after a compiled run."""
    shown = [h.action[0] for h in episodes(CascadingSession(mdp), make(), 12, horizon=mdp.horizon, seed=1)]
    agent = make()
    curve = learn_in(mdp, agent, 60, seed=1)
    states = torch.arange(mdp.num_states)
    plan = torch.stack([agent.act(states, None, Draws(0, states, step)) for step in range(mdp.horizon)])
    floats = {"value": curve.value, "upper": curve.upper, "error": curve.error, "regret": curve.regret}
    return arrays_of({"shown": torch.stack(shown), "plan": plan}) | rough(floats)


def vi(**settings):
    mdp = trap()
    return learnt(lambda: CascadingVI(mdp.reward, 2, 6, 60, bonus_scale=0.1, **settings), mdp)


for _setting in ({}, {"variance_aware": False}, {"oracle": "exhaustive"}, {"strict_paper": True}, {"tightened": False}):
    CASES[f"CascadingVI {_setting or ''}".strip()] = partial(vi, **_setting)
CASES["CascadingBPI"] = lambda: learnt(lambda: CascadingBPI(trap().reward, 2, 6, 0.5), trap())
CASES["AdaptVI"] = lambda: learnt(lambda: AdaptVI(2, 6, 2, 6, 60), trap())
BANDIT = two_level_bandit(8, 3, 0.15, best=0.5)


def bandit_by_episodes(agent, rounds=60):
    world = CascadingSession(BANDIT)
    shown = [h.action[0, 0] for h in episodes(world, agent, rounds, horizon=1, seed=3)]
    return {"shown": torch.stack(shown), "clicks": agent.clicks, "examined": agent.examined}


def bandit_by_play(agent):
    return {"shown": play(agent, BANDIT, 60, seed=3), "clicks": agent.clicks, "examined": agent.examined}


for _kind in (CascadeUCB1, CascadeKLUCB, CascadeUCBV, TSCascade, CTS):
    CASES[_kind.__name__] = lambda kind=_kind: bandit_by_episodes(kind(8, 3))
    SAME_AS[f"{_kind.__name__} by play"] = (_kind.__name__, lambda kind=_kind: bandit_by_play(kind(8, 3)))
for _kind, _more in ((CascadeLinUCB, {"num_rounds": 60}), (CascadeLinTS, {}), (LinTSCascade, {"exploration": 0.1})):
    _settings = {"length": 3, "features": by_hand.table(8, 3, low=-1, high=1), **_more}
    CASES[_kind.__name__] = lambda kind=_kind, settings=_settings: bandit_by_episodes(kind(**settings))


@case
def plans():
    mdp = good_medium_bad(9)
    value, slates = optimal_values(mdp)
    lists = {"best": slates, "myopic": myopic_policy(mdp), "state free": state_free_policy(mdp)}
    floats = {"value": value, "of myopic": policy_value(mdp, lists["myopic"])}
    lists["one"], floats["worth"] = best_permutation(by_hand.table(4, 7), by_hand.table(4, 7, step=5), 0.2, 3)
    table = rollout(CascadingSession(mdp), Table(slates), rows=20, horizon=3, seed=1)
    scores = by_hand.table(5, 7, high=3)
    few = torch.arange(15).reshape(5, 3) % 7
    floats |= {"prefix": prefix_propensity(scores, few), "position": position_propensity(scores, few)}
    return arrays_of(lists) | rough(floats) | arrays_of(table)


# ---- experiments


def clicks_by_step(history):
    return history.reward.mean(0)


WEAKER = [Do("attraction", lambda p: 0.8 * p, start=3)]
SETUP = Setup(TRAP, UNIFORM, rows=16, horizon=6)


@case
def ensemble_of_scenarios():
    scenarios = {"factual": (), "late": WEAKER}
    return dict(ensemble(SETUP, outcome=clicks_by_step, seeds=range(3), scenarios=scenarios).values)


@case
def contrasts():
    changes = {"site": WEAKER, "policy": replace(SETUP, policy=Fixed([3, 4]))}
    changes["world"] = replace(SETUP, world=replace(TRAP, mdp=replace(trap(), reward=trap().reward / 2)))
    found = {name: contrast(SETUP, new, outcome=clicks_by_step, seeds=range(3)) for name, new in changes.items()}
    return {name: {"factual": e.factual, "counterfactual": e.counterfactual} for name, e in found.items()}


@case
def abducted():
    log = rollout(TRAP, by_hand.ShortLists(), record=["click"], **SESSIONS)
    luck = abduct(TRAP, log, seed=2)
    again = rollout(TRAP, Replay(log), rows=log.ids, horizon=6, draws=luck, interventions=WEAKER, record=["click"])
    drawn = {"state": luck.at(2).uniform("state"), "attracted": luck.at(1).uniform("attracted", 6)}
    return drawn | arrays_of(again)


@case
def people_who_choose():
    return rough(rollout(Choosing(temperature=0.5), Fixed(1), rows=20, horizon=4, seed=7, record="all"))


READING = {"world": by_hand.Reading(), "policy": by_hand.Turns(), "horizon": 9, "seed": 3, "record": "all"}


@case
def rows_that_end():
    return rollout(**READING, rows=12)


@case
def a_row_among_many():
    row = rollout(**READING, rows=12)[5:6]
    return row[:, : int(row.length)]


@same_as("a row among many")
def a_row_alone():
    return rollout(**READING, rows=torch.tensor([5]))


def saved_and_loaded(suffix):
    with tempfile.TemporaryDirectory() as folder:
        rollout(**READING, rows=12).save(Path(folder) / f"run{suffix}")
        return History.load(Path(folder) / f"run{suffix}")


def resumed(run):
    """A run that was killed at step 4, and went on from its checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        run |= {"policy": by_hand.Dies(run["policy"], 4), "checkpoint": Path(folder) / "run", "checkpoint_every": 0}
        with contextlib.suppress(KeyboardInterrupt):
            rollout(**run)
        return rollout(**run)


SAME_AS["rows that end, from parquet"] = ("rows that end", partial(saved_and_loaded, ".parquet"))
SAME_AS["rows that end, from npz"] = ("rows that end", partial(saved_and_loaded, ".npz"))
SAME_AS["rows that end, resumed"] = ("rows that end", lambda: resumed({**READING, "rows": 12}))
