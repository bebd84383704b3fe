"""Outcomes against the plain count."""

import pytest
import torch

from ethogram.simulator import outcomes
from ethogram.simulator.history import History

HISTORY = History.of(
    observation=torch.tensor([[0, 1, 1, 0], [0, 0, 1, 1]]),
    action=torch.tensor([[[0, 1], [2, -1], [1, 0]], [[2, 0], [0, 2], [-1, -1]]]),
    reward=torch.tensor([[1.0, 0.0, 0.5], [1.0, 0.0, 0.0]]),
    sites={"click": torch.tensor([[1, 2, 0], [0, 2, 2]])},
    length=torch.tensor([3, 2]),
)


def test_returns_and_rewards():
    assert outcomes.mean_return(HISTORY).item() == pytest.approx(1.25)
    assert outcomes.mean_return(HISTORY, discount=0.5).item() == pytest.approx((1.125 + 1) / 2)
    assert outcomes.reward_by_step(HISTORY).tolist() == pytest.approx([1.0, 0.0, 0.5])


def test_clicks():
    assert outcomes.click_rate(HISTORY).item() == pytest.approx(3 / 5)
    assert outcomes.click_rate_by_step(HISTORY).tolist() == pytest.approx([1, 0, 1])
    assert outcomes.click_rate_by_position(HISTORY).tolist() == pytest.approx([2 / 5, 1 / 4])


def test_lengths_and_shares():
    assert outcomes.session_length(HISTORY).item() == 2.5
    assert outcomes.item_share(HISTORY, 4).tolist() == pytest.approx([4 / 9, 2 / 9, 3 / 9, 0])
    assert outcomes.state_share(HISTORY, 2).tolist() == [[1, 0], [0.5, 0.5], [0, 1], [0.5, 0.5]]


def test_cumulative_regret():
    assert outcomes.cumulative_regret(2.0, torch.tensor([1.0, 1.5, 2.0])).tolist() == [1, 1.5, 1.5]


def test_padding_never_counts():
    """Rewards of padding are 0 by contract; clicks and items of padding are whatever they are."""
    shorter = HISTORY[1:, :2]
    longer = HISTORY[1:]
    for outcome in (outcomes.click_rate, outcomes.click_rate_by_position, outcomes.mean_return):
        assert torch.equal(outcome(shorter), outcome(longer))
