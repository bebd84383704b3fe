"""Every world and every policy keeps its contract; and each check of the contracts catches what it is for.

Add yours to WORLDS or POLICIES: a name, and a function that makes the arguments of the check.
"""

import random
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ethogram.agents.bandits import CTS, CascadeKLUCB, CascadeLinTS, CascadeUCB1, CascadeUCBV, TSCascade
from ethogram.agents.cascading import AdaptVI, CascadingBPI, CascadingVI, myopic_policy, optimal_values
from ethogram.agents.simple import Fixed, Replay, Table, UniformSlates
from ethogram.envs.adoption import Adoption
from ethogram.envs.clicks import PBM, CascadeModel
from ethogram.envs.epidemics import SEIR, epidemic_planner_world, small_city
from ethogram.envs.sessions import CascadingSession, FlatSlates, good_medium_bad, movielens_formula, trap
from ethogram.simulator.checks import check_policy, check_world
from ethogram.simulator.networks import RandomMeetings, small_world
from ethogram.simulator.populations import Everybody
from ethogram.simulator.rollout import episodes, rollout
from ethogram.simulator.world import Transition


@dataclass(frozen=True)
class AnyItemClicks:
    """A user who clicks each item shown on its own, as a click model does."""

    def act(self, observation, history, draws):
        slate = observation["slate"]
        return draws.bernoulli("clicked", observation["attraction"], index=slate) & (slate >= 0)


SESSION = CascadingSession(trap())


def taught(agent):
    """The agent after a few episodes."""
    for _ in episodes(SESSION, agent, 5, horizon=6):
        pass
    return agent


WORLDS = {
    "TRAP": lambda: {"world": SESSION},
    "good, medium, bad": lambda: {"world": CascadingSession(good_medium_bad(9)), "rows": 40},
    "formula ratings": lambda: {"world": CascadingSession(movielens_formula(5, 12, 0.5))},
    # full lists: a click that an intervention takes over from another row must not meet an empty position
    "a user who clicks several": lambda: {
        "world": CascadingSession(good_medium_bad(9), user=AnyItemClicks()),
        "policy": UniformSlates(9, 3),
    },
    **{
        f"a user by {type(user).__name__}": lambda user=user: {
            "world": CascadingSession(trap(), user=user),
            "policy": UniformSlates(6, 2),
        }
        for user in (
            CascadeModel(trap().attraction),
            PBM(trap().attraction, torch.tensor([0.9, 0.6], dtype=torch.float64)),
        )
    },
    "flat slates": lambda: {"world": FlatSlates(SESSION)},
    "fixed slates": lambda: {"world": SESSION, "policy": Fixed([0, 3])},
    # of a population's people each lives among the others: the contract's rows are whole populations
    "everybody's seat, adoption": lambda: {"world": Everybody(Adoption(small_world(60, 4, 0.1)), 60), "rows": 5},
    "everybody's seat, SEIR": lambda: {
        "world": Everybody(SEIR(RandomMeetings(60, 4), 0.1, initial=0.1), 60),
        "rows": 5,
    },
    "everybody's seat, a city": lambda: {"world": Everybody(small_city(200), 200), "rows": 4},
    "a planner's seat": lambda: {"world": epidemic_planner_world(200), "rows": 4},
}

POLICIES = {
    "uniform slates": lambda: {"policy": UniformSlates(6, 2), "world": SESSION},
    "one slate": lambda: {"policy": Fixed([2, -1]), "world": SESSION},
    "a table": lambda: {"policy": Table(torch.tensor([[0, 1], [3, 4]]), stationary=True), "world": SESSION},
    "a table by step": lambda: {"policy": Table(torch.tensor([[[0, 1], [3, 4]]] * 8)), "world": SESSION},
    "optimal": lambda: {"policy": Table(optimal_values(trap())[1]), "world": SESSION, "horizon": 6},
    "myopic": lambda: {"policy": Table(myopic_policy(trap())), "world": SESSION, "horizon": 6},
    **{
        agent.__name__: lambda agent=agent: {"policy": taught(agent(6, 2)), "world": SESSION}
        for agent in (CascadeUCB1, CascadeKLUCB, CascadeUCBV, TSCascade, CTS)
    },
    "CascadeLinTS": lambda: {
        "policy": taught(CascadeLinTS(features=torch.eye(6, 3, dtype=torch.float64) + 0.1, length=2)),
        "world": SESSION,
    },
    "CascadingVI": lambda: {
        "policy": taught(CascadingVI(trap().reward, 2, 6, num_episodes=100)),
        "world": SESSION,
        "horizon": 6,
    },
    "CascadingBPI": lambda: {
        "policy": taught(CascadingBPI(trap().reward, 2, 6, epsilon=0.5)),
        "world": SESSION,
        "horizon": 6,
    },
    "AdaptVI": lambda: {"policy": taught(AdaptVI(2, 6, 2, 6, num_episodes=100)), "world": SESSION, "horizon": 6},
    "a replay": lambda: {
        "policy": Replay(rollout(SESSION, UniformSlates(6, 2), rows=torch.arange(6) + 3, horizon=8)),
        "world": SESSION,
        "independent": False,
    },
}


@pytest.mark.parametrize("name", WORLDS)
def test_the_world_keeps_its_contract(name):
    check_world(**WORLDS[name]())


@pytest.mark.parametrize("name", POLICIES)
def test_the_policy_keeps_its_contract(name):
    check_policy(**POLICIES[name]())


# A world that keeps the contract, and worlds that each break one clause of it.


@dataclass(frozen=True)
class Garden:
    """Plants that grow with water and luck until they are ripe."""

    growth: float = 0.4
    observation_space = spaces.Dict({"height": spaces.Box(0, 10, (), np.float32), "age": spaces.Discrete(99)})
    action_space = spaces.Discrete(3)

    def reset(self, draws, site):
        state = {"height": draws.uniform("seedling"), "age": torch.zeros_like(draws.ids)}
        return state, dict(state)

    def step(self, state, action, draws, site):
        luck = site("luck", draws.uniform("luck"))
        growth = site("growth", self.growth * (1 + action) * luck)
        height = site("height", (state["height"] + growth).clamp(max=10))
        state = {"height": height, "age": state["age"] + 1}
        return Transition(state, dict(state), growth, height > 2)


def test_the_example_garden_keeps_the_contract():
    check_world(Garden(), rows=20)
    check_world(Garden(), rows=20, independent=False)


class WrongReward(Garden):
    def step(self, *args):
        return super().step(*args)._replace(reward=torch.zeros(3, dtype=torch.float64))


class OneRowOfReward(Garden):
    def step(self, *args):
        new = super().step(*args)
        return new._replace(reward=new.reward[:1])


class NaNReward(Garden):
    def step(self, *args):
        new = super().step(*args)
        return new._replace(reward=new.reward / 0 - new.reward / 0)


class ByteTerminated(Garden):
    def step(self, *args):
        new = super().step(*args)
        return new._replace(terminated=new.terminated.byte())


class PlainTuple(Garden):
    def step(self, *args):
        return tuple(super().step(*args))


class OutOfBounds(Garden):
    def step(self, *args):
        new = super().step(*args)
        return new._replace(observation=new.observation | {"height": new.observation["height"] + 20})


class DoubleHeight(Garden):
    def reset(self, draws, site):
        state, seen = super().reset(draws, site)
        return state, seen | {"height": seen["height"].double()}


class ObservesAList(Garden):
    def reset(self, draws, site):
        state, seen = super().reset(draws, site)
        return state, list(seen)


class ParametersInState(Garden):
    def reset(self, draws, site):
        state, seen = super().reset(draws, site)
        return state | {"soil": torch.ones(3)}, seen


class GrowsInPlace(Garden):
    def step(self, state, action, draws, site):
        state["height"] += 0.01
        return super().step(state, action, draws, site)


@dataclass(frozen=True)
class CountsItsSteps(Garden):
    weather: list = field(default_factory=lambda: [0])

    def step(self, state, action, draws, site):
        self.weather[0] += 1
        new = super().step(state, action, draws, site)
        return new._replace(reward=new.reward + self.weather[0])


@dataclass(frozen=True)
class KeepsALog(Garden):
    log: list = field(default_factory=list)

    def step(self, state, action, draws, site):
        self.log.append(0)
        return super().step(state, action, draws, site)


class TorchLuck(Garden):
    def reset(self, draws, site):
        state, seen = super().reset(draws, site)
        height = torch.rand(len(draws.ids))
        return state | {"height": height}, seen | {"height": height}


class NumpyLuck(Garden):
    def reset(self, draws, site):
        np.random.rand()  # noqa: NPY002
        return super().reset(draws, site)


class PythonLuck(Garden):
    def reset(self, draws, site):
        random.random()
        return super().reset(draws, site)


class SeededStream(Garden):
    """The usual way: a generator seeded alike is not luck that follows the row."""

    def reset(self, draws, site):
        state, seen = super().reset(draws, site)
        height = torch.rand(len(draws.ids), generator=torch.Generator().manual_seed(draws.seed))
        return state | {"height": height}, seen | {"height": height}


class LuckByPlace(Garden):
    def step(self, state, action, draws, site):
        return super().step(state, action, replace(draws, ids=torch.arange(len(draws.ids))), site)


class SharesTheWater(Garden):
    def step(self, state, action, draws, site):
        growth = site("growth", (1 + action) / (1 + action).sum())
        new = super().step(state, action, draws, lambda name, value: value)
        return new._replace(reward=growth.float())


class LuckByCount(Garden):
    """Draws as many numbers as are needed: who gets which depends on the others' actions."""

    def step(self, state, action, draws, site):
        watered = (action > 0).nonzero()[:, 0]
        luck = draws.uniform("all", len(draws.ids))[0]
        action = action.clone()
        action[watered] = (luck[: len(watered)] > 0.5).long() + 1
        return super().step(state, action, draws, site)


class KnowsTheFuture(Garden):
    def step(self, state, action, draws, site):
        new = super().step(state, action, draws, site)
        return new._replace(reward=new.reward + len(site._interventions))


class ShortcutDiffers(Garden):
    def step(self, state, action, draws, site):
        new = super().step(state, action, draws, site)
        watched = site._record is not None and site._record.everything
        return new._replace(reward=new.reward + (0 if watched else 1))


class NamesASiteLate(Garden):
    def step(self, state, action, draws, site):
        if draws.step == 3:
            site("harvest", state["height"])
        return super().step(state, action, draws, site)


class NamesTwice(Garden):
    def step(self, state, action, draws, site):
        site("growth", torch.ones(len(draws.ids)) * (draws.step + 1) + action)
        return super().step(state, action, draws, site)


class AcceptsAnyName(Garden):
    def step(self, state, action, draws, site):
        for do in site._interventions:
            site.names[do.site] = None
        return super().step(state, action, draws, site)


class UnnamedParts(Garden):
    action_space = spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)])


class NoSpace(Garden):
    observation_space = (2,)


class CountsFromOne(Garden):
    observation_space = spaces.Dict({**Garden.observation_space, "age": spaces.Discrete(99, start=1)})


class WaitsForNoStep(Garden):
    """Reads the step as an int."""

    def step(self, state, action, draws, site):
        if draws.step > 3:
            action = action * 0
        return super().step(state, action, draws, site)


class AgreesOnASeason(Garden):
    """Takes the step of the first row for everybody's."""

    def step(self, state, action, draws, site):
        season = draws.step if draws.together else int(draws.step[0])
        return super().step(state, action * (season % 2), draws, site)


class CountsInFloats(Garden):
    def reset(self, draws, site):
        state, seen = super().reset(draws, site)
        return state | {"watered": torch.zeros_like(draws.ids)}, seen

    def step(self, state, action, draws, site):
        new = super().step(state, action, draws, site)
        return new._replace(state=new.state | {"watered": state["watered"] + 0.5 * action})


@dataclass(frozen=True)
class HoldsALambda(Garden):
    soil: object = field(default_factory=lambda: lambda x: x)


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (WrongReward(), r"reward at step 0 is torch.float64 \(3,\): expected a torch.float32 tensor \(6,\)"),
        (OneRowOfReward(), r"reward at step 0 is torch.float32 \(1,\)"),
        (NaNReward(), "expected finite numbers"),
        (ByteTerminated(), "terminated at step 0 is torch.uint8"),
        (PlainTuple(), "expected a Transition"),
        (OutOfBounds(), "observation of step 0 is .* does not contain"),
        (DoubleHeight(), "observation of reset is .*float64"),
        (ObservesAList(), "observation of reset is a list"),
        (ParametersInState(), "expected 6 rows in each of its arrays"),
        (GrowsInPlace(), "changed the state that it was given, in place"),
        (CountsItsSteps(), "expected no hidden state"),
        (KeepsALog(), "changed its fields"),
        (TorchLuck(), "used the global generator of torch|differ"),
        (NumpyLuck(), "used the global generator of numpy"),
        (PythonLuck(), "used the global generator of random"),
        (SeededStream(), "in a batch and alone differ"),
        (LuckByPlace(), "in a batch and alone differ"),
        (SharesTheWater(), "in a batch and alone differ"),
        (LuckByCount(), "in a batch and alone differ"),
        (KnowsTheFuture(), "changed what came before|changed others"),
        (ShortcutDiffers(), "runs otherwise when its sites are recorded"),
        (NamesASiteLate(), r"step 3 names the sites \['action', 'growth', 'harvest', .* and step 0 named"),
        (NamesTwice(), "step 0 names .'growth'. more than once"),
        (AcceptsAnyName(), "expected LookupError"),
        (UnnamedParts(), "name the parts"),
        (NoSpace(), "expected a gymnasium.Space"),
        (HoldsALambda(), "cannot be pickled"),
        (CountsFromOne(), r"observation_space Discrete\(99, start=1\) starts at 1: expected 0; Stable-Baselines3"),
        (WaitsForNoStep(), "cannot step rows that are at steps"),
        (AgreesOnASeason(), r"of a row at step . is .* among rows at steps .* read draws.step row by row"),
        (CountsInFloats(), r"torch.int64 .* after reset and .*torch.float32 .* at step 1"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Garden) else "",
)
def test_a_world_that_breaks_the_contract_is_found_out(world, message):
    with pytest.raises(AssertionError, match=message):
        check_world(world)


def test_interventions_that_reach_other_rows_are_found_out():
    """Without interventions its rows are right, alone and together."""

    class Leaks(Garden):
        def step(self, state, action, draws, site):
            new = super().step(state, action, draws, site)
            return new._replace(reward=new.reward + any(do.acts_at(site.step) for do in site._interventions))

    with pytest.raises(AssertionError, match=r"Do\('luck'\) on some rows changed others"):
        check_world(Importable(Leaks()), intervene=["luck"])


def Importable(world):
    """A class inside a function cannot be pickled: give it a name that can."""
    cls = type(world)
    cls.__qualname__ = cls.__name__
    globals()[cls.__name__] = cls
    return world


def test_checks_leave_the_global_generators_as_they_were():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    before = torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    check_world(Garden())
    assert (torch.rand(1), np.random.rand(), random.random()) == before  # noqa: NPY002


def test_a_check_says_what_is_no_world_and_what_no_policy():
    for check in (check_world, lambda world: check_policy(Fixed(0), world)):
        with pytest.raises(TypeError, match="world is a Fixed: expected an object with reset, step"):
            check(Fixed(0))
    with pytest.raises(TypeError, match="policy is a Garden: expected an object with act"):
        check_policy(Garden(), Garden())


def test_a_check_needs_two_rows_and_two_steps():
    for check in (check_world, lambda world, **kwargs: check_policy(Fixed(0), world, **kwargs)):
        with pytest.raises(ValueError, match="is 1: expected an int, 2 or more"):
            check(Garden(), rows=1)
        with pytest.raises(ValueError, match="is 1: expected an int, 2 or more"):
            check(Garden(), horizon=1)


# Policies that each break one clause.


@dataclass(frozen=True)
class Waters:
    """Waters low plants."""

    def act(self, observation, history, draws):
        return (observation["height"] < 1).long()


class WatersTooMuch(Waters):
    def act(self, *args):
        return super().act(*args) + 9


class OneCanForAll(Waters):
    def act(self, *args):
        return super().act(*args)[:1]


class HalfACan(Waters):
    def act(self, *args):
        return super().act(*args) * 0.5


class ReturnsAList(Waters):
    def act(self, *args):
        return super().act(*args).tolist()


class WatersByChance(Waters):
    def act(self, observation, history, draws):
        return torch.randint(3, (len(draws.ids),))


@dataclass(frozen=True)
class LearnsWhileActing(Waters):
    seen: list = field(default_factory=list)

    def act(self, *args):
        self.seen.append(1)
        return super().act(*args)


class WatersTheLowest(Waters):
    def act(self, observation, history, draws):
        return (observation["height"] <= observation["height"].mean()).long()


class MeasuresInPlace(Waters):
    def act(self, observation, history, draws):
        observation["height"].clamp_(max=0.1)
        return super().act(observation, history, draws)


@dataclass(frozen=True)
class CallsALambda(Waters):
    rule: object = field(default_factory=lambda: lambda x: x)


def test_a_policy_that_waters_keeps_the_contract():
    check_policy(Waters(), Garden())


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (WatersTooMuch(), r"act returns torch.int64 \(6,\), first 10, which"),
        (OneCanForAll(), r"act returns torch.int64 \(1,\)"),
        (HalfACan(), "act returns torch.float32"),
        (ReturnsAList(), "act returns a list"),
        (WatersByChance(), "global generator of torch|differ"),
        (LearnsWhileActing(), "changed its fields"),
        (WatersTheLowest(), "in a batch and alone differ"),
        (MeasuresInPlace(), "changed the observation in place"),
        (CallsALambda(), "cannot be pickled"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Waters) else "",
)
def test_a_policy_that_breaks_the_contract_is_found_out(policy, message):
    with pytest.raises(AssertionError, match=message):
        check_policy(policy, Garden())
