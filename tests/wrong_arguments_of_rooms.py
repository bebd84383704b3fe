"""Doors of worlds, people and logs, with arguments that no caller can mean."""

import math

import torch
from wrong_arguments import (
    CONTACTS,
    COUNT,
    LAYERS,
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
from wrong_arguments_of_agents import OF_AGENTS

from ethogram import simulator
from ethogram.agents import simple
from ethogram.envs import adoption, clicks, datasets, epidemics, people, sessions
from ethogram.simulator import networks

LOG = clicks.ClickLog.of(PLAYED)
VISITS = datasets.SessionLog.of(PLAYED)
PBM = clicks.PBM.fit(LOG, 2, 6, iterations=1000, tolerance=1e-12)
SESSION_MDP = {name: getattr(MDP, name) for name in ("attraction", "transition", "reward", "length", "horizon")}
SHOWN = {"who": [1, 1, 2], "when": [0, 0, 0], "what": ["a", "b", "a"], "clicked": [0, 1, 0]}
COLUMNS = {"source": SHOWN, "session": "who", "item": "what", "click": "clicked"}
SURVEY = {"who": ["ann", "bob"], "age": [30, 40], "weight": [1.0, 2.0]}
NAMED = people.from_table(SURVEY, id="who")
KNOWN = networks.Contacts.from_edges(["ann"], ["bob"])
SWAPPED = KNOWN.along(["bob", "ann"])
CITY = epidemics.Epidemic(LAYERS, PERSONS["age"], PERSONS["area"], initial=0.1)
ILL = simulator.rollout(CITY, simulator.populations.ByRule(epidemics.careful), rows=60, horizon=2, record=["infected"])

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
    Door(
        "FittedSession", datasets.FittedSession, {"mdp": MDP}, {"start": ("abc", [1.0], [0.9, 0.9]), "unit": (0, *RATE)}
    ),
    Door("FlatSlates", sessions.FlatSlates, {"world": SESSION}, {"world": (*WHATEVER, CITY)}),
    Door("DiscreteSlates", sessions.DiscreteSlates, {"world": SESSION}, {"world": (*WHATEVER, CITY)}),
    Door(
        "two_level_bandit",
        sessions.two_level_bandit,
        {"num_items": 6, "length": 2, "gap": 0.1},
        {"num_items": COUNT, "length": (*COUNT, 7), "gap": (*SHARE, 0.3), "best": SHARE},
    ),
    Door("good_medium_bad", sessions.good_medium_bad, {"num_items": 6}, {"num_items": COUNT}),
    Door("click_rate", sessions.click_rate, {"history": PLAYED}, {"history": WHATEVER}),
    Door("click_rate_by_position", sessions.click_rate_by_position, {"history": PLAYED}, {"history": WHATEVER}),
    Door(
        "item_share",
        sessions.item_share,
        {"history": PLAYED, "num_items": 6},
        {"history": WHATEVER, "num_items": COUNT},
    ),
    # ---- click models and logs
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
            "tolerance": (math.nan, "a"),  # below 0 it never ends early
        },
    ),
    Door("ClickLog.of", clicks.ClickLog.of, {"history": PLAYED}, {"history": WHATEVER}),
    Door(
        "ClickLog.from_frame",
        clicks.ClickLog.from_frame,
        COLUMNS,
        {
            "source": (None, 3, "no such file.csv"),
            "session": ("typo",),
            "item": ("typo",),
            "click": ("typo", "what"),
            "position": ("typo", "what"),
            "state": ("typo",),
        },
    ),
    Door("RCM", clicks.RCM, {"rate": 0.5}, {"rate": SHARE}),
    Door(
        "DBN",
        clicks.DBN,
        {"attraction": [[0.5]], "satisfaction": [[0.5]], "continuation": 0.5},
        {"attraction": ("abc", [0.5], [[1.5]]), "satisfaction": ("abc", [0.5], [[math.nan]]), "continuation": SHARE},
    ),
    Door(
        "DBN.fit",
        clicks.DBN.fit,
        {"log": LOG, "iterations": 2},
        {"log": WHATEVER, "continuation": SHARE, "iterations": COUNT},
    ),
    Door(
        "standard_errors",
        clicks.standard_errors,
        {"model": PBM, "log": LOG},
        {"model": WHATEVER, "log": WHATEVER, "prior": RATE, "fixed": (3, ["typo"])},
    ),
    Door(
        "PBM.click_probability",
        PBM.click_probability,
        {"state": LOG.state, "slates": LOG.slates},
        {"state": ("abc", LOG.state + 9), "slates": ("abc", LOG.slates + 9)},
    ),
    Door(
        "SessionLog.from_frame",
        datasets.SessionLog.from_frame,
        {**COLUMNS, "time": "when"},
        {
            "source": (None, 3, "no such file.csv"),
            "session": ("typo",),
            "time": ("typo", "what"),
            "reward": ("typo", "what"),
            "propensity": ("typo", "what"),
        },
    ),
    Door("SessionLog.of", datasets.SessionLog.of, {"history": PLAYED}, {"history": WHATEVER}),
    Door(
        "fit_sessions",
        datasets.fit_sessions,
        {"log": VISITS, "held_out": 0},
        {
            "log": WHATEVER,
            "features": ("abc",),
            "user": (3, "DBN"),
            "horizon": COUNT,
            "memory": (0, 1, *SHARE),
            "strength": (0, *RATE),
            "held_out": (1, *COUNT),
        },
    ),
    Door("session_mdp", datasets.session_mdp, {"data": None}, {"data": WHATEVER}),
    Door("paper_mdp", datasets.paper_mdp, {"ratings": None}, {"ratings": WHATEVER}),
    Door("load_movielens", datasets.load_movielens, {"path": None}, {"path": (3, "no such place")}),
    Door(
        "load_open_bandit",
        datasets.load_open_bandit,
        {"path": None},
        {"path": (3,), "policy": (3, "best"), "campaign": (3, "boys")},
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
    Door(
        "Adoption's nudge",
        lambda nudge: simulator.rollout(adoption.Adoption(CONTACTS), simple.Fixed(nudge), rows=30, horizon=1),
        {"nudge": 0.0},
        {"nudge": (math.nan, [0.0, 0.0])},
    ),
    Door(
        "RelaxedSEIR",
        epidemics.RelaxedSEIR,
        {"contacts": CONTACTS},
        {
            "contacts": WHATEVER,
            "transmission": RATE,
            "onset_rate": RATE,
            "recovery_rate": RATE,
            "initial": (-1, 31, -0.1, 1.5, math.nan, "a", torch.rand(31)),
        },
    ),
    Door("RelaxedEpidemic", epidemics.RelaxedEpidemic, {"city": CITY}, {"city": WHATEVER, "reproduction": RATE}),
    Door(
        "Epidemic of the same people",
        lambda layers: epidemics.Epidemic(layers, NAMED["age"], [0, 0]),
        {"layers": {"one": KNOWN, "two": KNOWN}},
        {"layers": ({"one": KNOWN, "two": SWAPPED}, {"one": KNOWN, "two": CONTACTS})},
    ),
    Door(
        "epidemic_planner_world",
        epidemics.epidemic_planner_world,
        {"num_people": 60},
        {"num_people": COUNT, "world": (3, SESSION), "citizens": (3, "abc")},
    ),
    Door("small_city", epidemics.small_city, {"num_people": 60}, {"num_people": COUNT, "seed": SEED}),
    Door("attack_rate", epidemics.attack_rate, {"history": ILL}, {"history": WHATEVER, "by": ("abc", [0], [0.5] * 60)}),
    Door(
        "join_layers",
        people.join_layers,
        {"people": NAMED, "layers": {"a": KNOWN}},
        {"people": WHATEVER, "layers": (*WHATEVER, {"a": 3}, {"a": CONTACTS})},
    ),
    Door(
        "from_table's options",
        people.from_table,
        {"table": SURVEY},
        {"columns": (3, ["typo"]), "id": (3, "typo"), "labels": (3, {"typo": ["a"]}), "weight": ("typo", "age")},
    ),
    Door(
        "from_table drawn",
        people.from_table,
        {"table": SURVEY, "weight": "weight", "num_people": 5},
        {"num_people": COUNT, "seed": SEED, "weight": ("who",)},
    ),
    Door(
        "Population",
        people.Population,
        {"columns": {"age": [3, 4]}},
        {"columns": (3, {}), "labels": (3, {"age": ["a"]}), "names": (["a"],)},
    ),
    Door("a column", lambda age: people.Population({"age": age}), {"age": [3]}, {"age": ("abc", 3, [-1], [math.nan])}),
    Door(
        "bands",
        people.bands,
        {"values": [3, 20], "edges": [18]},
        {"values": ("abc", 3), "edges": (3, [], [18, 18], [math.nan])},
    ),
    Door("agenttorch_city", people.agenttorch_city, {"folder": None}, {"folder": (3, "no such folder")}),
    *OF_AGENTS,
]
