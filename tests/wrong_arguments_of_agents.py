"""Doors of agents, with arguments that no caller can mean."""

import math
from dataclasses import replace

import torch
from wrong_arguments import COUNT, FUNCTION, LIST, MDP, PLAYED, RATE, SEED, SESSION, SHARE, WHATEVER, Door

from ethogram import simulator
from ethogram.agents import bandits, cascading, citizens, llm_citizens, simple
from ethogram.envs import sessions
from ethogram.simulator import Draws

PLAN = simple.Table(cascading.optimal_values(MDP)[1])
U, W = torch.rand(5, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
VI = {"reward": MDP.reward, "length": 2, "horizon": 6, "num_episodes": 10}
BEST = {"attraction": U, "value": W, "no_click": 0.1, "length": 2}
ITEMS = torch.rand(6, 2, dtype=torch.float64)
PERSON = citizens.Routine()
SEEN = ({"age": torch.arange(20)}, torch.arange(40).view(20, 2) % 3 % 2)  # and what was done


def _played(action):
    return simulator.rollout(SESSION, simple.Fixed(action), rows=2, horizon=2)


def _years(seen):
    return {"age": seen["age"]}


def _all(questions):
    return [(0.5, 0.5)] * len(questions)


def _fit(data, seed):
    return PERSON


OF_AGENTS = [
    Door(
        "CascadingSession.step",
        lambda slate: simulator.rollout(SESSION, simple.Fixed(slate), rows=2, horizon=2),
        {"slate": [0, 1]},
        {"slate": ([0, 99], [-3, 0], [0.5, 1.0], [0, 0], 0)},
    ),
    Door("Fixed", _played, {"action": [0, 1]}, {"action": ("abc", None, {})}),
    Door("Table", simple.Table, {"actions": PLAN.actions}, {"actions": (3, "abc", None)}),
    Door(
        "UniformSlates",
        simple.UniformSlates,
        {"num_items": 6, "length": 2},
        {"num_items": COUNT, "length": (*COUNT, 7)},
    ),
    Door(
        "PlackettLuce",
        simple.PlackettLuce,
        {"scores": torch.rand(2, 6), "length": 2},
        {"scores": ("abc", 3), "length": COUNT},
    ),
    Door(
        "CascadingVI",
        cascading.CascadingVI,
        VI,
        {
            "reward": ("abc", 3, torch.full((2, 6), math.nan, dtype=torch.float64)),
            "length": (*COUNT, 7),
            "horizon": COUNT,
            "num_episodes": COUNT,
            "delta": (-0.1, 1.5, math.nan, "a"),
            "bonus_scale": (-1.0, math.nan, "a"),
            "oracle": ("best", 3),
        },
    ),
    Door(
        "CascadingVI.learn",
        lambda history: cascading.CascadingVI(**VI).learn(history),
        {"history": None},
        {
            "history": (
                None,
                3,
                replace(PLAYED, length=PLAYED.length + 99),
                simulator.rollout(SESSION, LIST, rows=1, horizon=6),
            )
        },
    ),
    Door(
        "learn_in",
        cascading.learn_in,
        {"mdp": MDP, "agent": cascading.CascadingVI(**VI), "num_episodes": 3},
        {"mdp": WHATEVER, "agent": WHATEVER, "num_episodes": COUNT, "seed": SEED},
    ),
    Door(
        "best_permutation",
        cascading.best_permutation,
        BEST,
        {
            "attraction": ("abc", U[1:], U.float(), U * 9, U * math.nan),
            "value": ("abc", W[1:], W.float(), W * math.nan),
            "no_click": ("a", math.nan, math.inf),
            "length": (*COUNT, 9),
        },
    ),
    Door("optimal_values", cascading.optimal_values, {"mdp": MDP}, {"mdp": WHATEVER}),
    Door(
        "policy_value",
        cascading.policy_value,
        {"mdp": MDP, "slates": PLAN.actions},
        {"mdp": WHATEVER, "slates": ("abc", PLAN.actions[1:], PLAN.actions + 9, PLAN.actions.double())},
    ),
    Door(
        "CascadeUCB1", bandits.CascadeUCB1, {"num_items": 6, "length": 2}, {"num_items": COUNT, "length": (*COUNT, 7)}
    ),
    Door(
        "play",
        bandits.play,
        {
            "agent": bandits.CascadeUCB1(6, 2),
            "bandit": sessions.cascading_bandit(torch.rand(6, dtype=torch.float64), 2),
            "num_rounds": 3,
        },
        {"agent": WHATEVER, "bandit": WHATEVER, "num_rounds": COUNT, "seed": SEED},
    ),
    Door(
        "kl_upper_bound",
        bandits.kl_upper_bound,
        {"mean": torch.rand(3, dtype=torch.float64), "budget": torch.rand(3, dtype=torch.float64)},
        {
            "mean": ("abc", torch.full((3,), 1.5), torch.full((3,), math.nan)),
            "budget": ("abc", torch.full((3,), -1.0), torch.rand(4)),
        },
    ),
    Door(
        "Heuristic",
        citizens.Heuristic,
        {},
        {"when_ill": SHARE[:4], "most": SHARE[:4], "period": COUNT, "half": (-1.0, math.nan, "a")},
    ),
    Door("Routine", citizens.Routine, {}, {"isolate": SHARE[:4], "work": SHARE[:4], "period": COUNT}),
    Door("optimal MDP", cascading.myopic_policy, {"mdp": MDP}, {"mdp": WHATEVER}),
    Door("state_free_policy", cascading.state_free_policy, {"mdp": MDP}, {"mdp": WHATEVER}),
    Door(
        "CascadingBPI",
        cascading.CascadingBPI,
        {"reward": MDP.reward, "length": 2, "horizon": 6, "epsilon": 0.5},
        {
            "reward": ("abc", 3),
            "length": (*COUNT, 7),
            "horizon": COUNT,
            "epsilon": (0, *RATE),
            "delta": (0, *SHARE),
            "initial": (*COUNT, 2),
        },
    ),
    Door(
        "AdaptVI",
        cascading.AdaptVI,
        {"num_states": 2, "num_items": 4, "length": 2, "horizon": 3, "num_episodes": 5},
        {
            "num_states": COUNT,
            "num_items": COUNT,
            "length": (*COUNT, 5),
            "horizon": COUNT,
            "num_episodes": COUNT,
            "delta": SHARE,
        },
    ),
    Door("CascadeUCBV", bandits.CascadeUCBV, {"num_items": 6, "length": 2}, {"margin": RATE}),
    Door(
        "CascadeLinUCB",
        bandits.CascadeLinUCB,
        {"length": 2, "features": ITEMS, "num_rounds": 5},
        {
            "length": (*COUNT, 7),
            "features": ("abc", ITEMS[0], ITEMS.float()),
            "num_rounds": COUNT,
            "noise": (0, *RATE),
        },
    ),
    Door("CascadeLinTS", bandits.CascadeLinTS, {"length": 2, "features": ITEMS}, {"features": ("abc",), "noise": RATE}),
    Door(
        "LinTSCascade",
        bandits.LinTSCascade,
        {"length": 2, "features": ITEMS, "exploration": 0.1},
        {"exploration": RATE, "subgaussian": RATE},
    ),
    Door(
        "svd_features",
        bandits.svd_features,
        {"clicks": torch.eye(4), "num_features": 2, "length": 2},
        {"clicks": ("abc", torch.ones(4), torch.zeros(4, 4)), "num_features": (*COUNT, 5), "length": COUNT},
    ),
    Door(
        "decide",
        citizens.decide,
        {"probability": torch.full((4, 2), 0.5), "draws": Draws(0, torch.arange(4))},
        {
            "probability": ("abc", torch.rand(4, 3), torch.full((4, 2), 1.5), torch.full((4, 2), math.nan)),
            "draws": WHATEVER,
            "period": COUNT,
        },
    ),
    Door(
        "Logits",
        citizens.Logits,
        {"features": _years, "isolate": {}, "work": {"age": 0.1}},
        {"features": FUNCTION, "isolate": (3, {"age": "a"}), "work": (3, {"age": math.nan}), "period": COUNT},
    ),
    Door(
        "Logits.fit",
        citizens.Logits.fit,
        {"data": SEEN, "features": _years},
        {"data": WHATEVER, "features": FUNCTION, "period": COUNT},
    ),
    Door(
        "Perceptron.fit",
        citizens.Perceptron.fit,
        {"data": SEEN, "features": _years, "epochs": 1},
        {
            "data": WHATEVER,
            "features": FUNCTION,
            "hidden": (16, (0,), (2.5,), "abc"),
            "epochs": COUNT,
            "batch": COUNT,
            "rate": (0, *RATE),
            "seed": SEED,
            "period": COUNT,
        },
    ),
    Door("Answers", citizens.Answers, {"answer": len}, {"answer": FUNCTION, "path": (3,), "times": (0, *COUNT)}),
    Door(
        "Archetypes",
        citizens.Archetypes,
        {"answers": citizens.Answers(len), "by": {"age": [18]}},
        {
            "answers": WHATEVER,
            "by": (3, {"age": 3}, {"age": []}, {"age": ["a"]}, {"age": [math.nan]}),
            "period": COUNT,
            "budget": (0, *COUNT),
        },
    ),
    Door("Committee", llm_citizens.Committee, {"members": [PERSON, PERSON]}, {"members": (3, None, [], [PERSON])}),
    Door(
        "distil",
        llm_citizens.distil,
        {
            "answers": citizens.Answers(_all),
            "by": {"age": [9]},
            "crowds": [SEEN[0]],
            "calls": 2,
            "rounds": 1,
            "fit": _fit,
        },
        {
            "answers": WHATEVER,
            "by": (3, {"age": 3}),
            "crowds": (3, None, []),
            "calls": COUNT,
            "fit": FUNCTION,
            "members": (1, *COUNT),
            "rounds": (0, *COUNT),
            "seed": SEED,
        },
    ),
    Door(
        "Distilled",
        llm_citizens.Distilled,
        {
            "answers": citizens.Answers(len),
            "by": {"age": [18]},
            "committee": llm_citizens.Committee([PERSON, PERSON]),
        },
        {
            "answers": WHATEVER,
            "by": (3, {"age": 3}),
            "committee": WHATEVER,
            "doubtful": COUNT,
            "audited": (1, *COUNT),
            "period": (0, *COUNT),
            "uniform": (0, *SHARE[:3]),
            "audits": WHATEVER,
        },
    ),
    Door(
        "prediction_powered",
        llm_citizens.prediction_powered,
        {"answered": [0.1, 0.2, 0.4], "predicted": [0.2, 0.2, 0.2], "everybody": 0.3},
        {
            "answered": ("abc", [0.1], [math.nan, 0.1, 0.2]),
            "predicted": ("abc", [0.1], None),
            "everybody": (math.nan, "a"),
            "weight": ("abc", [1.0]),
            "power": (math.nan, "a"),
        },
    ),
    Door(
        "conformal_bound",
        llm_citizens.conformal_bound,
        {"errors": [0.1, 0.2, 0.4]},
        {"errors": ("abc", None, 0.1), "weight": ("abc", [1.0]), "most": RATE, "level": SHARE[:3]},
    ),
    Door("Answering", llm_citizens.Answering, {"model": None}, {"model": WHATEVER}),
    Door(
        "Profiles",
        llm_citizens.Profiles,
        {"citizens": PERSON, "columns": {}},
        {"citizens": WHATEVER, "columns": WHATEVER},
    ),
    Door("LastPeriod", llm_citizens.LastPeriod, {"citizens": PERSON}, {"citizens": WHATEVER, "period": (0, *COUNT)}),
    Door("Relaxed", citizens.Relaxed, {"citizens": citizens.Heuristic()}, {"citizens": (*WHATEVER, LIST)}),
]
