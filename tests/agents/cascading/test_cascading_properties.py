"""Plans, bounds and inferred luck on random worlds with edges: ties, certain and impossible events, one state."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.agents.cascading import (
    CascadingBPI,
    CascadingVI,
    learn_in,
    myopic_policy,
    optimal_values,
    policy_value,
    state_free_policy,
)
from ethogram.agents.simple import Replay, Table, UniformSlates
from ethogram.envs.sessions import CascadingMDP, CascadingSession
from ethogram.simulator import abduct, check_world, rollout

numbers = st.sampled_from([0.0, 0.0, 0.25, 0.5, 0.5, 1.0, 1.0])  # zeros, ones and ties are frequent


@st.composite
def worlds(draw, most_items=4):
    states, items = draw(st.integers(1, 3)), draw(st.integers(1, most_items))
    length, horizon = draw(st.integers(1, min(items, 3))), draw(st.integers(1, 3))

    def table(*shape):
        size = int(np.prod(shape))
        return torch.tensor(draw(st.lists(numbers, min_size=size, max_size=size))).double().view(shape)

    weight = table(states, items + 1, states)
    weight[..., 0] += weight.sum(-1) == 0  # rows that lead nowhere lead to the first state
    return CascadingMDP(
        table(states, items),
        weight / weight.sum(-1, keepdim=True),
        table(states, items),
        length,
        horizon,
        draw(st.integers(0, states - 1)),
    )


def plain_values(mdp, choose=max):
    """(H + 1, S): backward induction over every list, in plain numbers."""
    u, r, p = mdp.attraction.tolist(), mdp.reward.tolist(), mdp.transition.tolist()
    lists = [a for k in range(1, mdp.length + 1) for a in permutations(range(mdp.num_items), k)]
    values = [[0.0] * mdp.num_states]
    for _ in range(mdp.horizon):
        ahead, now = values[0], []
        for s in range(mdp.num_states):
            worth = [sum(x * v for x, v in zip(p[s][a], ahead, strict=True)) for a in range(mdp.num_items + 1)]
            found = []
            for slate in lists:
                total, reached = 0.0, 1.0
                for a in slate:
                    total += reached * u[s][a] * (r[s][a] + worth[a])
                    reached *= 1 - u[s][a]
                found.append(total + reached * worth[-1])
            now.append(choose(found))
        values.insert(0, now)
    return torch.tensor(values, dtype=torch.float64)


@settings(max_examples=200, deadline=None)
@given(mdp=worlds())
def test_the_planner_finds_what_trying_every_list_finds(mdp):
    values, slates = optimal_values(mdp)
    best, worst = plain_values(mdp)[:-1], plain_values(mdp, min)[:-1]
    assert torch.allclose(values[: mdp.horizon], best, rtol=0, atol=1e-12)
    assert torch.allclose(policy_value(mdp, slates)[: mdp.horizon], best, rtol=0, atol=1e-12)
    for other in (myopic_policy(mdp), state_free_policy(mdp)):
        reached = policy_value(mdp, other)[: mdp.horizon]
        assert (reached <= best + 1e-12).all()
        assert (reached >= worst - 1e-12).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(mdp=worlds(), kind=st.sampled_from([CascadingVI, CascadingBPI]))
def test_the_learners_bounds_hold_in_every_state_and_step(mdp, kind):
    """With probability 0.995 a run; the 40 worlds and seeds are always the same ones."""
    more = {"num_episodes": 300} if kind is CascadingVI else {"epsilon": 0.1}
    agent = kind(mdp.reward, mdp.length, mdp.horizon, **more)
    learn_in(mdp, agent, 300)
    plan, optimal = agent.model.plan, optimal_values(mdp)[0].numpy()
    assert (plan.upper >= optimal - 1e-9).all()
    assert (plan.lower <= optimal + 1e-9).all()
    for slate in plan.slates.reshape(-1, mdp.length).tolist():
        shown = [a for a in slate if a >= 0]
        assert 1 <= len(shown) == len(set(shown))


@settings(max_examples=80, deadline=None)
@given(mdp=worlds(), seed=st.integers(0, 2**40), planned=st.booleans())
def test_inferred_luck_relives_any_session(mdp, seed, planned):
    """Certain clicks, impossible ones and forced moves leave nothing to infer, or one thing; the run is the same."""
    world = CascadingSession(mdp)
    policy = Table(optimal_values(mdp)[1]) if planned else UniformSlates(mdp.num_items, mdp.length)
    log = rollout(world, policy, rows=20, horizon=mdp.horizon, seed=seed, record=["click"])
    luck = abduct(world, log, seed=seed + 1)
    again = rollout(world, Replay(log), rows=log.ids, horizon=mdp.horizon, draws=luck, record=["click"])
    for name in ("observation", "action", "reward", "click"):
        assert torch.equal(again.column(name), log.column(name))


@settings(max_examples=20, deadline=None)
@given(mdp=worlds())
def test_the_world_keeps_its_contract(mdp):
    check_world(CascadingSession(mdp), horizon=4)


@settings(max_examples=60, deadline=None)
@given(mdp=worlds(most_items=3), seed=st.integers(0, 1000))
def test_what_happens_never_has_probability_zero(mdp, seed):
    """Clicks on what attracts, moves along transitions, rewards of the item clicked; for whole batches."""
    policy = UniformSlates(mdp.num_items, mdp.length)
    log = rollout(CascadingSession(mdp), policy, rows=30, horizon=mdp.horizon, seed=seed, record=["click"])
    before, after = log.observation[:, :-1], log.observation[:, 1:]
    clicked = log.sites["click"] < mdp.length
    item = log.action.gather(2, log.sites["click"].clamp(max=mdp.length - 1)[..., None])[..., 0]
    item = item.where(clicked, mdp.num_items)
    assert (mdp.transition[before, item, after] > 0).all()
    assert (mdp.attraction[before[clicked], item[clicked]] > 0).all()
    expected = torch.cat([mdp.reward, torch.zeros(mdp.num_states, 1)], 1)[before, item]
    assert torch.equal(log.reward, expected.float())
    certain = (mdp.attraction[before[..., None], log.action] == 1).any(2)
    assert clicked[certain].all()
    assert log.reward.sum(1).mean() <= float(optimal_values(mdp)[0][0, mdp.initial]) + 4.5 * mdp.horizon / 30**0.5


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_no_world(bad):
    table = torch.full((1, 1), 0.5).double()
    with pytest.raises(ValueError, match="expected a number in"):
        CascadingMDP(torch.full_like(table, bad), torch.ones(1, 2, 1).double(), table, 1, 1)
