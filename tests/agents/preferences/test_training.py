"""Teacher, filter, prompts and practice; and that a small writer learns."""

import copy

import pytest
import torch

from ethogram.agents.learning import GRPO, train
from ethogram.agents.preferences import (
    ColdStart,
    Practice,
    TokenWriter,
    contrary,
    counted,
    direction,
    people_of,
    prompts_of,
    reward_of,
    taught,
)
from ethogram.envs.choices import Choosing
from ethogram.simulator import Draws

WORLD, WINDOW = Choosing(4, 1), 6


def draws_of(n, seed=9):
    return Draws(seed, torch.arange(n))


@pytest.fixture(scope="module")
def people():
    return people_of(WORLD, 300, 2 * WINDOW, 6, seed=1)


@pytest.fixture
def writer():
    torch.manual_seed(0)
    return TokenWriter(1, width=16, weights=4)


def test_the_teacher_names_what_matters_in_the_direction_of_the_choices():
    met = people_of(Choosing(5, 3), 200, 8, 1, seed=2)
    contrast = met.read.contrast
    words = taught(contrast, met.preference != 0, 2, draws_of(200))
    said = direction(words, 5)
    assert ((said != 0).sum(1) == 2).all()
    assert torch.equal(said, torch.where(said != 0, contrast.sum(1).sign(), 0))
    assert (met.preference[said != 0] != 0).all()
    named = torch.stack([(said[:, j] != 0).double()[met.preference[:, j] != 0].mean() for j in range(5)])
    assert ((named - 2 / 3).abs() < 0.15).all()  # two of three, whichever
    assert ((taught(contrast, met.preference != 0, 4, draws_of(200)) == 0).sum(1) == 1).all()


def test_the_cold_start_keeps_what_foresees_every_target(writer, people):
    noisy = people_of(Choosing(4, 1, temperature=1.0), 300, 2 * WINDOW, 6, seed=1)
    learner = ColdStart(writer, noisy, WINDOW)
    kept = torch.zeros(3, 300, dtype=torch.bool)
    kept[learner.kept[:, 0], learner.kept[:, 1]] = True
    for kind in range(3):
        right = reward_of(writer, learner.words[kind], noisy.targets) == 1
        assert torch.equal(right, kept[kind])
    assert 0.01 < kept.double().mean() < 0.5 < len(ColdStart(writer, people, WINDOW).kept) / 900


def test_the_three_kinds_of_prompts_show_what_they_say(writer, people):
    kind = torch.arange(300) % 3
    draws = draws_of(300)
    prompts = prompts_of(writer, people, kind, WINDOW, 0.0, draws)
    contrast = people.read.contrast
    assert torch.equal(prompts["contrast"][0::3, :WINDOW], contrast[0::3, :WINDOW])
    assert not prompts["contrast"][0::3, WINDOW:].any()
    assert torch.equal(prompts["contrast"][1::3], contrast[1::3])
    assert not prompts["contrast"][2::3, :WINDOW].any()
    assert torch.equal(prompts["contrast"][2::3, WINDOW:], contrast[2::3, WINDOW:])
    assert not prompts["previous"][kind != 2].any()
    assert prompts["previous"][2::3].any()
    turned = prompts_of(writer, people, kind, WINDOW, 1.0, draws)
    assert torch.equal(turned["previous"], contrary(prompts["previous"]))
    few = people.rows(torch.arange(2, 300, 3))
    alone = prompts_of(writer, few, torch.full((100,), 2), WINDOW, 0.0, draws.of(torch.arange(2, 300, 3)))
    assert torch.equal(alone["previous"], prompts["previous"][2::3])


def test_a_group_is_one_person_described_several_times(writer):
    draws = Draws(3, torch.arange(6), scope="training")
    found = Practice(WORLD, WINDOW, targets=4).answers(writer, 6, 5, draws)
    contrast, words = found.record["contrast"].view(6, 5, -1), found.record["words"]
    assert torch.equal(contrast, contrast[:, :1].expand(-1, 5, -1))
    assert (words.view(6, 5) != words.view(6, 5)[:, :1]).any()
    assert torch.equal(found.mask, counted(words))
    assert found.reward.shape == (6, 5)
    met = people_of(WORLD, draws.ids, 2 * WINDOW, 4, seed=3)
    rows = torch.arange(6).repeat_interleave(5)
    assert torch.equal(found.reward.flatten(), reward_of(writer, words, met.targets.rows(rows)))
    some = Practice(WORLD, WINDOW, targets=4).answers(writer, 2, 5, Draws(3, torch.tensor([4, 1]), scope="training"))
    assert torch.equal(some.record["words"].view(2, 5), words.view(6, 5)[[4, 1]])


def test_a_writer_learns_from_the_teacher_and_then_from_the_outcome(writer, people):
    """From chance: a word of eight is right with 1/8. GRPO also asks again where a group says nothing."""
    met = people_of(WORLD, 400, WINDOW, 20, seed=7)

    def worth(of):
        return reward_of(of, of.describe(met.read, None, draws_of(400)), met.targets).mean().item()

    raw = worth(writer)
    train(ColdStart(writer, people, WINDOW, batch=64), 60, rate=1e-2, progress=False)
    cold = worth(writer)
    learner = GRPO(writer, Practice(WORLD, WINDOW), prompts=24, group=6, scale="none", kl=0.0, resample=1)
    train(learner, 15, rate=3e-3, progress=False)
    assert abs(raw - 0.5) < 0.1
    assert raw + 0.1 < cold < worth(writer)


def test_training_is_the_same_each_time(writer, people):
    other = copy.deepcopy(writer)
    for learner in (writer, other):
        train(ColdStart(learner, people, WINDOW, batch=16), 3, progress=False)
        train(GRPO(learner, Practice(WORLD, WINDOW), prompts=4, group=3), 2, progress=False)
    assert all(map(torch.equal, writer.parameters(), other.parameters()))


def test_people_whom_nobody_foresees_teach_nothing(writer):
    nobody = people_of(Choosing(4, 1, temperature=100.0), 2, 12, 60, seed=1)
    with pytest.raises(ValueError, match=r"none of 2 people are foreseen .*expected more people"):
        ColdStart(writer, nobody, WINDOW)


@pytest.mark.parametrize(
    ("settings", "said"), [({"window": 13}, "window"), ({"changed": 2}, "changed"), ({"batch": 0}, "batch")]
)
def test_wrong_settings_are_named(writer, people, settings, said):
    with pytest.raises(ValueError, match=f"{said}.*expected"):
        ColdStart(writer, people, **{"window": WINDOW, **settings})
