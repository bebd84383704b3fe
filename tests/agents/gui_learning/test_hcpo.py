"""HCPO: compressed histories, sampled lengths, and two branches, each against what it must equal."""

import pytest
import torch

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import (
    HCPO,
    QWEN_3B,
    GuiPolicy,
    Imitation,
    Steps,
    dropped_at,
    episodes_of,
    prefill_flops,
    steps_of,
    successes,
)
from ethogram.agents.gui_learning.hcpo import bias, length_probabilities
from ethogram.agents.gui_vlm import steps_of_pictures
from ethogram.agents.har import WarmUp, har
from ethogram.agents.learning import Categorical, Transformer, save_weights, train
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui_tasks import carry
from ethogram.simulator import Draws, rollout

APP = carry(distance=2)


def shown(rows=3):
    return rollout(SymbolicGui(APP), Scripted(), rows=rows, horizon=APP.horizon, seed=0)


@pytest.fixture(scope="module")
def steps():
    return steps_of(shown(24), 2)


def policy_of(seed=0, **settings):
    torch.manual_seed(seed)
    return GuiPolicy(2, width=16, layers=3, heads=2, hidden=32, **settings)


def read_whole(policy, prompts, answer, drop_at):
    """(m, symbols) chances of the next symbol, without a cache: a prompt and its answer so far, in one pass."""
    there = torch.cat([prompts.present, answer > 0], 1)
    tokens = torch.cat([policy.table(prompts.tokens).sum(2), policy.table(answer)], 1)
    kept = torch.cat([prompts.kept("screens"), answer > 0], 1)
    drop = {} if drop_at is None else {"keep": kept, "drop_at": drop_at}
    out, _ = policy.body(tokens, (there.cumsum(1) - 1).clamp(min=0), there, **drop)
    return policy.logits(out[:, -1]).softmax(1)


@pytest.mark.parametrize("drop_at", [None, 1])
def test_drawing_with_a_cache_for_a_group_equals_reading_all_again_for_each_symbol(steps, drop_at):
    policy = policy_of().double()
    prompts, draws = steps.prompts.rows(slice(0, 4)), Draws(3, torch.arange(12))
    answer = policy.generate(prompts, draws, group=3, drop_at=drop_at)
    for row in range(12):
        own, alone = Draws(3, torch.tensor([row])), prompts.rows(slice(row // 3, row // 3 + 1))
        so_far = torch.zeros(1, 0, dtype=torch.int64)
        while so_far.shape[1] < answer.shape[1] and not (so_far == 1).any():
            chances = read_whole(policy, alone, so_far, drop_at).detach()
            so_far = torch.cat([so_far, own.categorical(f"symbol {so_far.shape[1]}", chances)[:, None]], 1)
        assert answer[row, : so_far.shape[1]].tolist() == so_far[0].tolist()
        assert not answer[row, so_far.shape[1] :].any()


def test_a_group_that_shares_its_prompt_is_scored_like_answers_one_by_one(steps):
    policy = policy_of().double()
    prompts = steps.prompts.rows(slice(4, 8))
    answer = policy.generate(prompts, Draws(1, torch.arange(8)), group=2)
    together = policy.log_probs_of(prompts, answer, drop_at=1)
    for row in range(8):
        alone = policy.log_probs_of(prompts.rows(slice(row // 2, row // 2 + 1)), answer[row : row + 1], drop_at=1)
        assert torch.allclose(together[row], alone[0], atol=1e-12)


def test_a_step_is_read_alike_among_longer_ones_and_alone(steps):
    """What is absent in a row is left out, whatever stands in the others of its batch."""
    policy = policy_of().double()
    together, _ = policy.read(steps.prompts, None)
    for row in range(0, len(steps.row), 7):
        alone, _ = policy.read(steps.prompts.rows(slice(row, row + 1)), None)
        assert torch.allclose(together[row], alone[0], atol=1e-12)


def test_success_is_counted_at_the_steps_of_several_tasks(steps):
    policy = policy_of()
    mixed = Steps.mixed([steps, steps])
    found = successes(policy, mixed, drop_at=1)
    assert torch.equal(found, successes(policy, steps, drop_at=1).repeat(2))
    assert torch.equal(successes(policy, steps, 0), successes(policy, steps, 0, drop_at=1))  # no past, nothing to drop
    shorter = steps_of(rollout(SymbolicGui(APP), Scripted(), rows=2, horizon=APP.horizon, seed=0), 1)
    with pytest.raises(ValueError, match="several layouts: expected the same memory"):
        Steps.mixed([steps, shorter])


def test_dropping_nothing_or_at_the_end_or_without_a_past_changes_nothing(steps):
    policy = policy_of().double()
    prompts = steps.prompts.rows(slice(0, 6))
    answer = policy.generate(prompts, Draws(1, torch.arange(6)))
    plain = policy.log_probs_of(prompts, answer)
    assert torch.equal(policy.log_probs_of(prompts, answer, drop_at=3), plain)
    assert not torch.allclose(policy.log_probs_of(prompts, answer, drop_at=1), plain)
    alone = prompts.limited(0)
    plain = policy.log_probs_of(alone, answer)
    assert torch.allclose(policy.log_probs_of(alone, answer, drop_at=1), plain, atol=1e-12)


def test_lengths_are_drawn_by_the_formula():
    """Chi-squared over 20,000 draws; beyond 20.5 by chance once in 30,000 seeds (2 degrees of freedom)."""
    assert [bias(u, 301) for u in (0, 50, 100, 300)] == pytest.approx([0, 1, 2, 2])
    found = length_probabilities(torch.tensor([2, 1, 0]), 2.0, 2)
    assert found[0].tolist() == pytest.approx([0.016, 0.117, 0.867], abs=5e-4)
    assert found[1].tolist() == pytest.approx([1 / (1 + torch.e**2), 1 / (1 + torch.e**-2), 0])
    assert found[2].tolist() == [1, 0, 0]
    n = 20_000
    drawn = Draws(0, torch.arange(n)).categorical("memory", length_probabilities(torch.full((n,), 2), 0.45, 2))
    expected = n * length_probabilities(torch.tensor([2]), 0.45, 2)[0]
    assert ((torch.bincount(drawn, minlength=3) - expected) ** 2 / expected).sum() < 20.5


def test_the_teacher_does_not_learn_from_being_one(steps):
    """With only the alignment in the loss, the gradient is that of the compressed branch."""
    policy = policy_of().double()
    with torch.no_grad():
        policy.table.weight.mul_(3)

    def slope(detach):
        trainee = HCPO(policy, steps, 10, prompts=4, group=2, kl=0, alignment=1, detach=detach)
        prompts, answer, _, _ = trainee.explored(0)
        compressed = policy.log_probs_of(prompts, answer, drop_at=1)
        full = policy.log_probs_of(prompts, answer)
        d = (full.detach() if detach else full) - compressed
        by_hand = (d.exp() - d - 1).clamp(-10, 10)[answer > 0].mean()
        trainee.explored = lambda update: (prompts, answer, torch.zeros(8, 1), {})
        ((loss, _),) = trainee.losses(0)
        assert loss.item() == pytest.approx(by_hand.item())
        return torch.autograd.grad(loss, policy.body.norm.weight)[0], torch.autograd.grad(
            by_hand, policy.body.norm.weight
        )[0]

    for detach in (True, False):
        found, by_hand = slope(detach)
        assert torch.allclose(found, by_hand, atol=1e-10)
    assert not torch.allclose(slope(True)[0], slope(False)[0])


@pytest.mark.parametrize("settings", [
    {}, {"mode": "code"}, {"lengths": "uniform", "rescore": True}, {"branches": "compressed"}, {"positive": True},
])  # fmt: skip
def test_every_variant_trains(steps, settings):
    trainee = HCPO(policy_of(), steps, 2, prompts=2, group=3, **settings)
    training = train(trainee, 2, progress=False)
    assert set(training.measures) >= {"loss", "reward", "success", "informative", "memory"}
    assert training["loss"].isfinite().all()


def test_histories_are_shortened_in_the_first_ninth_only_in_the_codes_mode(steps):
    for mode, last in (("code", True), ("paper", False)):
        trainee = HCPO(policy_of(), steps, 90, prompts=8, group=8, mode=mode)
        there = torch.full((64,), 2)
        draws = Draws(0, torch.arange(64))
        assert (trainee.looked_back(there, 5, draws) < 2).any()
        assert (trainee.looked_back(there, 11, draws) == 2).all().item() is last


def test_imitation_lowers_its_loss_and_the_policy_acts(steps):
    policy = policy_of()
    training = train(Imitation(policy, steps, batch=32), 60, rate=3e-3, progress=False)
    assert training["loss"][-5:].mean() < training["loss"][:5].mean() / 2
    for drop_at in (None, 1):
        policy.drop_at = drop_at
        history = rollout(SymbolicGui(APP), policy, rows=3, horizon=4, seed=1)
        assert history.num_steps == 4 or history.terminated.any()


def test_the_formula_of_operations_gives_the_papers_figures():
    """13.21, 35.75 and 25.21 T in the paper; the formula is within 2 % and counts each operation once."""
    short, long = 674, 1664
    assert 2 * prefill_flops(QWEN_3B, [short] * 36, 1) == pytest.approx(13.0e12, abs=0.05e12)
    assert 2 * prefill_flops(QWEN_3B, [long] * 36, 3) == pytest.approx(35.9e12, abs=0.05e12)
    assert 2 * prefill_flops(QWEN_3B, dropped_at(6, 36, long, short), 3) == pytest.approx(25.6e12, abs=0.05e12)
    with pytest.raises(ValueError, match="35 layers: expected 36"):
        prefill_flops(QWEN_3B, [short] * 35)


@pytest.mark.parametrize(("settings", "error"), [
    ({"mode": "papers"}, "mode is 'papers'"),
    ({"lengths": "bias"}, "lengths"),
    ({"drop_at": 9}, "drop_at is 9"),
    ({"kl": -1}, "kl"),
    ({"until": -1}, "until is -1"),
])  # fmt: skip
def test_wrong_settings_are_named(steps, settings, error):
    with pytest.raises((ValueError, TypeError), match=error):
        HCPO(policy_of(), steps, 5, **settings)


@pytest.mark.parametrize(("wrong", "error"), [
    (lambda: policy_of(past="screen"), "past is 'screen'"),
    (lambda: policy_of(drop="images"), "drop is 'images'"),
    (lambda: policy_of(drop_at=4), "drop_at is 4"),
    (lambda: policy_of(temperature=-1.0), "temperature is -1"),
    (lambda: steps_of("history", 2), "history is a str"),
    (lambda: episodes_of(None), "history is None"),
    (lambda: dropped_at(9, 4, 5, 5), "layer is 9"),
    (lambda: steps_of(shown()[:0], 2), "history has no step of anybody"),
    (lambda: episodes_of(shown()[:0]), "history has no step of anybody"),
    (lambda: steps_of_pictures([], 2), "episodes have no step"),
    (lambda: HCPO(policy_of(), steps_of(shown(), 4), 5), "look back 3 steps, and the policy 2: expected the same"),
    (lambda: Imitation(policy_of(), steps_of(shown(), 4)), "look back 3 steps, and the policy 2: expected the same"),
    (lambda: Imitation(policy_of(past="sentences"), steps_of(shown(), 2)), "past='sentences', and steps the screens"),
    (lambda: successes(policy_of(), steps_of(shown(), 2), memory=-1), "memory is -1"),
    (lambda: successes(policy_of(), steps_of(shown(), 2), drop_at=9), "drop_at is 9: expected 0 to 3"),
    (lambda: successes(policy_of(), steps_of(shown(), 2), drop_at=-1), "drop_at is -1: expected 0 to 3"),
    (lambda: policy_of().log_probs(shown()), r"record is a History: .* Imitation\(policy, steps_of\(history"),
    (lambda: WarmUp(policy_of(), episodes_of(shown())), "past='screens', and HAR's past are sentences"),
    (lambda: har(policy_of(), episodes_of(shown()), (1, 1)), "past='screens', and HAR's past are sentences"),
    (lambda: har(policy_of(past="sentences"), shown(), (1, 1)), "episodes is a History"),
    (lambda: har(policy_of(past="sentences"), episodes_of(shown()), (1, -1)), "updates is -1"),
    (lambda: har(policy_of(past="sentences"), episodes_of(shown()), (1, 1), prompts=1), "prompts is 1: .* 2 or more"),
    (lambda: Transformer(heads=0), "heads is 0"),
    (lambda: Transformer(layers=0), "layers is 0"),
    (lambda: Categorical("net", 3), "net is a str"),
    (lambda: save_weights("net", "net.npz"), "module is a str"),
])  # fmt: skip
def test_wrong_arguments_are_named(wrong, error):
    with pytest.raises((ValueError, TypeError), match=error):
        wrong()
