"""The record itself: made from arrays, cut, compared."""

import numpy as np
import pytest
import torch

from ethogram.simulator.history import History


def history(**changes):
    columns = {
        "observation": {
            "screen": torch.arange(24).view(2, 4, 3),
            "text": np.array([list("abcd"), list("efgh")], dtype=object),
        },
        "action": torch.arange(6).view(2, 3),
        "reward": torch.arange(6.0).view(2, 3),
        "sites": {"exposure": torch.linspace(0, 1, 6).view(2, 3)},
    }
    return History.of(**(columns | changes))


def test_what_is_left_out_is_filled_in():
    h = history()
    assert h.length.tolist() == [3, 3]
    assert h.ids.tolist() == [0, 1]
    assert h.truncated.tolist() == [[False, False, True]] * 2
    assert not h.terminated.any()
    assert (len(h), h.num_steps) == (2, 3)


def test_columns_come_back_rows_first():
    h = history()
    assert torch.equal(h.observation["screen"], torch.arange(24).view(2, 4, 3))
    assert h.observation["text"].tolist() == [list("abcd"), list("efgh")]
    assert torch.equal(h.sites["exposure"], torch.linspace(0, 1, 6).view(2, 3))


def test_cuts():
    h = history(length=torch.tensor([1, 3]))
    assert h[1].action.tolist() == [[3, 4, 5]]
    assert h[-1].action.tolist() == [[3, 4, 5]]
    assert h[torch.tensor([1])].observation["text"].tolist() == [list("efgh")]
    with pytest.raises(IndexError, match="row 2 of a history of 2 rows"):
        h[2]
    assert h[torch.tensor([False, True])].ids.tolist() == [1]
    assert h[:, :2].length.tolist() == [1, 2]
    assert h[:, :2].observation["text"].tolist() == [list("abc"), list("efg")]
    assert h[:, :2][:, :1].action.tolist() == [[0], [3]]
    assert h.valid.tolist() == [[True, False, False], [True, True, True]]
    with pytest.raises(IndexError):
        h[:, 1]


def test_equality_sees_every_difference():
    assert history().equals(history())
    assert not history().equals(history(seed=1))
    assert not history().equals(history(ids=torch.tensor([1, 0])))
    assert not history().equals(history(reward=torch.zeros(2, 3)))
    assert not history().equals(history(sites={}))
    other = history()
    other.observation["text"][0, 0] = "z"
    assert not history().equals(other)


def test_columns_of_other_lengths_are_refused():
    with pytest.raises(
        ValueError, match=r"column 'action' begins with axes \(2, 2\): expected \(2, 3\), rows and steps"
    ):
        history(action=torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"column 'observation' begins with axes \(2, 3\): expected \(2, 4\)"):
        history(observation=torch.zeros(2, 3))


def test_a_missing_column_is_named():
    with pytest.raises(LookupError, match="no column 'click' in this history, which has"):
        history().column("click")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": torch.tensor([1, 4])}, "length of row 1 is 4: expected 0 to 3"),
        ({"ids": torch.tensor([1.0, 2.0])}, "ids is torch.float32"),
        ({"terminated": torch.zeros(2, 3)}, r"terminated is torch.float32 \(2, 3\): expected a bool tensor"),
        ({"sites": {"action": torch.zeros(2, 3)}}, r"sites has \['action'\]: expected names of its own"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        history(**change)
