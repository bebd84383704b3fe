"""Cascading bandits: which K of N items to list, learning from the first click only.

A list is shown from the top; the user clicks the first item that attracts them. So every item down to the click was
examined, and nothing is known of those below. Each agent keeps, for each item, how often it was examined and how
often clicked, and shows the K items of largest *index*, largest first; ties go to the item of lower number. What
sets the agents apart is the index alone. An agent learns from a History with the site "click", as
``CascadingSession`` records it; it ignores user states and does not change within an episode.

The papers give their agents one look at each item beforehand. These start knowing nothing: an item never examined has
an infinite upper bound. Formulas are those of the papers named, as restated in this project's specification, some of
them from memory; each docstring says which constants are a choice.
"""

import math
from dataclasses import dataclass, field
from typing import Self, cast

import numpy as np
import torch
from torch import Tensor

from ethogram.envs.sessions.mdp import CascadingMDP
from ethogram.simulator import Draws, History

from . import bandit_kernels as kernels


@dataclass(eq=False)
class CascadeBandit:
    """What the family shares: counting, and showing the items of largest ``index``."""

    num_items: int  # N
    length: int  # K, items in a list
    lists: int = field(init=False, default=0)  # shown so far: round t begins with t - 1
    clicks: Tensor = field(init=False)  # (N,) float64
    examined: Tensor = field(init=False)  # (N,) float64, the papers' T(e)

    def __post_init__(self) -> None:
        if not 1 <= self.length <= self.num_items:
            raise ValueError(f"length is {self.length}: expected 1 to {self.num_items}, the number of items")
        self.clicks = torch.zeros(self.num_items, dtype=torch.float64)
        self.examined = torch.zeros(self.num_items, dtype=torch.float64)

    def index(self, draws: Draws) -> Tensor:
        """(N,) float64, or (n, N) where each row has its own."""
        raise NotImplementedError(f"{type(self).__name__} has no index: use one of its subclasses")

    def act(self, observation: object, history: History, draws: Draws) -> Tensor:
        """(n, K) int64, the items of largest index."""
        self._move_to(draws.ids.device)
        order = self.index(draws).argsort(dim=-1, descending=True, stable=True)
        return order[..., : self.length].expand(len(draws.ids), -1)

    def learn(self, history: History) -> Self:
        """Count what was shown; the history needs the site "click"."""
        self._move_to(history.length.device)
        clicks, examined = count_feedback(history, self.num_items)
        self.clicks, self.examined = self.clicks + clicks, self.examined + examined
        self.lists += int(history.length.sum())
        return self

    def _move_to(self, device: torch.device) -> None:
        self.clicks, self.examined = self.clicks.to(device), self.examined.to(device)

    @property
    def mean(self) -> Tensor:
        """(N,) float64, clicks per examination; 0 where there was none."""
        return self.clicks / self.examined.clamp(min=1)

    def _level(self, lists: int) -> float:
        """What an index owes to time alone, after so many lists."""
        return 0.0

    def _if_examined(self, bound: Tensor) -> Tensor:
        return bound.where(self.examined > 0, torch.inf)


class CascadeUCB1(CascadeBandit):
    """Mean + sqrt(1.5 log t / T), t lists shown so far (Kveton et al., ICML 2015, Algorithm 1)."""

    def index(self, draws: Draws) -> Tensor:
        """(N,) float64 upper bounds."""
        return self._if_examined(self.mean + (self._level(self.lists) / self.examined).sqrt())

    def _level(self, lists: int) -> float:
        return 1.5 * math.log(max(lists, 1))


class CascadeKLUCB(CascadeBandit):
    """The largest u with T KL(mean, u) <= log t + 3 log log t, in round t (Kveton et al., ICML 2015).

    The right-hand side is negative or undefined in rounds 1 and 2 and taken as 0 there.
    """

    def index(self, draws: Draws) -> Tensor:
        """(N,) float64 upper bounds."""
        budget = self._level(self.lists) / self.examined.clamp(min=1)
        return self._if_examined(kl_upper_bound(self.mean, budget))

    def _level(self, lists: int) -> float:
        t = lists + 1
        return math.log(t) + 3 * math.log(math.log(t)) if t > 2 else 0.0


@dataclass(eq=False)
class CascadeUCBV(CascadeBandit):
    """Mean + sqrt(2 mean (1 - mean) log t / T) + c log t / T, t lists so far (Vial et al., NeurIPS 2022).

    margin: c. 3 is that of UCB-V (Audibert, Munos & Szepesvári, 2009), from memory; smaller ones explore less.
    """

    margin: float = 3.0

    def index(self, draws: Draws) -> Tensor:
        """(N,) float64 upper bounds."""
        level, seen = self._level(self.lists), self.examined
        spread = (2 * self.mean * (1 - self.mean) * level / seen).sqrt()
        return self._if_examined(self.mean + spread + self.margin * level / seen)

    def _level(self, lists: int) -> float:
        return math.log(max(lists, 1))


class TSCascade(CascadeBandit):
    """Mean + Z max(sqrt(mean (1 - mean) log(t + 1) / (T + 1)), log(t + 1) / (T + 1)) in round t.

    Z is one standard normal a list, shared by its items (Cheung et al., 2019; Zhong et al., JMLR 2021).
    """

    def index(self, draws: Draws) -> Tensor:
        """(n, N) float64 samples."""
        spread = self._level(self.lists) / (self.examined + 1)
        deviation = (self.mean * (1 - self.mean) * spread).sqrt().maximum(spread)
        return self.mean + normal(draws, "posterior")[:, None] * deviation

    def _level(self, lists: int) -> float:
        return math.log(lists + 2)


class CTS(CascadeBandit):
    """Thompson sampling from each item's posterior Beta(1 + clicks, 1 + skips), independent (Zhong et al., 2021)."""

    def index(self, draws: Draws) -> Tensor:
        """(n, N) float64 samples."""
        return beta(draws, "posterior", 1 + self.clicks, 1 + (self.examined - self.clicks))


@dataclass(eq=False)
class LinearBandit(CascadeBandit):
    """What the linear agents share: an item's attraction is x^T theta, with ridge regression of clicks on features.

    features: (N, d) float64, the x of each item; ``svd_features`` makes them from clicks.
    noise: sigma, in M = I + X^T diag(examined) X / sigma^2 and theta_hat = M^-1 X^T clicks / sigma^2.
    """

    num_items: int = field(init=False)
    features: Tensor
    noise: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        if self.features.dtype != torch.float64 or self.features.dim() != 2:
            raise ValueError(
                f"features are {self.features.dtype} {tuple(self.features.shape)}: expected float64 (items, d)"
            )
        if not self.noise > 0:
            raise ValueError(f"noise is {self.noise}: expected a positive standard deviation")
        self.num_items = len(self.features)
        super().__post_init__()

    def posterior(self) -> tuple[Tensor, Tensor]:
        """theta_hat (d,) and the lower Cholesky factor of the precision M (d, d), from the counts alone."""
        # From the counts rather than by rank-one updates: O(N d^2) a list, and no rounding error builds up.
        x = self.features.to(self.clicks.device)
        weighted = x.T / self.noise**2
        precision = torch.eye(x.shape[1], dtype=x.dtype, device=x.device) + (weighted * self.examined) @ x
        factor = cast(Tensor, torch.linalg.cholesky(precision))
        return torch.cholesky_solve((weighted @ self.clicks)[:, None], factor)[:, 0], factor

    def sample(self, draws: Draws, scale: float) -> Tensor:
        """x^T theta for theta ~ N(theta_hat, scale^2 M^-1), one theta a row; (n, N)."""
        mean, factor = self.posterior()
        z = normal(draws, "posterior", len(mean))  # (n, d)
        theta = mean + scale * torch.linalg.solve_triangular(factor.T, z.T, upper=True).T
        return theta @ self.features.to(theta.device).T


@dataclass(eq=False)
class CascadeLinUCB(LinearBandit):
    """min(1, x^T theta_hat + c sqrt(x^T M^-1 x)) (Zong et al., UAI 2016).

    num_rounds: n, the lists that will be shown, in c = sqrt(d log(1 + n K / d) + 2 log(n K)) + 1.
    """

    num_rounds: int

    def index(self, draws: Draws) -> Tensor:
        """(N,) float64 upper bounds, at most 1: many tie early on."""
        mean, factor = self.posterior()
        x = self.features.to(mean.device)
        width = torch.linalg.solve_triangular(factor, x.T, upper=False).norm(dim=0)  # (N,) sqrt(x^T M^-1 x)
        return (x @ mean + self.width * width).clamp(max=1)

    @property
    def width(self) -> float:
        """The paper's c."""
        d, shown = self.features.shape[1], self.num_rounds * self.length
        return math.sqrt(d * math.log(1 + shown / d) + 2 * math.log(shown)) + 1


@dataclass(eq=False)
class CascadeLinTS(LinearBandit):
    """x^T theta for theta ~ N(theta_hat, M^-1) (Zong et al., UAI 2016)."""

    def index(self, draws: Draws) -> Tensor:
        """(n, N) float64 samples."""
        return self.sample(draws, 1.0)


@dataclass(eq=False)
class LinTSCascade(LinearBandit):
    """x^T theta for theta ~ N(theta_hat, (lambda v_t)^2 K M^-1), v_t = R sqrt(9 d log t) (Zhong et al., JMLR 2021).

    exploration: lambda. subgaussian: R; 1/2 holds for every click, by Hoeffding's lemma.
    """

    exploration: float
    subgaussian: float = 0.5

    def index(self, draws: Draws) -> Tensor:
        """(n, N) float64 samples."""
        v = self.subgaussian * math.sqrt(9 * self.features.shape[1] * math.log(self.lists + 1))
        return self.sample(draws, self.exploration * v * math.sqrt(self.length))


def play(agent: CascadeBandit, bandit: CascadingMDP, num_rounds: int, *, seed: int = 0, first: int = 0) -> Tensor:
    """Let an agent learn online in a cascading bandit, compiled: the lists that it shows, (num_rounds, K) int64.

    The same lists, to the bit, and the same counts in the agent afterwards, as ``episodes(CascadingSession(bandit),
    agent, num_rounds, horizon=1, seed=seed, first=first)`` gives, some thousand times faster. For the agents without
    features, on CPU; ``cascade_regret`` turns the lists into regret.

    bandit: one state, one step, as ``cascading_bandit`` makes it.
    """
    if type(agent) not in _RULES:
        raise ValueError(
            f"play of a {type(agent).__name__}: expected one of {sorted(kind.__name__ for kind in _RULES)}; "
            "let others learn through episodes"
        )
    if (bandit.num_states, bandit.horizon) != (1, 1):
        raise ValueError(
            f"play in an MDP of {bandit.num_states} states and {bandit.horizon} steps: expected one of each; "
            "cascading_bandit makes such, episodes plays in others"
        )
    if (bandit.num_items, bandit.length) != (agent.num_items, agent.length):
        raise ValueError(
            f"play of lists of {agent.length} out of {agent.num_items} items: expected {bandit.length} out of "
            f"{bandit.num_items}, those of the MDP"
        )
    if num_rounds < 1:
        raise ValueError(f"play of {num_rounds} rounds: expected at least 1")
    world = Draws(seed, torch.arange(first, first + num_rounds), scope="world")
    policy = world.scoped("policy")
    levels = torch.empty(num_rounds, 2, dtype=torch.float64)
    levels[:, 0] = torch.tensor([agent._level(agent.lists + k) for k in range(num_rounds)], dtype=torch.float64)
    levels[:, 1] = normal(policy, "posterior") if isinstance(agent, TSCascade) else levels[:, 0]
    if isinstance(agent, CascadeUCBV):
        levels[:, 1] *= agent.margin
    clicks, examined = agent.clicks.cpu().clone(), agent.examined.cpu().clone()
    slates = torch.empty(num_rounds, agent.length, dtype=torch.int64)
    kernels.play(
        _RULES[type(agent)],
        levels.numpy(),
        bandit.attraction[0].numpy(),
        np.uint64(policy.key("posterior")),
        np.uint64(world.key("attracted")),
        first,
        clicks.numpy(),
        examined.numpy(),
        slates.numpy(),
    )
    agent.clicks, agent.examined, agent.lists = clicks, examined, agent.lists + num_rounds
    return slates


_RULES = {
    CascadeUCB1: kernels.UCB1,
    CascadeKLUCB: kernels.KL_UCB,
    CascadeUCBV: kernels.UCB_V,
    TSCascade: kernels.TS,
    CTS: kernels.CTS,
}


def count_feedback(history: History, num_items: int) -> tuple[Tensor, Tensor]:
    """How often each item was clicked and examined, both (N,) float64.

    history: slates (n, T, K) int64, -1 for empty positions, and the site "click" (n, T) int64, the position clicked,
    K for none. Items from the top to the click are examined, all of them where nothing was clicked.
    """
    slates, click = history.action, history.column("click")[..., None]
    if slates.dim() != 3 or slates.dtype != torch.int64:
        raise ValueError(f"actions are {slates.dtype} {tuple(slates.shape)}: expected slates, int64 (rows, steps, K)")
    length = slates.shape[2]
    shown = (slates >= 0) & history.valid[..., None]
    position = torch.arange(length, device=slates.device)
    clicked = (position == click) & history.valid[..., None]
    if bool((((click < 0) | (click > length)) & history.valid[..., None] | (clicked & ~shown)).any()):
        raise ValueError(f"a click is off its slate: expected the position of an item shown, or {length} for none")
    if bool((slates >= num_items)[shown].any()):
        raise ValueError(f"item {int(slates[shown].max())} was shown: expected items 0 to {num_items - 1}")
    counts = [torch.bincount(slates[mask], minlength=num_items) for mask in (clicked, shown & (position <= click))]
    return counts[0].double(), counts[1].double()


def cascade_regret(attraction: Tensor, slates: Tensor) -> Tensor:
    """What each list falls short of the best in probability of a click: 1 - prod(1 - w) of the best K less its own.

    attraction: (N,) float64, w. slates: (…, K) int64, -1 for empty positions. Returns (…,) float64.
    """
    best = attraction.topk(slates.shape[-1]).values
    skipped = torch.nn.functional.pad(1 - attraction, (0, 1), value=1.0)  # an empty position, -1, is always skipped
    return skipped[slates].prod(-1) - (1 - best).prod()


def svd_features(clicks: Tensor, num_features: int, length: int) -> Tensor:
    """Item features (N, d) float64 from a training matrix of clicks, as Zong et al. (UAI 2016) make them.

    clicks: (rounds or users, N), 1 for a click. The features of item e are column e of S V^T, cut to the d largest
    singular values of U S V^T = clicks, and scaled so that the longest has norm min(d / sqrt(K), 1), K = length. An SVD
    is free in its signs: here the largest entry of each right singular vector is positive.
    """
    rank = min(clicks.shape) if clicks.dim() == 2 else 0
    if not 1 <= num_features <= rank:
        raise ValueError(
            f"{num_features} features from clicks of shape {tuple(clicks.shape)}: expected a matrix, and 1 to {rank}"
        )
    if not bool(clicks.any()):
        raise ValueError("clicks are all 0: expected some, to learn features from")
    _, singular, vectors = torch.linalg.svd(clicks.double(), full_matrices=False)
    singular, vectors = singular[:num_features], vectors[:num_features]
    vectors = vectors * vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()
    features = (singular[:, None] * vectors).T
    return cast(Tensor, features * min(num_features / math.sqrt(length), 1) / features.norm(dim=1).max())


def kl_upper_bound(mean: Tensor, budget: Tensor) -> Tensor:
    """The largest u with KL(mean, u) <= budget, between Bernoulli distributions; all (N,) float64.

    By Newton's method from above: KL is convex and increases in u >= mean, so that the iterates descend to the root.
    """
    if mean.is_cpu:
        out = torch.empty_like(mean)
        kernels.kl_bounds(mean.numpy(), budget.numpy(), out.numpy())
        return out
    return _kl_upper_bound_torch(mean, budget)


def _kl_upper_bound_torch(mean: Tensor, budget: Tensor) -> Tensor:
    entropy = -torch.xlogy(mean, mean) - torch.xlogy(1 - mean, 1 - mean)
    high = (mean + budget + (budget * (budget + 2 * mean)).sqrt()).minimum(mean + (budget / 2).sqrt())
    high = high.where(high < 1, -torch.expm1(-(budget + entropy) / (1 - mean)))
    high = high.where(mean < 1, 1.0)
    moving = (mean < high) & (high < 1)
    while bool(moving.any()):
        excess = -entropy - mean * high.log() - (1 - mean) * (1 - high).log() - budget
        step = excess * high * (1 - high) / (high - mean)
        high = (high - step).where(moving, high)
        moving &= (step > 1e-8 * (high - mean)) & (mean < high) & (high < 1)
    return high.maximum(mean)


def normal(draws: Draws, site: str, index: int | Tensor | None = None) -> Tensor:
    """Standard normal draws, float64: the inverse distribution function at ``draws.uniform(site, index)``."""
    return torch.special.ndtri(draws.uniform(site, index).double())


def beta(draws: Draws, site: str, a: Tensor, b: Tensor) -> Tensor:
    """Beta(a, b) draws, one for each row and item, (n, N) float64; a, b: (N,) float64, at least 1.

    Cheng's algorithm BB (Communications of the ACM 21, 1978): rejection from a log-logistic envelope. Attempt k of
    item e takes the draws with index e + 2 k 2^32 and e + (2 k + 1) 2^32. At most 1.5 attempts are expected. a = 1 or
    b = 1 lies on the border of BB; its scale is 1 there, with which the proof goes through.
    """
    if not bool(((a >= 1) & (b >= 1)).all()):
        raise ValueError(f"Beta parameters go down to {min(a.min().item(), b.min().item()):g}: expected at least 1")
    if draws.ids.is_cpu:
        out = torch.empty(len(draws.ids), len(a), dtype=torch.float64)
        key = np.uint64(draws.key(site))
        kernels.beta_draws(key, draws.ids.numpy(), a.numpy(), b.numpy(), out.numpy())
        return out
    return _beta_torch(draws, site, a, b)


def _beta_torch(draws: Draws, site: str, a: Tensor, b: Tensor) -> Tensor:
    low, high, total = a.minimum(b), a.maximum(b), a + b
    scale = ((total - 2) / (2 * a * b - total)).sqrt().where(low > 1, 1.0)  # Cheng's beta
    items = torch.arange(len(a), device=a.device).expand(len(draws.ids), -1)
    out = torch.full(items.shape, torch.nan, dtype=torch.float64, device=a.device)
    attempt = 0
    while bool(out.isnan().any()):
        u = draws.uniform(site, items + (2 * attempt << 32)).double()
        u2 = draws.uniform(site, items + (2 * attempt + 1 << 32)).double()
        v = scale * (u / (1 - u)).log()
        w = low * v.exp()
        r = (low + 1 / scale) * v - math.log(4)
        accepted = r + total * (total / (high + w)).log() >= (u * u * u2).log()
        drawn = torch.where(a == low, w, high) / (high + w)
        out = drawn.where(accepted & out.isnan(), out)
        attempt += 1
    return out
