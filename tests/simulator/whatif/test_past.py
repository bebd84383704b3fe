"""What a policy sees of its past can be dropped, shuffled and corrupted, and nothing else changes."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from ethogram.agents.simple import UniformSlates
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Do, rollout
from ethogram.simulator.history import History
from ethogram.simulator.whatif import corrupt_past, drop_past, shuffle_past


@dataclass
class Watched:
    """Acts as another does, and keeps the histories that it is shown."""

    seen: list = field(default_factory=list)

    def act(self, observation, history, draws):
        self.seen.append(history[:])
        return UniformSlates(num_items=6, length=2).act(observation, None, draws)


def run(*interventions, **more):
    policy = Watched()
    history = rollout(
        CascadingSession(trap()),
        policy,
        rows=5,
        horizon=6,
        seed=3,
        interventions=interventions,
        record=["click"],
        **more,
    )
    return history, policy.seen


def test_the_record_stays_as_it_is():
    plain, _ = run()
    for change in (drop_past(1), shuffle_past, corrupt_past(torch.zeros_like)):
        other, _ = run(Do("history", change), scenario="factual")
        assert other.equals(plain)


@pytest.mark.parametrize("keep", [0, 2, 9])
def test_dropped_are_all_but_the_last_steps(keep):
    plain, seen = run(Do("history", drop_past(keep)))
    for t, history in enumerate(seen):
        assert history.num_steps == min(t, keep)
        assert torch.equal(history.observation, plain.observation[:, max(t - keep, 0) : t + 1])
        if history.num_steps:
            assert torch.equal(history.action, plain.action[:, max(t - keep, 0) : t])
            assert torch.equal(history.sites["click"], plain.sites["click"][:, max(t - keep, 0) : t])
        assert history.length.tolist() == [min(t, keep)] * 5
        assert torch.equal(history.ids, plain.ids)


def test_shuffled_steps_are_the_same_steps_in_another_order_and_the_present_stays_last():
    plain, seen = run(Do("history", shuffle_past))
    moved = 0
    for t, history in enumerate(seen):
        assert history.num_steps == t
        assert torch.equal(history.observation[:, -1], plain.observation[:, t])
        for row in range(5 if t else 0):
            blocks = [
                torch.cat([h.observation[row, :t, None], h.action[row, :t]], 1).tolist() for h in (history, plain)
            ]
            assert sorted(blocks[0]) == sorted(blocks[1])
            moved += blocks[0] != blocks[1]
    assert moved > 10
    again = run(Do("history", shuffle_past))[1]
    assert all(a.equals(b) for a, b in zip(seen, again, strict=True))


def test_corrupted_is_what_was_seen_and_neither_the_present_nor_what_was_done():
    plain, seen = run(Do("history", corrupt_past(lambda past: past + 7), start=2, stop=4))
    for t, history in enumerate(seen):
        wrong = 7 if t in (2, 3) else 0
        assert torch.equal(history.observation[:, :t], plain.observation[:, :t] + wrong)
        assert torch.equal(history.observation[:, t], plain.observation[:, t])
        assert not t or torch.equal(history.action, plain.action[:, :t])


def test_text_and_dicts_are_steps_too():
    words = np.array([["a", "b", "c"], ["d", "e", "f"]], dtype=object)
    history = History.of(
        observation={"text": words, "number": torch.arange(6).view(2, 3)},
        action=torch.arange(4).view(2, 2),
        reward=torch.zeros(2, 2),
    )
    kept = drop_past(1)(history)
    assert kept.observation["text"].tolist() == [["b", "c"], ["e", "f"]]
    assert kept.observation["number"].tolist() == [[1, 2], [4, 5]]
    assert kept.action.tolist() == [[1], [3]]
    other = shuffle_past(history)
    assert other.observation["text"][:, -1].tolist() == ["c", "f"]
    assert sorted(other.observation["text"][0].tolist()) == ["a", "b", "c"]


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="keep is -1"):
        drop_past(-1)
    with pytest.raises(TypeError, match="change is a int"):
        corrupt_past(3)
    with pytest.raises(TypeError, match=r"Do\('history'\) gives a int: expected a function that returns a History"):
        run(Do("history", 0))
    with pytest.raises(ValueError, match="leave who= out"):
        run(Do("history", shuffle_past, who=torch.ones(5, dtype=torch.bool)))
