"""Small worlds, people and policies whose numbers are written down or computed by plain formulas, no generator."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from gymnasium import spaces

from ethogram.agents.citizens import Answers, Archetypes, Heuristic, Logits, Routine
from ethogram.envs.clicks import CCM, DBN, DCM, PBM, RCM, SDBN, UBM, CascadeModel, DocumentCTR, RankCTR
from ethogram.envs.datasets import MovieLens
from ethogram.envs.epidemics import Disease, Economy, Epidemic, Measures
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator.formats import load_interactions
from ethogram.simulator.networks import Contacts
from ethogram.simulator.world import Transition

N = 61  # people: odd, so that somebody meets nobody


def table(*shape, low=0.1, high=0.9, step=7):
    """Numbers all over [low, high], float64."""
    places = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return low + (high - low) * ((places * step + 3) % 31 / 31).reshape(shape)


# ---- networks and cities


def ring(n=N):
    """Everybody knows the next, the one after, and some far away."""
    people = torch.arange(n)
    ends = [(people, (people + k) % n) for k in (1, 2)] + [(people[::5], (people[::5] + 9) % n)]
    return Contacts.from_edges(*(torch.cat(side) for side in zip(*ends, strict=True)), n)


def weighted(n=N, directed=False):
    """The ring's contacts with weights, in eighths; directed: they run one way only."""
    contacts = ring(n)
    source, target = contacts.source, contacts.target.long()
    once = source < target
    weight = ((source + target) % 7 + 1)[once].float() / 8
    return Contacts.from_edges(source[once], target[once], n, weight=weight, directed=directed)


def city(n=N, **settings):
    """A city in which much happens within three weeks."""
    people = synthetic_city(n, num_areas=3, seed=2)
    disease = Disease(
        reproduction=5.0,
        exposed_days=(0, 0.3, 0.3, 0.4),
        infectious_days=(0.2, 0, 0.5, 0, 0.3),
        fatality=(0.1,) * 9,
        importation=0.001,
    )
    measures = Measures(vaccination=0.02, vaccine_delay=4, confirmation=0.3, quarantine_days=6, announced=5)
    layers = city_layers(people, daily=2) | {"weighted": weighted(n)}
    settings = {"measures": measures, "economy": Economy(separation=0.1), "initial": 0.1} | settings
    return Epidemic(layers, people["age"], people["area"], disease, **settings)


def features(observation):
    """What the fitted citizens go by."""
    return {"ill": observation["ill"] != 0, "decades": observation["age"] / 10, "cases": observation["cases"] / 8}


def by_rule(questions):
    """Answers in eighths: the older, the more careful."""
    return [((q["age"][0] or 0) / 160 + q["ill"] / 4, 1 - q["period"] / 8) for q in questions]


CITIZENS = {
    "heuristic": lambda: Heuristic(half=2.0, period=2),
    "routine": lambda: Routine(isolate=table(N, high=0.6), work=0.9, period=3),
    "logits": lambda: Logits(features, {"intercept": -2.0, "ill": 3.0, "decades": 0.25, "cases": 0.125}, {"ill": -1.0}),
    "archetypes": lambda: Archetypes(Answers(by_rule), {"age": [20, 60], "ill": None, "period": None}, period=5),
}


# ---- sessions


A, SATISFACTION = table(2, 6), table(2, 6, step=11)
GAMMA = torch.tensor([0.95, 0.7], dtype=torch.float64)
CLICK_MODELS = [
    RCM(0.3),
    RankCTR(GAMMA),
    DocumentCTR(A),
    PBM(A, GAMMA),
    UBM(A, table(2, 3, step=5)),
    CascadeModel(A),
    DCM(A, torch.tensor([0.7, 0.4], dtype=torch.float64)),
    SDBN(A, SATISFACTION),
    DBN(A, SATISFACTION, 0.8),
    CCM(A, 0.9, 0.7, 0.3),
]


def ratings():
    """(user, movie, stars, second) of 24 users, who rate some of 12 movies in an order of their own."""
    rows = []
    for user in range(24):
        movies = [(user * 5 + k * (1 + user % 2 * 4)) % 12 for k in range(4 + user % 8)]
        rows += [(user, movie, 1 + (user * movie + 3 * movie + user) % 5, time) for time, movie in enumerate(movies)]
    return rows


GENRES = ("Drama", "Comedy", "War")
KINDS = [[k for k in range(3) if (movie >> k) & 1 or movie % 3 == k] for movie in range(12)]


def movielens():
    """The ratings, as ``load_movielens`` reads such."""
    frame = pd.DataFrame(ratings(), columns=["u", "i", "r", "t"])
    log = load_interactions(frame, user="u", item="i", time="t", rating="r")
    genres = torch.zeros(12, 3, dtype=torch.bool)
    for movie, kinds in enumerate(KINDS):
        genres[movie, kinds] = True
    return MovieLens(log, tuple(f"Film {movie}" for movie in range(12)), GENRES, genres)


def write_release(folder):
    """The ratings as a release of MovieLens; the path of its ratings."""
    films = [f"{movie},Film {movie},{'|'.join(GENRES[k] for k in kinds)}" for movie, kinds in enumerate(KINDS)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]), encoding="utf-8")
    lines = [",".join(map(str, row)) for row in ratings()]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]), encoding="utf-8")
    return folder / "ratings.csv"


@dataclass(frozen=True)
class Reading:
    """A user who reads pages until bored: rows end at different steps; observation and action have parts, and text."""

    leave: float = 0.3

    observation_space = spaces.Dict(
        {"page": spaces.Box(0, 8, (2,), np.float32), "seen": spaces.Discrete(1000), "title": spaces.Text(8)}
    )
    action_space = spaces.Dict({"push": spaces.Box(-1, 1, (), np.float32), "kind": spaces.Discrete(3)})

    def reset(self, draws, site):
        taste = draws.uniform("taste", 2)
        return self._shown(taste, torch.zeros_like(draws.ids))

    def _shown(self, taste, seen):
        titles = np.array([f"page{k}" for k in seen.tolist()], dtype=object)
        return (taste, seen), {"page": taste, "seen": seen, "title": titles}

    def step(self, state, action, draws, site):
        taste, seen = state
        shift = site("shift", draws.uniform("noise", 2) + action["push"][:, None] + action["kind"][:, None])
        leaves = site("leaves", draws.bernoulli("leaves", self.leave))
        state, shown = self._shown((taste + shift) / 2, seen + 1)
        return Transition(state, shown, shift[:, 0], leaves)


# ---- policies


class Turns:
    """For ``Reading``: pushes by a draw and by what was seen, all kinds in turn; looks at the history."""

    def act(self, observation, history, draws):
        kind = (draws.ids + draws.step + history.num_steps) % 3
        return {"push": draws.uniform("push") - observation["page"][:, 0] / 8, "kind": kind}


class Codes:
    """Slates in the flat encoding: any of the codes that there are, some of them short lists."""

    def __init__(self, space):
        self.size = torch.from_numpy(np.array(space.nvec, dtype=np.int64))

    def act(self, observation, history, draws):
        return (draws.uniform("code", len(self.size)) * self.size).long().minimum(self.size - 1)


class ShortLists:
    """Two items of six, or one: some positions stay empty."""

    def act(self, observation, history, draws):
        slates = draws.uniform("slate", 6).argsort(1)[:, :2]
        return torch.where(draws.uniform("two", 2) < torch.tensor([1.0, 0.5]), slates, -1)


class Nudges:
    """For ``Adoption``: eighths, more for those who see few adopt."""

    def act(self, observation, history, draws):
        return (draws.ids % 8).float() / 8 - (observation[:, 1] > 0.5).float()


class StaysIn:
    """For ``SEIR``: the infectious stay at home on half of the days, others on a tenth."""

    def act(self, observation, history, draws):
        return (draws.uniform("in") < torch.where(observation == 2, 0.5, 0.1)).long()


class Levers:
    """A planner who pulls each lever in half of the weeks."""

    def act(self, observation, history, draws):
        return (draws.uniform("lever", 4) < 0.5).to(torch.int8)


class Upright:
    """Pushes the cart towards where the pole leans."""

    def act(self, observation, history, draws):
        return (observation[:, 2] > 0).long()


class Dies:
    """Another policy, until a step at which the program is killed, the first time."""

    def __init__(self, policy, step):
        self.policy, self.step = policy, step

    def __fingerprint__(self):
        return self.policy  # that it has died does not make it another

    def act(self, observation, history, draws):
        if draws.step == self.step:
            self.step = -1
            raise KeyboardInterrupt
        return self.policy.act(observation, history, draws)
