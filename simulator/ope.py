"""Off-policy evaluation: the value of a policy from the logged rounds of another, without letting it act.

A round is one choice that was logged: a context, an item or a slate of m items, the clicks, and how likely the
logging policy was to choose it. Each function takes plain arrays, the rounds first, and returns an ``Estimate``.

    ips, dm, dr      one item a round
    sips             slates; the user may look at the slate in any way; weighs by the probability of the whole slate
    rips             slates; a click depends on its item and those above it (cascade); by the items down to it
    iips             slates; a click depends on its own item and position only; by the item at the position
    cascade_dr       rips with a model of what is still to come, which takes variance out

SIPS, IIPS, RIPS: McInerney, Brost, Chandar, Mehrotra & Carterette, "Counterfactual Evaluation of Slate Recommendations
with Sequential Reward Interactions", KDD 2020; IIPS: Li et al., KDD 2018; cascade-DR: Kiyohara et al., WSDM 2022.
Values equal those of Open Bandit Pipeline (sb-obp 0.5.10) to 1e-9. Intervals do not: see ``Estimate``.

Exact probabilities of softmax slates are in ``plackett_luce.py``. A policy that always shows the slate ``target`` has
the prefix probabilities ``(slate == target).cumprod(1)`` and is evaluated by the same functions.
"""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from .history import History, map_column

ONE = 1 + 1e-12  # a probability may be as much, by rounding


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a policy is worth, and how far off that may be.

    value: the mean of ``contributions``, reward a round.
    contributions: (k,) float64, what each round adds; the rounds' rewards reweighted.
    influence: (units,) float64 of mean 0, by how much each independent unit pulls the value: rounds, or rows of them.
        For self-normalised estimators to first order (the delta method), so that the chance in the normaliser counts.
    effective_rounds: how many rounds of the evaluated policy's own would weigh as evenly, (sum w)^2 / sum w^2 (Kish);
        the least over positions. A small one, below fifty or so, says that the two policies hardly overlap, and that
        the interval may be too short.
    skewness: of the influence; 0 for self-normalised estimators, whose normaliser takes the long tail out.
    """

    value: float
    contributions: Tensor
    influence: Tensor
    effective_rounds: float
    skewness: float

    @property
    def stderr(self) -> float:
        """The standard error; NaN where nothing varies (one unit, or not one click), for then the log cannot tell."""
        units = len(self.influence)
        square = float(self.influence.square().sum())
        return math.sqrt(square / (units * (units - 1))) if units > 1 and square > 0 else math.nan

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """A confidence interval, corrected for the skewness of importance weights; NaN where the stderr is.

        Hall, "On the removal of skewness by transformation", JRSS B 54 (1992): the studentised error is bent by a
        monotone cubic until its skewness is gone (formula from memory, checked by coverage). Weights have a long right
        tail, so that it reaches further up than down. ``normal_interval`` is the symmetric one.
        """
        a = self.skewness / math.sqrt(len(self.influence))

        def unbent(x: float) -> float:
            return x if abs(a) < 1e-9 else 3 / a * (math.cbrt(1 + a * (x - a / 6)) - 1)

        z = _quantile(level)
        return self.value - self.stderr * unbent(z), self.value - self.stderr * unbent(-z)

    def normal_interval(self, level: float = 0.95) -> tuple[float, float]:
        """The symmetric interval: value ± z · stderr."""
        reach = _quantile(level) * self.stderr
        return self.value - reach, self.value + reach

    def __str__(self) -> str:
        if math.isnan(self.stderr):
            return f"{self.value:.4g} (nothing varies in the log: no standard error)"
        digits = max(0, 1 - math.floor(math.log10(self.stderr)))
        low, high = self.interval()
        return (
            f"{self.value:.{digits}f} ± {self.stderr:.{digits}f} (95 % interval {low:.{digits}f} to {high:.{digits}f})"
        )


def ips(
    reward: Tensor, logged: Tensor, evaluated: Tensor, *, self_normalised: bool = False, unit: Tensor | None = None
) -> Estimate:
    """Inverse propensity scoring: the mean of reward · evaluated / logged.

    reward: (k,). logged, evaluated: (k,) the probability of the item that was shown, under either policy.
    self_normalised: divide by the mean weight instead of by 1 (SNIPS): a little bias for less variance.
    unit: (k,) int64, rounds with the same number belong together (a user, a session) and are not independent: the
        standard error then counts units. ``rounds`` gives it. None: every round is on its own.
    """
    reward, logged, evaluated = _numbers(reward=reward, logged=logged, evaluated=evaluated)
    _check_rewards(reward, 1)
    weight = _weight(logged, evaluated, reward.shape)
    return _weighted(reward[:, None], weight[:, None], self_normalised, unit)


def dm(evaluated: Tensor, predicted: Tensor, *, unit: Tensor | None = None) -> Estimate:
    """Direct method: what a model of the reward expects. Its interval does not know how wrong the model is.

    evaluated: (k, N) the evaluated policy's probability of each item. predicted: (k, N) expected reward of each.
    """
    evaluated, predicted = _numbers(evaluated=evaluated, predicted=predicted)
    _check_distribution("evaluated", evaluated, 2)
    _check_finite("predicted", predicted, evaluated.shape)
    contributions = (evaluated * predicted).sum(1)
    return _estimate(contributions, contributions - contributions.mean(), float(len(contributions)), unit)


def dr(
    reward: Tensor,
    action: Tensor,
    logged: Tensor,
    evaluated: Tensor,
    predicted: Tensor,
    *,
    self_normalised: bool = False,
    unit: Tensor | None = None,
) -> Estimate:
    """Doubly robust: the direct method, with what the model got wrong on the log put right by IPS.

    reward: (k,). action: (k,) int64, the item shown. logged: (k,) its probability under the logging policy.
    evaluated, predicted: (k, N) as in ``dm``. Unbiased where the propensities or the model are right; the model must
    not be fitted to the rounds it is used on. self_normalised: divide the correction by the mean weight (SNDR).
    """
    reward, logged, evaluated, predicted = _numbers(
        reward=reward, logged=logged, evaluated=evaluated, predicted=predicted
    )
    _check_rewards(reward, 1)
    _check_distribution("evaluated", evaluated, 2)
    _check_finite("predicted", predicted, evaluated.shape)
    action = _check_actions(action, reward.shape, evaluated.shape[1])
    weight = _weight(logged, evaluated.gather(1, action[:, None])[:, 0], reward.shape)
    model = (evaluated * predicted).sum(1)
    wrong = reward - predicted.gather(1, action[:, None])[:, 0]
    correction = _weighted(wrong[:, None], weight[:, None], self_normalised, None)
    contributions = model + correction.contributions
    influence = model - model.mean() + correction.influence
    return _estimate(contributions, influence, correction.effective_rounds, unit, skewed=not self_normalised)


def sips(
    reward: Tensor, logged: Tensor, evaluated: Tensor, *, self_normalised: bool = False, unit: Tensor | None = None
) -> Estimate:
    """Standard IPS for slates: unbiased whatever the user does, and of large variance.

    reward: (k, m) at each position. logged, evaluated: (k,) the probability of the whole slate that was shown.
    The value is the expected sum of rewards over the slate. self_normalised, unit: as in ``ips``.
    """
    reward, logged, evaluated = _numbers(reward=reward, logged=logged, evaluated=evaluated)
    _check_rewards(reward, 2)
    weight = _weight(logged, evaluated, reward.shape[:1])
    return _weighted(_over_positions(reward)[:, None], weight[:, None], self_normalised, unit)


def iips(
    reward: Tensor, logged: Tensor, evaluated: Tensor, *, self_normalised: bool = False, unit: Tensor | None = None
) -> Estimate:
    """Independent IPS for slates: unbiased where a click depends on its own item and position only.

    reward: (k, m). logged, evaluated: (k, m) the probability that the item stands at its position, whatever stands
    elsewhere (``position_propensity``). self_normalised, unit: as in ``ips``.
    """
    reward, logged, evaluated = _numbers(reward=reward, logged=logged, evaluated=evaluated)
    _check_rewards(reward, 2)
    return _weighted(reward, _weight(logged, evaluated, reward.shape), self_normalised, unit)


def rips(
    reward: Tensor, logged: Tensor, evaluated: Tensor, *, self_normalised: bool = False, unit: Tensor | None = None
) -> Estimate:
    """Reward interaction IPS for slates: unbiased where a click depends on its item and those above it (cascade).

    reward: (k, m). logged, evaluated: (k, m) the probability of the items from the top down to each position
    (``prefix_propensity``). self_normalised, unit: as in ``ips``.

    Given ``session_prefix`` it is per-decision importance sampling of whole sessions (Precup et al., ICML 2000).
    """
    reward, logged, evaluated = _numbers(reward=reward, logged=logged, evaluated=evaluated)
    _check_rewards(reward, 2)
    weight = _weight(logged, evaluated, reward.shape)
    _check_prefix("logged", logged)
    _check_prefix("evaluated", evaluated)
    return _weighted(reward, weight, self_normalised, unit)


def cascade_dr(
    reward: Tensor,
    slate: Tensor,
    logged: Tensor,
    evaluated: Tensor,
    distribution: Tensor,
    predicted: Tensor,
    *,
    unit: Tensor | None = None,
) -> Estimate:
    """Cascade doubly robust for slates (Kiyohara et al., WSDM 2022, section 3.1).

    reward: (k, m). slate: (k, m) int64. logged, evaluated: (k, m) prefix probabilities as in ``rips``.
    distribution: (k, m, N) the evaluated policy's probability of each item at each position, given the items shown
        above (``choice_distribution``).
    predicted: (k, m, N) a model's expected reward from this position down to the last, were this item shown here under
        the items shown above (``cascade_model`` fits one). It must not be fitted to the rounds it is used on.
    """
    reward, logged, evaluated, distribution, predicted = _numbers(
        reward=reward, logged=logged, evaluated=evaluated, distribution=distribution, predicted=predicted
    )
    _check_rewards(reward, 2)
    _check_distribution("distribution", distribution, 3)
    if distribution.shape[:2] != reward.shape:
        raise ValueError(f"distribution has shape {tuple(distribution.shape)}: expected {(*reward.shape, 'items')}")
    _check_finite("predicted", predicted, distribution.shape)
    slate = _check_actions(slate, reward.shape, distribution.shape[2])
    weight = _weight(logged, evaluated, reward.shape)
    _check_prefix("logged", logged)
    _check_prefix("evaluated", evaluated)
    above = torch.nn.functional.pad(weight[:, :-1], (1, 0), value=1.0)  # the weight of what stands above a position
    expected = (distribution * predicted).sum(2)
    wrong = reward - predicted.gather(2, slate[..., None])[..., 0]
    contributions = _over_positions(weight * wrong + above * expected)
    return _estimate(contributions, contributions - contributions.mean(), _effective(weight), unit)


def cascade_model(
    reward: Tensor, slate: Tensor, context: Tensor, evaluated: Tensor, logged: Tensor, distribution: Tensor
) -> Tensor:
    """A table of expected reward from each position down, (m, C, N) float64, for ``cascade_dr``.

    context: (k,) int64 in [0, C), such as the user's state; the others as in ``cascade_dr``. From the last position
    up, a weighted mean over rounds by context and item of reward + what the table expects of the next position; as in
    Kiyohara et al. each round weighs as its prefix. Cells never seen are 0. To predict on other rounds:
    ``table[:, context].transpose(0, 1)``.
    """
    reward, evaluated, logged, distribution = _numbers(
        reward=reward, evaluated=evaluated, logged=logged, distribution=distribution
    )
    _check_rewards(reward, 2)
    _check_distribution("distribution", distribution, 3)
    num_items, contexts = distribution.shape[2], int(context.max()) + 1
    slate = _check_actions(slate, reward.shape, num_items)
    weight = _weight(logged, evaluated, reward.shape)
    table = reward.new_zeros(reward.shape[1], contexts, num_items)
    ahead = torch.zeros_like(reward[:, 0])
    for position in range(reward.shape[1] - 1, -1, -1):
        cell = context * num_items + slate[:, position]
        w, target = weight[:, position], reward[:, position] + ahead
        total = reward.new_zeros(contexts * num_items).index_add_(0, cell, w)
        sums = torch.zeros_like(total).index_add_(0, cell, w * target)
        table[position] = torch.where(total > 0, sums / total, 0.0).view(contexts, num_items)
        ahead = (distribution[:, position] * table[position, context]).sum(1)
    return table


def session_prefix(propensity: Tensor) -> Tensor:
    """(n, T · m) prefix probabilities along whole sessions, from those within each slate, (n, T, m).

    A session of T slates is one long cascade: what is clicked, and where the user goes, depends on all that was shown
    before. ``rips(clicks.flatten(1), session_prefix(logged), session_prefix(evaluated))`` is then the value of a
    session, although the two policies lead users to different states; rounds taken one by one would miss that.
    Steps after a session's end must carry probability 1 under both policies.
    """
    if propensity.dim() != 3:
        raise ValueError(f"propensity has shape {tuple(propensity.shape)}: expected (sessions, steps, positions)")
    before = torch.nn.functional.pad(propensity[:, :-1, -1].cumprod(1), (1, 0), value=1.0)  # (n, T) earlier slates
    return (before[..., None] * propensity).flatten(1)


@dataclass(frozen=True, eq=False)
class Rounds:
    """The rounds of a history, one for each step before a row's end.

    observation: (k, …) what the logging policy saw, None if it was not kept.
    action: (k,) int64 items, or (k, m) slates.
    reward: float64, (k,) for items; (k, m) for slates, 1 where the user clicked.
    propensity: float64, (k,) or (k, m), the column "propensity"; None if there is none.
    unit: (k,) int64, the row that each round is from.
    """

    observation: Any
    action: Tensor
    reward: Tensor
    propensity: Tensor | None
    unit: Tensor


def rounds(history: History) -> Rounds:
    """The logged rounds of a history of items, ``action`` (n, T), or of slates, (n, T, m).

    Clicks on slates are read from the site "clicks" (n, T, m), or else from "click" (n, T), the position clicked.
    """
    valid, action, sites = history.valid, history.action, history.sites
    if not isinstance(action, Tensor) or action.dtype != torch.int64 or action.dim() not in (2, 3):
        what = f"{action.dtype} {tuple(action.shape)}" if isinstance(action, Tensor) else type(action).__name__
        raise ValueError(f"actions of the history are {what}: expected int64 items (n, T) or slates (n, T, m)")
    if action.dim() == 2:
        reward = history.reward
    elif "clicks" in sites:
        reward = sites["clicks"]
    elif "click" in sites:
        reward = sites["click"][..., None] == torch.arange(action.shape[2], device=action.device)
    else:
        raise LookupError(
            f"no site 'clicks' or 'click' in this history of slates, which has {sorted(sites)}; run the rollout with "
            'record=["click"]'
        )
    observation = propensity = None
    if "observation" in history.columns:
        observation = map_column(lambda a: a[:, :-1][valid], history.observation)
    if "propensity" in sites:
        propensity = sites["propensity"][valid].double()
    unit = torch.arange(len(history), device=action.device)[:, None].expand_as(valid)[valid]
    return Rounds(observation, action[valid], reward[valid].double(), propensity, unit)


def with_propensity(history: History, propensity: Tensor) -> History:
    """The history with how likely its actions were as the column "propensity": (n, T) or (n, T, m)."""
    if tuple(propensity.shape[:2]) != (len(history), history.num_steps):
        raise ValueError(
            f"propensity begins with axes {tuple(propensity.shape[:2])}: expected {(len(history), history.num_steps)}"
        )
    return replace(history, columns={**history.columns, "propensity": propensity.swapaxes(0, 1)})


def _weighted(reward: Tensor, weight: Tensor, self_normalised: bool, unit: Tensor | None) -> Estimate:
    """The one form behind all IPS estimators: rewards (k, m) times weights (k, m), summed over positions."""
    reweighted, normaliser = reward * weight, weight.mean(0)
    if self_normalised:
        if (normaliser == 0).any():
            raise ValueError(
                f"weights at position {int((normaliser == 0).nonzero()[0])} are all 0: the evaluated policy shows "
                "nothing that was logged there, so there is nothing to normalise by"
            )
        reweighted, weight = reweighted / normaliser, weight / normaliser
        influence = _over_positions(reweighted - reweighted.mean(0) * weight)
    else:
        influence = _over_positions(reweighted - reweighted.mean(0))
    return _estimate(_over_positions(reweighted), influence, _effective(weight), unit, skewed=not self_normalised)


def _over_positions(values: Tensor) -> Tensor:
    """(k, m) summed over its few columns, (k,): a matrix product is fifteen times faster at this than ``sum(1)``."""
    return values @ values.new_ones(values.shape[1])


def _estimate(
    contributions: Tensor, influence: Tensor, effective: float, unit: Tensor | None, *, skewed: bool = True
) -> Estimate:
    if unit is not None:
        if unit.dtype != torch.int64 or unit.shape != influence.shape:
            raise ValueError(f"unit is {unit.dtype} {tuple(unit.shape)}: expected int64 {tuple(influence.shape)}")
        units, index = unit.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        total = influence.new_zeros(len(units)).index_add_(0, index, influence)
        influence = total * (len(units) / len(unit))
    deviation = influence.square().mean().sqrt()
    skewness = float((influence / deviation).pow(3).mean()) if skewed and deviation > 0 else 0.0
    return Estimate(float(contributions.mean()), contributions, influence, effective, skewness)


def _effective(weight: Tensor) -> float:
    square = weight.square().sum(0)
    return float((weight.sum(0).square() / square).where(square > 0, 0.0).min())


def _quantile(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: expected a number between 0 and 1, such as 0.95")
    return NormalDist().inv_cdf((1 + level) / 2)


def _numbers(**arrays: Any) -> list[Tensor]:
    """Arrays as float64 tensors on the device of the first."""
    device = getattr(next(iter(arrays.values())), "device", None)
    device = device if isinstance(device, torch.device) else None
    return [torch.as_tensor(array, dtype=torch.float64, device=device) for array in arrays.values()]


def _check_rewards(reward: Tensor, axes: int) -> None:
    if reward.dim() != axes:
        raise ValueError(
            f"reward has shape {tuple(reward.shape)}: expected {('(rounds,)', '(rounds, positions)')[axes - 1]}"
        )
    if reward.numel() == 0:
        raise ValueError(f"reward has shape {tuple(reward.shape)}: an empty log has no value; expected a round or more")
    _check_finite("reward", reward, reward.shape)


def _check_finite(name: str, values: Tensor, shape: torch.Size) -> None:
    if values.shape != shape:
        raise ValueError(f"{name} has shape {tuple(values.shape)}: expected {tuple(shape)}")
    if not math.isfinite(values.sum()) and not values.isfinite().all():
        where = (~values.isfinite()).nonzero()[0].tolist()
        raise ValueError(f"{name}{where} is {values[tuple(where)]}: expected a finite number")


def _weight(logged: Tensor, evaluated: Tensor, shape: torch.Size) -> Tensor:
    """evaluated / logged, after a look at both."""
    for name, probability in (("logged", logged), ("evaluated", evaluated)):
        if probability.shape != shape:
            raise ValueError(f"{name} probabilities have shape {tuple(probability.shape)}: expected {tuple(shape)}")
        low, high = (float(end) for end in probability.aminmax())
        if not (low >= 0 and high <= ONE):  # NaN is neither
            where = (~((probability >= 0) & (probability <= ONE))).nonzero()[0].tolist()
            raise ValueError(
                f"{name} probability {where} is {probability[tuple(where)]:.6g}: expected a number in [0, 1]"
            )
    if not logged.all():
        never = logged == 0
        hopeless = never & (evaluated > 0)
        where = (hopeless if hopeless.any() else never).nonzero()[0].tolist()
        at = tuple(where)
        raise ValueError(
            f"logged probability {where} is 0 where the evaluated policy has {evaluated[at]:.6g}: expected more than 0 "
            "for everything that was shown; "
            + (
                "without support no weight can make up for it: evaluate a policy that stays within the log's"
                if hopeless.any()
                else "what was shown cannot have had probability 0: check the logging policy's propensities"
            )
        )
    return evaluated / logged


def _check_prefix(name: str, prefix: Tensor) -> None:
    rising = prefix[:, 1:] > prefix[:, :-1] * ONE
    if rising.any():
        row, position = rising.nonzero()[0].tolist()
        raise ValueError(
            f"{name} probability rises from {prefix[row, position]:.6g} to {prefix[row, position + 1]:.6g} at round "
            f"{row}, position {position + 1}: expected that of all items down to each position, which can only fall; "
            "take cumprod(1) of conditional probabilities"
        )


def _check_distribution(name: str, distribution: Tensor, axes: int) -> None:
    if distribution.dim() != axes or distribution.numel() == 0:
        raise ValueError(
            f"{name} has shape {tuple(distribution.shape)}: expected {axes} axes, none empty, the last one items"
        )
    bad = ~((distribution >= 0).all(-1) & ((distribution.sum(-1) - 1).abs() < 1e-6))
    if bad.any():
        where = bad.nonzero()[0].tolist()
        raise ValueError(
            f"{name}{where} sums to {distribution[tuple(where)].sum():.6g}, its least is "
            f"{distribution[tuple(where)].min():.6g}: expected the probabilities of all items, which sum to 1"
        )


def _check_actions(action: Tensor, shape: torch.Size, num_items: int) -> Tensor:
    action = torch.as_tensor(action)
    if action.dtype != torch.int64 or action.shape != shape:
        raise ValueError(f"items shown are {action.dtype} {tuple(action.shape)}: expected int64 {tuple(shape)}")
    outside = (action < 0) | (action >= num_items)
    if outside.any():
        where = outside.nonzero()[0].tolist()
        raise ValueError(f"item shown {where} is {action[tuple(where)]}: expected 0 to {num_items - 1}")
    return action
