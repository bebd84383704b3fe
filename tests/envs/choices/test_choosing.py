"""People who choose: against a plain loop, the logit's closed form, and what an intervention on their minds does."""

import gymnasium
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ethogram.envs  # noqa: F401  registers the id
from ethogram.agents.simple import Fixed
from ethogram.envs.choices import Choosing
from ethogram.simulator import Do, Draws, check_world, rollout


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(2, 4), st.sampled_from([0.0, 0.7]), st.integers(0, 10**6))
def test_a_batch_is_a_plain_loop_over_people(attributes, options, temperature, seed):
    world = Choosing(attributes, (attributes + 1) // 2, options, temperature)
    history = rollout(world, Fixed(1), rows=3, horizon=4, seed=seed, record=("preference",))
    for person in range(3):
        draws = Draws(seed, torch.tensor([person]), scope="world")
        order = draws.uniform("which attributes", attributes)[0].tolist()
        sign = (draws.uniform("direction", attributes)[0] < 0.5).tolist()
        cared = sorted(range(attributes), key=order.__getitem__)[: world.num_preferences]
        preference = [(1.0 if sign[j] else -1.0) if j in cared else 0.0 for j in range(attributes)]
        assert history.sites["preference"][person].tolist() == [preference] * 4
        name = "first options"
        for step in range(4):
            luck = draws.at(max(step - 1, 0)).uniform(name, options * attributes)[0].double()
            things = torch.special.ndtri(luck).float().view(options, attributes)
            assert torch.equal(history.observation["options"][person, step], things)
            utility = [sum(p * x for p, x in zip(preference, thing, strict=True)) for thing in things.tolist()]
            gumbel = draws.at(step).gumbel("choice", options)[0].tolist()
            worth = [u + temperature * g for u, g in zip(utility, gumbel, strict=True)]
            chose = int(history.observation["chose"][person, step + 1])
            assert worth[chose] == pytest.approx(max(worth), abs=1e-5)
            assert history.reward[person, step] == float(chose == 1)
            name = "next options"


def test_choices_are_those_of_the_logit():
    """40,000 choices between two; the 4.5-sigma band fails by chance once in 147,000 seeds."""
    world = Choosing(num_attributes=4, num_preferences=2, temperature=1.5)
    history = rollout(world, Fixed(0), rows=4000, horizon=10, seed=1, record=("utility", "choice"))
    p = (history.sites["utility"] / 1.5).softmax(-1)[..., 1]
    chose = history.sites["choice"].double()
    band = 4.5 * (p * (1 - p)).sum().item() ** 0.5
    assert abs((chose - p).sum().item()) < band
    sure = p > 0.8
    assert abs((chose - p)[sure].sum().item()) < 4.5 * (p * (1 - p))[sure].sum().item() ** 0.5


def test_every_set_of_preferences_is_as_likely():
    history = rollout(Choosing(3, 1), Fixed(0), rows=6000, horizon=1, seed=2, record=("first preference",))
    kinds, counts = history.sites["first preference"].reshape(6000, 3).unique(dim=0, return_counts=True)
    assert len(kinds) == 6
    assert ((counts - 1000).abs() < 4.5 * (6000 * 1 / 6 * 5 / 6) ** 0.5).all()


def test_minds_that_change_stay_changed_and_nothing_before_differs():
    turn = Do("preference", torch.neg, start=3, stop=4)
    was, now = (
        rollout(Choosing(), Fixed(0), rows=50, horizon=6, seed=4, record=("preference", "choice"), interventions=do)
        for do in ([], [turn])
    )
    assert torch.equal(was.sites["preference"][:, :3], now.sites["preference"][:, :3])
    assert torch.equal(was.sites["preference"][:, 3:], -now.sites["preference"][:, 3:])
    assert torch.equal(was.sites["choice"][:, :3], now.sites["choice"][:, :3])
    assert (was.sites["choice"][:, 3:] != now.sites["choice"][:, 3:]).all()  # the best of two becomes the worst


def test_it_is_a_world_and_an_id():
    check_world(Choosing())
    env = gymnasium.make("ethogram/Choosing-v0", num_options=3, horizon=5)
    seen, _ = env.reset(seed=0)
    assert seen["options"].shape == (3, 10)
    assert seen["chose"] == 3
    *_, truncated, _ = [env.step(k % 3) for k in range(5)][-1]
    assert truncated


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"num_preferences": 11}, "num_preferences"), ({"num_options": 1}, "num_options"), ({"temperature": -1}, "temp")],
)
def test_wrong_settings_are_named(settings, said):
    with pytest.raises(ValueError, match=f"{said}.*expected"):
        Choosing(**settings)


@pytest.mark.parametrize("action", [2, -1, [0, 1]])
def test_actions_that_are_no_option_are_refused(action):
    with pytest.raises((ValueError, RuntimeError), match="action"):
        rollout(Choosing(), Fixed(action), rows=3, horizon=1)
