"""Policies without learning: what they take, and what they say of what they cannot."""

import numpy as np
import pandas
import pytest
import torch

from ethogram.agents.bandits import CTS, beta, kl_upper_bound
from ethogram.agents.cascading import CascadingVI, best_permutation, optimal_values
from ethogram.agents.simple import Fixed, PlackettLuce, Table, UniformSlates
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Draws, abduct, rollout
from ethogram.simulator.populations import ByRule

WORLD, MDP = CascadingSession(trap()), trap()
DRAWS = Draws(0, torch.arange(3))


@pytest.mark.parametrize("form", [np.asarray, torch.tensor, list])
def test_arrays_and_lists_are_taken_wherever_tensors_are(form):
    values = [0.2, 0.4, 0.6]
    of = {np.asarray: torch.float64, torch.tensor: torch.float32, list: torch.float32}[form]  # as torch makes of each
    expected = DRAWS.uniform("x") < torch.tensor(values, dtype=of)
    assert torch.equal(DRAWS.bernoulli("x", form(values)), expected)
    assert torch.equal(DRAWS.event("x", form(values)), DRAWS.event("x", torch.tensor(values, dtype=of)))
    rows = [[0.25, 0.75]] * 3
    assert torch.equal(DRAWS.categorical("x", form(rows)), DRAWS.categorical("x", torch.tensor(rows)))
    assert Fixed(form([0, 1])).act(None, None, DRAWS).tolist() == [[0, 1]] * 3
    assert Table(form([[0, 1], [1, 0]])).act(torch.tensor([0, 1, 1]), None, DRAWS).tolist() == [0, 1, 1]
    assert PlackettLuce(form(values), 2).act(torch.zeros(3).long(), None, DRAWS).shape == (3, 2)


def test_series_of_pandas_are_taken_too():
    values = pandas.Series([0.2, 0.4, 0.6])
    assert torch.equal(DRAWS.bernoulli("x", values), DRAWS.bernoulli("x", values.to_numpy()))


def test_arrays_of_learners():
    agent = CascadingVI(MDP.reward.numpy(), MDP.length, MDP.horizon, 5)
    assert torch.equal(agent.reward, MDP.reward)
    u, w = np.array([0.5, 0.25]), np.array([1.0, 3.0])
    assert best_permutation(u, w, 0.0, 2)[0].tolist() == [1, 0]
    mean = np.array([0.5, 0.25])
    assert torch.equal(kl_upper_bound(mean, mean), kl_upper_bound(torch.from_numpy(mean), torch.from_numpy(mean)))
    assert beta(DRAWS, "x", mean + 1, mean + 1).shape == (3, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: DRAWS.bernoulli("x", "half"), TypeError, "probability of site 'x' is 'half'"),
        (lambda: DRAWS.bernoulli("x", 0.5, among=[True]), ValueError, "among of site 'x' is a list"),
        (lambda: DRAWS.event("x", {"a": 1}), TypeError, "hazard of site 'x' is"),
        (lambda: DRAWS.categorical("x", [["a"]]), TypeError, "probability of site 'x' is"),
        (lambda: DRAWS.uniform("x", True), ValueError, "index of site 'x' is True"),
        (lambda: Fixed("left").act(None, None, DRAWS), TypeError, "action of Fixed is 'left'"),
        (lambda: Table({"a": 1}), TypeError, "actions of a Table is"),
        (lambda: Table([1, 2]), ValueError, "stationary=True"),
        (lambda: UniformSlates(2, 3), ValueError, "length is 3: expected an int from 1 to 2"),
        (lambda: UniformSlates(2.5, 1), TypeError, "num_items is 2.5: expected an int"),
        (lambda: PlackettLuce([float("nan"), 1], 1), ValueError, "scores have NaN"),
        (lambda: ByRule(3), TypeError, "rule of ByRule is a int"),
        (lambda: CTS("six", 2), TypeError, "num_items is 'six'"),
        (lambda: CascadingVI(MDP.reward, "two", 3, 5), TypeError, "length is 'two'"),
        (lambda: CascadingVI(MDP.reward, 2, 3, "many"), TypeError, "num_episodes is 'many'"),
        (lambda: best_permutation("a", "b", 0.0, 1), TypeError, "attraction is 'a'"),
        (lambda: beta(DRAWS, "x", torch.ones(2).double() * 1e30, torch.ones(2).double()), ValueError, "at most"),
        (lambda: kl_upper_bound(torch.ones(2).double(), torch.ones(3).double()), ValueError, "mean and budget are"),
        (lambda: abduct(WORLD, [1, 2]), TypeError, "history is a list"),
    ],
)
def test_what_is_not_taken_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_table_says_where_it_ends_and_what_stationary_is_for():
    lists = optimal_values(MDP)[1]
    with pytest.raises(IndexError, match=rf"at step {MDP.horizon} for .*expected \(steps, states, …\)"):
        rollout(WORLD, Table(lists), rows=2, horizon=MDP.horizon + 1)
    with pytest.raises(IndexError, match="takes stationary=True"):
        Table(lists[0]).act(torch.full((3,), 2), None, DRAWS)
    steps = Draws(0, torch.arange(2), torch.tensor([1, 0]))  # rows that began at different times
    assert torch.equal(
        Table(lists).act(torch.tensor([0, 1]), None, steps), lists[torch.tensor([1, 0]), torch.tensor([0, 1])]
    )
