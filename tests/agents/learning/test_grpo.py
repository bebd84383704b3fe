"""Group-relative policy optimisation, against enumeration and closed forms."""

from itertools import product

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from ethogram.agents.learning import (
    GRPO,
    Answers,
    Categorical,
    Rollouts,
    advantages,
    informative,
    k3,
    masked_mean,
    surrogate,
    train,
)
from ethogram.simulator import Sites, Transition

WORTH = torch.tensor([0.2, 1.0, 0.5])


class Arms(nn.Module):
    """A softmax over arms: the policy whose gradients are known."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits, dtype=torch.float64))

    def log_probs(self, arms):
        return self.logits.log_softmax(0)[arms]


class Bandit:
    """One prompt like the other; ``given`` in place of chance."""

    def __init__(self, given=None):
        self.given = given

    def answers(self, policy, prompts, group, draws):
        if self.given is None:
            probabilities = policy.logits.detach().softmax(0).expand(prompts, -1)
            arms = torch.stack([draws.scoped(f"answer {g}").categorical("arm", probabilities) for g in range(group)], 1)
        else:
            arms = torch.tensor(self.given).view(prompts, group)
        arms = arms.view(-1, 1)
        return Answers(WORTH[arms].view(prompts, group), torch.ones_like(arms, dtype=torch.bool), arms)


def expected_gradient(group, **settings):
    """The mean gradient of the loss over all groups of arms, by their probabilities."""
    policy = Arms([0.3, -0.2, 0.1])
    chance = policy.logits.detach().softmax(0)
    total = torch.zeros(3, dtype=torch.float64)
    for arms in product(range(3), repeat=group):
        trainee = GRPO(policy, Bandit(arms), prompts=1, group=group, kl=0, **settings)
        ((loss, _),) = trainee.losses(0)
        (slope,) = torch.autograd.grad(loss, policy.logits)
        total += chance[list(arms)].prod() * slope
    return policy, chance, total


@pytest.mark.parametrize("group", [2, 3, 4])
def test_without_scaling_the_gradient_is_the_policy_gradient_times_a_known_share(group):
    """A group's mean has the answer itself in it, which takes 1 / G away."""
    policy, _, found = expected_gradient(group, scale="none")
    worth = (policy.logits.softmax(0) * WORTH).sum()
    (true,) = torch.autograd.grad(worth, policy.logits)
    assert torch.allclose(found, -(1 - 1 / group) * true, atol=1e-7)


def test_with_group_scaling_the_gradient_is_that_of_scaled_advantages():
    _, chance, found = expected_gradient(3, scale="group")
    total = torch.zeros(3, dtype=torch.float64)
    for arms in product(range(3), repeat=3):
        worth = WORTH[list(arms)].numpy()
        advantage = (worth - worth.mean()) / (worth.std(ddof=1) + 1e-6)
        score = torch.eye(3, dtype=torch.float64)[list(arms)] - chance
        total -= chance[list(arms)].prod() * (torch.tensor(advantage)[:, None] * score).mean(0)
    assert torch.allclose(found, total, atol=1e-6)


def test_advantages_in_a_small_table():
    reward = torch.tensor([[1.0, 3.0], [2.0, 2.0]])
    spread = 2**0.5
    assert torch.allclose(advantages(reward), torch.tensor([[-1, 1], [0, 0]]) / spread, atol=1e-5)
    assert advantages(reward, "none").tolist() == [[-1, 1], [0, 0]]
    assert torch.allclose(advantages(reward, "batch"), torch.tensor([[-1, 1], [0, 0]]) / reward.std(), atol=1e-5)
    assert advantages(torch.tensor([[0.7]])).tolist() == [[pytest.approx(0.7)]]
    assert informative(reward).tolist() == [True, False]


@pytest.mark.parametrize(("ratio", "advantage", "gain", "slope"), [
    (1.5, 1.0, 1.3, 0.0),  # above 1 + high: no more to gain
    (1.1, 1.0, 1.1, 1.1),
    (0.5, 1.0, 0.5, 0.5),  # below, but to be made likelier
    (0.5, -1.0, -0.8, 0.0),
    (1.5, -1.0, -1.5, -1.5),
])  # fmt: skip
def test_the_clip_is_one_sided_and_asymmetric(ratio, advantage, gain, slope):
    log_prob = torch.tensor([[ratio]]).log().requires_grad_()
    found = surrogate(log_prob, torch.zeros(1, 1), torch.tensor([[advantage]]), 0.2, 0.3)
    (slopes,) = torch.autograd.grad(found.sum(), log_prob)
    assert found.item() == pytest.approx(gain)
    assert slopes.item() == pytest.approx(slope)


def test_k3_is_never_negative_zero_at_equality_and_the_divergence_on_average():
    p, q = (torch.tensor(logits).double().log_softmax(0) for logits in ([0.5, -1.0, 0.2], [0.0, 0.3, 0.1]))
    assert (k3(p, q) > 0).all()
    assert k3(p, p).tolist() == [0, 0, 0]
    assert (p.exp() * k3(p, q)).sum().item() == pytest.approx((p.exp() * (p - q)).sum().item())


def test_means_over_tokens_answers_and_a_constant():
    values = torch.tensor([[1.0, 2.0, 9.0], [4.0, 9.0, 9.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert masked_mean(values, mask).item() == pytest.approx(7 / 3)
    assert masked_mean(values, mask, "answer").item() == pytest.approx((1.5 + 4) / 2)
    assert masked_mean(values, mask, "constant").item() == pytest.approx((3 + 4) / 2 / 3)


def test_the_weight_of_the_divergence_is_that_of_the_loss():
    policy = Arms([0.3, -0.2, 0.1])
    trainee = GRPO(policy, Bandit((1, 1)), prompts=1, group=2, kl=0.5)
    with torch.no_grad():
        policy.logits += torch.tensor([0.4, 0.0, 0.0])
    ((loss, measures),) = trainee.losses(0)
    now, before = policy.log_probs(1), trainee.reference.log_probs(1)
    assert measures["divergence"] == pytest.approx(((before - now).exp() - (before - now) - 1).item())
    assert loss.item() == pytest.approx(0.5 * measures["divergence"])  # both answers are alike: advantage 0


def test_several_epochs_meet_the_clip():
    """The second step on the same answers sees ratios that the first one left."""
    policy = Arms([0.0, 0.0, 0.0])
    trainee = GRPO(policy, Bandit((0, 1)), prompts=1, group=2, epochs=3, kl=0, clip=0.1)
    train(trainee, 1, rate=0.5, progress=False)
    slopes = []
    for loss, _ in trainee.losses(0):
        slopes.append(torch.autograd.grad(loss, policy.logits)[0])
        with torch.no_grad():
            policy.logits += torch.tensor([-1.0, 1.0, 0.0])
    assert slopes[0].abs().max() > 0.1
    assert slopes[1].abs().max() == slopes[2].abs().max() == 0


def test_dynamic_sampling_asks_again_where_all_answers_are_worth_the_same():
    asked = []

    class Mixed(Bandit):
        def answers(self, policy, prompts, group, draws):
            asked.append(draws.ids.tolist())
            arms = torch.where(draws.ids % 4 == 3, 1, 0)[:, None] * torch.arange(group) % 2  # one prompt in four tells
            arms = arms.view(-1, 1)
            return Answers(WORTH[arms].view(prompts, group), torch.ones_like(arms, dtype=torch.bool), arms)

    trainee = GRPO(Arms([0.0, 0.0, 0.0]), Mixed(), prompts=4, group=2, resample=2)
    parts, measures = trainee.sampled(0)
    assert [len(ids) for ids in asked] == [4, 3, 3]  # the second asking, of ids 4 to 6, had none
    assert len({i for ids in asked for i in ids}) == 10
    assert measures["informative"] == 0.25
    assert all(informative(part.reward).all() for part in parts)
    asked.clear()
    trainee.sampled(1)
    assert min(asked[0]) > 10  # no prompt comes twice


def test_it_learns_the_best_arm():
    policy = Arms([0.0, 0.0, 0.0])
    training = train(GRPO(policy, Bandit(), kl=0.001, seed=1), 80, rate=0.05, progress=False)
    assert policy.logits.argmax() == 1
    assert training["reward"][:5].mean() < 0.7 < 0.9 < training["reward"][-5:].mean()


class Guess:
    """Two steps; the first is seen again at the second and worth 1 if guessed, whatever luck says for a row."""

    observation_space = gymnasium.spaces.Discrete(4)
    action_space = gymnasium.spaces.Discrete(4)

    def reset(self, draws, site):
        state = (draws.uniform("secret") * 4).long()
        return state, state

    def step(self, state, action, draws, site: Sites):
        return Transition(state, state, (action == state).float(), torch.zeros(len(state), dtype=torch.bool))


class OneHot(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(4, 4)
        nn.init.zeros_(self.table.weight)

    def forward(self, state):
        return self.table(state)


def test_episodes_of_a_group_share_the_worlds_luck_and_not_the_policys():
    policy = Categorical(OneHot(), 4)
    trainee = GRPO(policy, Rollouts(Guess(), horizon=2), prompts=8, group=4, scale="none")
    ((part,), _) = trainee.sampled(3)
    secrets = part.record.observation[:, 0].view(8, 4)
    assert (secrets == secrets[:, :1]).all()
    assert len(secrets[:, 0].unique()) > 1
    assert (part.record.action.view(8, 4, 2) != part.record.action.view(8, 4, 2)[:, :1]).any()
    training = train(trainee, 120, rate=0.05, progress=False)
    assert training["reward"][-10:].mean() > 1.8


def test_a_policy_of_several_parts_has_the_sum_of_their_log_probabilities():
    net = nn.Sequential(nn.Embedding(4, 5))
    policy = Categorical(net, (2, 3))

    class Parts(Guess):
        action_space = gymnasium.spaces.MultiDiscrete([2, 3])

        def step(self, state, action, draws, site):
            return Transition(state, state, action[:, 1].float(), torch.zeros(len(state), dtype=torch.bool))

    task = Rollouts(Parts(), horizon=2)
    ((part,), _) = GRPO(policy, task, prompts=2, group=2).sampled(0)
    history = part.record
    found = policy.log_probs(history)
    for row, step in np.ndindex(4, 2):
        logits = net(history.observation[row, step])
        first, second = history.action[row, step].tolist()
        by_hand = logits[:2].log_softmax(0)[first] + logits[2:].log_softmax(0)[second]
        assert found[row, step].item() == pytest.approx(by_hand.item(), abs=1e-6)


@pytest.mark.parametrize(("settings", "error"), [
    ({"scale": "groups"}, "scale is 'groups'"),
    ({"group": 1}, "group is 1"),
    ({"clip": -0.1}, "clip"),
    ({"kl": float("nan")}, "kl"),
])  # fmt: skip
def test_wrong_settings_are_named(settings, error):
    with pytest.raises((ValueError, TypeError), match=error):
        GRPO(Arms([0.0, 0.0]), Bandit(), **settings)


@pytest.mark.parametrize(
    ("worth", "error"),
    [
        (lambda reward: reward.index_fill(1, torch.tensor([0]), torch.nan), r"rewards of prompt 0 are \[nan, .*finite"),
        (lambda reward: reward.log().clamp(max=0) * torch.inf, "expected finite numbers"),
        (lambda reward: (reward > 0.5).long(), r"reward is torch.int64 \(4, 3\): expected floats \(4, 3\)"),
        (torch.flatten, r"reward is torch.float32 \(12,\): expected floats \(4, 3\)"),
    ],
)
@pytest.mark.parametrize("resample", [0, 2])
def test_rewards_that_cannot_be_learnt_from_are_named(worth, error, resample):
    class Judged(Bandit):
        def answers(self, *asked):
            found = super().answers(*asked)
            return found._replace(reward=worth(found.reward))

    with pytest.raises(ValueError, match=error):
        train(GRPO(Arms([0.3, -0.2, 0.1]), Judged(), prompts=4, group=3, resample=resample), 1, progress=False)


def test_advantages_of_whole_numbers_are_refused():
    with pytest.raises(TypeError, match=r"torch.int64: expected floats"):
        advantages(torch.tensor([[1, 0, 0, 0]]))


def test_gradients_are_numbers_however_far_two_policies_are_apart():
    now = torch.tensor([-200.0, 0.0, 200.0], requires_grad=True)
    (slope,) = torch.autograd.grad(k3(now, torch.zeros(3)).sum(), now)
    assert slope.tolist() == [0, 0, 0]
    (slope,) = torch.autograd.grad(surrogate(now, torch.zeros(3), torch.ones(3), 0.2, 0.2).sum(), now)
    assert slope.tolist() == [0, 1, 0]
