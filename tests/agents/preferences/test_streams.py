"""Descriptions brought up to date: what is read, and what an agent makes of it."""

import pickle
from dataclasses import dataclass, field

import pytest
import torch

from ethogram.agents.preferences import Bayes, PreferenceAgent, TokenWriter, choices_of, choose_by, people_of, streamed
from ethogram.envs.choices import Choosing
from ethogram.simulator import Do, Draws, check_policy, rollout


@dataclass
class Spy:
    """Describes people by what it was shown: the number of choices, and the one before."""

    shown: list = field(default_factory=list)

    def describe(self, choices, previous, draws):
        self.shown.append((choices.chosen.shape[1], previous, draws.step))
        return len(self.shown)

    def choose(self, description, options):
        return torch.full(options.shape[:-1], 1 / options.shape[-2])


def test_a_stream_reads_every_window_once_with_the_words_before_it():
    read, draws = people_of(Choosing(), 3, 31, 1).read, Draws(0, torch.arange(3))
    spy = Spy()
    assert streamed(spy, read, 10, draws) == (1, 2, 3)
    assert spy.shown == [(10, None, 0), (10, 1, 1), (10, 2, 2)]
    assert streamed(spy, read, 10, draws, said=("a", "b")) == ("a", "b", 4)
    assert spy.shown[3] == (10, "b", 2)


@pytest.mark.parametrize(("reread", "sizes"), [(False, [5, 5, 5]), (True, [5, 10, 15])])
def test_an_agent_writes_once_a_window_and_a_stream_costs_no_more_late_than_early(reread, sizes):
    spy = Spy()
    rollout(Choosing(), PreferenceAgent(spy, 5, reread), rows=4, horizon=17)
    assert [size for size, _, _ in spy.shown] == sizes
    assert [step for _, _, step in spy.shown] == [0, 1, 2]


@pytest.mark.parametrize("reread", [False, True])
def test_an_agent_foresees_what_its_descriptions_say(reread):
    torch.manual_seed(1)
    writer = TokenWriter(2, width=8)
    agent = PreferenceAgent(writer, 4, reread)
    history = rollout(Choosing(5, 2), agent, rows=40, horizon=13, seed=3)
    draws, made = Draws(3, torch.arange(40), scope="policy"), choices_of(history)
    stream = streamed(writer, made, 4, draws)
    for step in range(4, 13):
        k = step // 4 - 1
        words = writer.describe(made.between(0, 4 * k + 4), None, draws.at(k)) if reread else stream[k]
        p = choose_by(words, made.options[:, step])
        assert torch.equal(history.action[:, step], draws.at(step).categorical("option", p))
    assert abs(history.reward[:, :4].mean() - 0.5) < 0.2


def test_it_foresees_the_better_the_longer_it_has_looked():
    """Bayes by window: chance, then what one, two and three windows tell."""
    bayes = Bayes(6, 2).calibrate(people_of(Choosing(6, 2), 3000, 6, 1, seed=5), Draws(1, torch.arange(3000)))
    history = rollout(Choosing(6, 2), PreferenceAgent(bayes, 6), rows=400, horizon=18, seed=6)
    by_window = history.reward.view(400, 3, 6).mean((0, 2))
    assert abs(by_window[0] - 0.5) < 0.05
    assert by_window[0] + 0.2 < by_window[1] < by_window[2]


def test_what_it_keeps_changes_nothing():
    """The same agent after another past, another seed and a pickle acts as a fresh one."""
    torch.manual_seed(1)
    agent, turn = PreferenceAgent(TokenWriter(2, width=8), 4), Do("preference", torch.neg, start=6, stop=7)
    how = {"rows": 10, "horizon": 14}
    fresh = rollout(Choosing(), PreferenceAgent(agent.inferrer, 4), **how, seed=2)
    rollout(Choosing(), agent, **how, seed=2, interventions=[turn])
    rollout(Choosing(), agent, **how, seed=5)
    assert rollout(Choosing(), agent, **how, seed=2).equals(fresh)
    assert rollout(Choosing(), pickle.loads(pickle.dumps(agent)), **how, seed=2).equals(fresh)
    check_policy(agent, Choosing())


@pytest.mark.parametrize(("inferrer", "window", "said"), [(3, 5, "inferrer"), (Spy(), 0, "window")])
def test_wrong_settings_are_named(inferrer, window, said):
    with pytest.raises((TypeError, ValueError), match=f"{said}.*expected"):
        PreferenceAgent(inferrer, window)
