"""HAR: sentences of the past, hints that leak nothing, the judge, and the hybrid reward by its table."""

import pytest
import torch

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import PAST, GuiPolicy, asked, episodes_of, parsed, success, symbols, written
from ethogram.agents.har import (
    AskedGuide,
    AskedJudge,
    Mistake,
    Practice,
    error_of,
    errors,
    grounding,
    guidelines,
    har,
    hybrid_reward,
    inference,
    mentions,
    reflection,
    stated,
    thoughts,
)
from ethogram.agents.learning import GRPO, advantages, train
from ethogram.envs.gui import TYPES, VOCABULARY, SymbolicGui
from ethogram.envs.gui_tasks import checklist
from ethogram.simulator import Draws, rollout

APP = checklist(distance=1)
TAP, BACK, DONE = (TYPES.index(name) for name in ("tap", "back", "done"))


@pytest.fixture(scope="module")
def episodes():
    return episodes_of(rollout(SymbolicGui(APP), Scripted(), rows=40, horizon=APP.horizon, seed=0))


@pytest.fixture(scope="module")
def wrong(episodes):
    """An untrained policy's errors."""
    torch.manual_seed(1)
    rows, answer = errors(small(), episodes, Draws(0, torch.arange(len(episodes.row))))
    return episodes.rows(rows), answer


def small():
    torch.manual_seed(0)
    return GuiPolicy(4, past="sentences", width=16, layers=2, heads=2, hidden=32)


def truth_of(kind, x=0.5, y=0.5):
    zero = torch.tensor([0])
    return {"type": torch.tensor([kind]), "point": torch.tensor([[x, y]]), "text": zero, "direction": zero}


def words_of(symbol):
    return symbols.SYMBOLS[symbol]


@pytest.mark.parametrize(("answered", "truth", "remembered", "worth"), [
    (truth_of(TAP), truth_of(TAP), True, 2.2),
    (truth_of(TAP), truth_of(TAP), False, 2.0),
    (truth_of(BACK), truth_of(BACK), True, 1.2),
    (truth_of(BACK), truth_of(TAP), True, 0.2),
])  # fmt: skip
def test_the_hybrid_reward_by_its_table(answered, truth, remembered, worth):
    read = parsed(written(answered))
    assert hybrid_reward(read, truth, torch.tensor([remembered])).item() == pytest.approx(worth)
    bad = parsed(written(answered)[:, 1:])  # no thought
    assert hybrid_reward(bad, truth, torch.tensor([remembered])).item() == 0


def test_a_right_place_beats_a_wrong_one_and_nearer_beats_farther():
    read = parsed(written(truth_of(TAP)))
    worth = [hybrid_reward(read, truth_of(TAP, 0.5 + cells / 32), torch.tensor([False])).item() for cells in range(15)]
    assert worth == sorted(worth, reverse=True)
    assert len(set(worth)) == 15
    assert min(worth[:5]) > 1 > 0.5 >= max(worth[5:])  # 4 of 32 are .125 and 5 are .156 of the screen


def test_sentences_are_the_last_four_numbered_from_one(episodes):
    row = int(episodes.row[episodes.step == 5][0])
    here = (episodes.row == row).nonzero()[:, 0]
    said = episodes.sentences[here]
    assert [(s[:, 0] > 0).sum().item() for s in said] == [min(k, PAST) for k in range(len(here))]
    for k in range(1, len(here)):
        count = min(k, PAST)
        did = [int(episodes.truth["type"][here[j]]) + symbols.FIRST_TYPE for j in range(k - count, k)]
        assert said[k, :count, 0].tolist() == did
    prompts = asked(symbols.ANSWER, episodes.seen, episodes.sentences)
    line = prompts.tokens[here[5]][(prompts.part == 2) & prompts.present[here[5]]]
    assert [words_of(number) for number in line[:, 0].tolist()] == ["step 1", "step 2", "step 3", "step 4"]


def test_hints_never_name_what_is_right(wrong):
    episodes, answer = wrong
    hints = guidelines(parsed(answer), episodes)
    assert (hints > 0).any(1).all()
    assert ((hints.view(len(hints), -1, 2) > 0).any(2).sum(1) <= 3).all()
    right = written(episodes.truth)[:, 2:]  # the action, without think and action
    right = torch.where(right == symbols.END, 0, right)
    leaks = (hints[:, :, None] == right[:, None, :]) & (hints[:, :, None] > 0)
    assert not leaks.any()


def test_every_error_has_a_kind_and_right_answers_have_none(wrong, episodes):
    there, answer = wrong
    assert (error_of(parsed(answer), there)[parsed(answer).type >= 0] > 0).all()
    assert (error_of(parsed(written(episodes.truth)), episodes) == 0).all()
    early = parsed(written({**there.truth, "type": torch.full_like(there.truth["type"], DONE)}))
    kinds = error_of(early, there)[there.truth["type"] != DONE]
    assert {words_of(kind) for kind in kinds.tolist()} == {"early stop"}


@pytest.mark.parametrize(("thought", "strict", "loose"), [
    (("step 1", "word 40"), True, True),
    (("step 2", "word 41"), True, True),
    (("step 1", "word 41"), False, True),  # of another step
    (("step 1", "next"), False, True),
    (("step 3", "word 40"), False, True),  # there is none
    (("next", "word 40"), False, False),
    ((), False, False),
])  # fmt: skip
def test_the_judges_truth_table(thought, strict, loose):
    ids = {name: k for k, name in enumerate(symbols.SYMBOLS)}
    sentences = torch.zeros(1, PAST, 4, dtype=torch.int64)
    sentences[0, 0, :2] = torch.tensor([ids["tap"], ids["word 40"]])
    sentences[0, 1, :2] = torch.tensor([ids["tap"], ids["word 41"]])
    symbol = torch.tensor([[ids[name] for name in thought]], dtype=torch.int64)
    answer = written(truth_of(BACK), symbol)
    assert mentions(answer, sentences).item() is strict
    assert mentions(answer, sentences, strict=False).item() is loose


def test_the_teacher_is_aware_of_the_past_as_often_as_it_should_be(episodes):
    """A binomial share of .15; beyond four standard errors once in 16,000 seeds."""
    many = episodes.rows(torch.arange(len(episodes.row)).repeat(20))
    thought = thoughts(many, 0.15, Draws(0, torch.arange(len(many.row))))
    answer = written(many.truth, thought)
    assert parsed(answer).formed.all()
    able = (many.sentences[..., 1:] > 0).any(-1).any(1)  # some sentence has a word
    aware = mentions(answer, many.sentences)
    assert not aware[~able].any()
    assert aware[able].float().mean().item() == pytest.approx(0.15, abs=4 * (0.15 * 0.85 / able.sum().item()) ** 0.5)


def test_a_reflection_states_its_error_before_it_thinks(wrong):
    episodes, answer = wrong
    first = stated(parsed(answer), episodes)
    told = torch.cat([first, written(episodes.truth)], 1)
    order = (told == 0).to(torch.int8).argsort(dim=1, stable=True)
    told = told.gather(1, order)
    assert parsed(told, statement=True).formed.all()
    assert not parsed(told).formed.any()
    assert not parsed(written(episodes.truth), statement=True).formed.any()


def test_equal_rewards_teach_nothing():
    assert advantages(torch.full((2, 8), 1.2)).abs().max() < 1e-8


def test_both_rounds_train_and_the_policy_acts_with_its_own_sentences(wrong, episodes):
    there, answer = wrong
    policy = small()
    for exercises in ((reflection(there, answer),), (inference(there), grounding(episodes))):
        task = Practice(exercises)
        part = task.answers(policy, 4, 3, Draws(0, torch.arange(4)))
        assert part.reward.shape == (4, 3)
        assert ((part.reward >= 0) & (part.reward <= 2.2)).all()
        training = train(GRPO(policy, task, prompts=4, group=3), 2, progress=False)
        assert training["loss"].isfinite().all()
    for past in ("sentences", "own sentences"):
        policy.past = past
        history = rollout(SymbolicGui(APP), policy, rows=3, horizon=6, seed=1)
        assert history.num_steps == 6 or history.terminated.any()


class Says:
    """A policy whose answer is always the same."""

    drop_at, drop = None, "screens"

    def __init__(self, answer):
        self.answer = answer

    def generate(self, prompts, draws, group, **how):
        return self.answer.expand(len(prompts.tokens) * group, -1)


@pytest.mark.parametrize(("thought", "plain", "forced", "zero_one"), [
    ("", 1.0, 0.0, 1.0),
    ("step 1", 1.2, 1.2, 1.2),  # as the judge of any mention has it
])  # fmt: skip
def test_forced_answers_have_to_name_a_step_be_it_true_or_not(episodes, thought, plain, forced, zero_one):
    """At a step with a past: a right action that has no place, so that a graded worth is 1 too."""
    there = episodes.rows(((episodes.truth["type"] == DONE) & (episodes.step > 0)).nonzero()[:1, 0])
    told = torch.tensor([[symbols.SYMBOLS.index(thought)]])
    policy = Says(written(there.truth, told))

    def reward(**settings):
        task = Practice((inference(there, forced=settings.pop("forced", False)),), judge=loose, **settings)
        return task.answers(policy, 1, 2, Draws(0, torch.arange(1))).reward[0, 0].item()

    def loose(answer, sentences):
        return mentions(answer, sentences, strict=False)

    assert [reward(), reward(forced=True), reward(worth=success)] == pytest.approx([plain, forced, zero_one])
    told_to = inference(there, forced=True).prompts.tokens
    assert (told_to == symbols.CHECK_HISTORY).any()
    assert not (inference(there).prompts.tokens == symbols.CHECK_HISTORY).any()


def test_places_of_worth_0_or_1_are_right_or_not():
    read, near = parsed(written(truth_of(TAP))), truth_of(TAP, 0.56)
    assert 1.5 < hybrid_reward(read, near, torch.tensor([False])).item() < 2
    assert hybrid_reward(read, near, torch.tensor([False]), worth=success).item() == 1


def test_a_policy_at_work_reads_the_sentences_that_it_was_trained_on():
    """What it reads while it acts equals what the record of that gives."""
    policy = small()
    asked_for = []
    reading = policy.prompts
    policy.prompts = lambda observation, history: asked_for.append(reading(observation, history)) or asked_for[-1]
    history = rollout(SymbolicGui(APP), policy, rows=3, horizon=6, seed=1)
    later = episodes_of(history)
    again = asked(symbols.ANSWER, later.seen, later.sentences)
    for place, (row, step) in enumerate(zip(later.row.tolist(), later.step.tolist(), strict=True)):
        then = asked_for[step]
        assert torch.equal(then.tokens[row][then.present[row]], again.tokens[place][again.present[place]])


def test_a_judge_is_asked_once_for_each_history_and_thought_in_words(episodes):
    past = episodes.rows((episodes.step == 2).nonzero()[:4, 0])
    told = past.sentences[0]
    answer = written(past.truth, torch.tensor([[symbols.FIRST_STEP, told[0, 1].item()]] * 4))
    questions = []

    def judge(history, think):
        questions.append((history, think))
        return history[0].split()[1] in think

    asked_judge = AskedJudge(judge)
    assert torch.equal(asked_judge(answer, past.sentences), mentions(answer, past.sentences))
    assert asked_judge(answer, past.sentences)[0]
    assert len(questions) == len(set(questions))
    assert questions[0][0][0].startswith("tap ")
    assert questions[0][1].startswith("step 1 ")


def test_a_judge_who_does_not_answer_in_time_says_no_and_is_asked_again(episodes):
    past = episodes.rows((episodes.step == 2).nonzero()[:1, 0])
    calls = []

    def judge(history, think):
        calls.append(think)
        if len(calls) == 1:
            raise TimeoutError("too late")
        return True

    asked_judge = AskedJudge(judge)
    verdicts = [asked_judge(written(past.truth), past.sentences).item() for _ in range(3)]
    assert verdicts == [False, True, True]
    assert len(calls) == 2


def test_a_guide_is_told_the_mistake_and_hints_that_leak_are_left_out(wrong):
    steps, answer = wrong
    seen = []

    def guideline(mistake):
        seen.append(mistake)
        right = mistake.right.split()[-1]
        return ["check history", f"it is {right}", "avoid clock"]

    guide = AskedGuide(guideline)
    hints = guide(parsed(answer), steps).view(-1, 3, 8)
    assert len(seen) == len(set(seen)) < len(answer)
    assert isinstance(seen[0], Mistake)
    assert seen[0].goal.startswith("Open each")
    leaked = (hints[:, 1] == 0).all(1)
    assert leaked.all()
    assert len(guide.leaked) >= len(answer)
    assert (hints[:, 0, :2] == torch.tensor([symbols.CHECK_HISTORY, 0])).all()
    clock = symbols.FIRST_WORD + VOCABULARY.index("Clock")
    others = (hints[:, 2] != 0).any(1)
    assert (hints[others, 2, :2] == torch.tensor([symbols.AVOID, clock])).all()
    practised = reflection(steps, answer, guide)
    assert (practised.prompts.tokens[..., 0] == symbols.CHECK_HISTORY).any(1).all()


def test_a_guide_who_is_late_gives_no_hint_and_too_many_or_too_long_ones_are_refused(wrong):
    steps, answer = wrong

    def late(mistake):
        raise TimeoutError("too late")

    assert not AskedGuide(late)(parsed(answer), steps).any()
    for hints in (["a", "b", "c", "d"], ["one two three"]):
        with pytest.raises(ValueError, match="expected at most 3 hints of 2 words"):
            AskedGuide(lambda mistake, hints=hints: hints, words=2)(parsed(answer), steps)
    with pytest.raises(TypeError, match="guideline"):
        AskedGuide("be careful")


def test_both_rounds_take_a_guide_and_a_judge_of_ones_own(episodes):
    course = har(
        small(), episodes, (1, 1), prompts=4, group=2, progress=False,
        hints=AskedGuide(lambda mistake: ["look"]), judge=AskedJudge(lambda history, think: True),
    )  # fmt: skip
    assert course.errors > 0


def test_answers_are_drawn_with_what_is_dropped_when_they_are_scored(episodes):
    torch.manual_seed(0)
    policy = GuiPolicy(PAST, past="sentences", width=16, layers=2, heads=2, hidden=32, drop_at=0, drop="actions")
    drawn = Practice((inference(episodes),)).answers(policy, 12, 2, Draws(0, torch.arange(12)))
    prompts, answer = drawn.record
    luck = Draws(0, torch.arange(24), scope="answers")
    assert torch.equal(answer, policy.generate(prompts, luck, group=2, drop_at=0, drop="actions"))
    assert not torch.equal(answer, policy.generate(prompts, luck, group=2))
