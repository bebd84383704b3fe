"""Doors of ethogram.envs and ethogram.agents, with arguments that no caller can mean."""

import math
from dataclasses import replace

import torch
from wrong_arguments import (
    CONTACTS,
    COUNT,
    LAYERS,
    LIST,
    MDP,
    PERSONS,
    PLAYED,
    RATE,
    SEED,
    SESSION,
    SHARE,
    WHATEVER,
    Door,
    tensors,
)

from ethogram import simulator
from ethogram.agents import bandits, cascading, citizens, simple
from ethogram.envs import adoption, clicks, epidemics, people, sessions

PLAN = simple.Table(cascading.optimal_values(MDP)[1])
U, W = torch.rand(5, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
LOG = clicks.ClickLog.of(PLAYED)
VI = {"reward": MDP.reward, "length": 2, "horizon": 6, "num_episodes": 10}
BEST = {"attraction": U, "value": W, "no_click": 0.1, "length": 2}
SESSION_MDP = {name: getattr(MDP, name) for name in ("attraction", "transition", "reward", "length", "horizon")}

OF_ROOMS = [
    # ---- sessions
    Door(
        "CascadingMDP",
        sessions.CascadingMDP,
        SESSION_MDP,
        {
            "attraction": tensors(2, 6),
            "transition": tensors(2, 7, 2),
            "reward": tensors(2, 6),
            "length": COUNT,
            "horizon": COUNT,
            "initial": (-1, 9, 0.5, "0"),
        },
    ),
    Door("CascadingSession", sessions.CascadingSession, {"mdp": MDP}, {"mdp": WHATEVER, "user": (3, "abc")}),
    Door("Slates", sessions.Slates, {"num_items": 6, "length": 2}, {"num_items": COUNT, "length": (*COUNT, 7)}),
    Door(
        "cascading_bandit",
        sessions.cascading_bandit,
        {"attraction": torch.rand(6, dtype=torch.float64), "length": 2},
        {"attraction": ("abc", torch.full((6,), 1.5), torch.full((6,), math.nan)), "length": COUNT},
    ),
    # ---- click models
    Door(
        "ClickLog",
        clicks.ClickLog,
        {"state": LOG.state, "slates": LOG.slates, "clicks": LOG.clicks},
        {
            "state": ("abc", LOG.state[1:], LOG.state - 9),
            "slates": ("abc", LOG.slates[1:], LOG.slates - 9),
            "clicks": ("abc", LOG.clicks[1:], LOG.clicks[:, :1]),
        },
    ),
    Door(
        "PBM.fit",
        clicks.PBM.fit,
        {"log": LOG, "num_states": 2, "num_items": 6},
        {
            "log": WHATEVER,
            "num_states": (*COUNT, 1),
            "num_items": (*COUNT, 1),
            "iterations": COUNT,
            "prior": (-1.0, math.nan, "a"),
            "tolerance": (-1.0, math.nan, "a"),
        },
    ),
    # ---- populations
    Door(
        "Adoption",
        adoption.Adoption,
        {"contacts": CONTACTS},
        {
            "contacts": WHATEVER,
            "intercept": (math.nan, "a", torch.zeros(31)),
            "peer_effect": (math.nan, "a"),
            "churn": SHARE,
            "initial": SHARE,
        },
    ),
    Door(
        "SEIR",
        epidemics.SEIR,
        {"contacts": CONTACTS},
        {
            "contacts": WHATEVER,
            "transmission": RATE,
            "onset_rate": RATE,
            "recovery_rate": RATE,
            "initial": (-0.1, 1.5, math.nan, "a", torch.rand(31)),
        },
    ),
    Door(
        "Epidemic",
        epidemics.Epidemic,
        {"layers": LAYERS, "age": PERSONS["age"], "area": PERSONS["area"]},
        {
            "layers": (None, 3, "abc", {}, {"home": 3}),
            "age": ("abc", PERSONS["age"][1:], PERSONS["age"].double() * math.nan),
            "area": ("abc", PERSONS["area"][1:], PERSONS["area"] - 99),
            "initial": (-0.1, 1.5, math.nan, "a"),
            "disease": WHATEVER,
        },
    ),
    Door(
        "Disease",
        epidemics.Disease,
        {},
        {
            "reproduction": RATE,
            "susceptibility": ("abc", (1.0,), (math.nan,) * 9, (-1.0,) * 9),
            "generation": ("a", ()),
        },
    ),
    Door(
        "Measures",
        epidemics.Measures,
        {},
        {
            "vaccination": SHARE[:4],
            "confirmation": SHARE[:4],
            "vaccine_delay": COUNT,
            "quarantine_days": COUNT,
            "announced": COUNT,
            "vaccine_against_infection": SHARE[:4],
        },
    ),
    Door(
        "Economy",
        epidemics.Economy,
        {},
        {
            "working_age": ((65, 18), 18, ("a", "b"), (18,)),
            "unemployed_at_start": SHARE[:4],
            "separation": SHARE[:4],
            "hiring": SHARE[:4],
            "benefit": (-1.0, math.nan, "a"),
        },
    ),
    Door(
        "synthetic_city",
        people.synthetic_city,
        {"num_people": 60},
        {"num_people": COUNT, "num_areas": COUNT, "seed": SEED},
    ),
    Door("city_layers", people.city_layers, {"people": PERSONS}, {"people": WHATEVER, "daily": SHARE, "seed": SEED}),
    Door(
        "from_archetypes",
        people.from_archetypes,
        {"archetypes": {"a": {"age": 30}, "b": {"age": 50}}, "shares": {"a": 0.5, "b": 0.5}, "num_people": 20},
        {
            "archetypes": (3, {}, {"a": 3}),
            "shares": (3, {"a": 1.0}, {"a": -1.0, "b": 2.0}, {"a": math.nan, "b": 0.5}, {"a": "x", "b": 0.5}),
            "num_people": COUNT,
            "seed": SEED,
        },
    ),
    Door(
        "from_marginals",
        people.from_marginals,
        {"marginals": {"sex": {"f": 10, "m": 10}}, "num_people": 20},
        {
            "marginals": (3, {}, {"sex": {"f": -1, "m": 21}}, {"sex": {"f": math.nan}}),
            "num_people": COUNT,
            "seed": SEED,
        },
    ),
    Door("from_table", people.from_table, {"table": None}, {"table": (3, "no such file.csv")}),
    # ---- agents
    Door(
        "Fixed",
        lambda action: simulator.rollout(SESSION, simple.Fixed(action), rows=2, horizon=2),
        {"action": [0, 1]},
        {"action": ([0, 99], [-3, 0], [0.5, 1.0], "abc", None, [0, 0], 0)},
    ),
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
                PLAYED,
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
]
