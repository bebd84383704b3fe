"""Outcomes against the plain count."""

import pytest
import torch

from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import SEIR, attack_rate
from ethogram.envs.sessions import click_rate, click_rate_by_position, click_rate_by_step, item_share
from ethogram.simulator.history import History
from ethogram.simulator.networks import small_world
from ethogram.simulator.recording import Record
from ethogram.simulator.rollout import rollout
from ethogram.simulator.whatif import cumulative_regret, mean_return, reward_by_step, session_length, state_share, total

HISTORY = History.of(
    observation=torch.tensor([[0, 1, 1, 0], [0, 0, 1, 1]]),
    action=torch.tensor([[[0, 1], [2, -1], [1, 0]], [[2, 0], [0, 2], [-1, -1]]]),
    reward=torch.tensor([[1.0, 0.0, 0.5], [1.0, 0.0, 0.0]]),
    sites={"click": torch.tensor([[1, 2, 0], [0, 2, 2]])},
    length=torch.tensor([3, 2]),
)


def test_returns_and_rewards():
    assert mean_return(HISTORY).item() == pytest.approx(1.25)
    assert mean_return(HISTORY, discount=0.5).item() == pytest.approx((1.125 + 1) / 2)
    assert reward_by_step(HISTORY).tolist() == pytest.approx([1.0, 0.0, 0.5])


def test_clicks():
    assert click_rate(HISTORY).item() == pytest.approx(3 / 5)
    assert click_rate_by_step(HISTORY).tolist() == pytest.approx([1, 0, 1])
    assert click_rate_by_position(HISTORY).tolist() == pytest.approx([2 / 5, 1 / 4])


def test_lengths_and_shares():
    assert session_length(HISTORY).item() == 2.5
    assert item_share(HISTORY, 4).tolist() == pytest.approx([4 / 9, 2 / 9, 3 / 9, 0])
    assert state_share(HISTORY, 2).tolist() == [[1, 0], [0.5, 0.5], [0, 1], [0.5, 0.5]]


def test_totals_and_attack_rates_are_those_of_the_stages():
    """However the infections were kept; those who are no longer susceptible were infected, or so from the start."""
    group = torch.arange(60) % 4
    world = SEIR(small_world(60, 4, 0.1), transmission=0.2, initial=0.1)

    def run(*record):
        return rollout(world, Fixed(0), rows=60, horizon=15, record=record)

    whole = run("infected")
    summed, grouped = (run(Record("infected", reduce="sum", by=by)) for by in (None, group))
    infected = (whole.observation[:, -1] > 0) & (whole.observation[:, 0] == 0)
    assert 0 < infected.sum() < 60
    for history in (whole, summed, grouped):
        assert attack_rate(history).item() == infected.double().mean()
        assert total(history, "infected").sum() == infected.sum()
    for history in (whole, grouped):
        assert torch.equal(attack_rate(history, group), infected.view(15, 4).double().mean(0))
    with pytest.raises(ValueError, match="the groups of by"):
        attack_rate(summed, group)
    with pytest.raises(ValueError, match="kept at some steps only"):
        total(run(Record("infected", every=2)), "infected")


def test_cumulative_regret():
    assert cumulative_regret(2.0, torch.tensor([1.0, 1.5, 2.0])).tolist() == [1, 1.5, 1.5]


def test_padding_never_counts():
    """Rewards of padding are 0 by contract; clicks and items of padding are whatever they are."""
    shorter = HISTORY[1:, :2]
    longer = HISTORY[1:]
    for outcome in (click_rate, click_rate_by_position, mean_return):
        assert torch.equal(outcome(shorter), outcome(longer))
