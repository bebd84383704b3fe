"""LinUCB, LinTS; features by SVD."""

import math
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from ethogram.simulator import Draws, as_tensor, check_number, checked_int

from .bandit import CascadeBandit
from .sampling import normal


@dataclass(eq=False)
class LinearBandit(CascadeBandit):
    """The base of the linear agents: an item's attraction is x^T theta, with ridge regression of clicks on features.

    features: (N, d) float64, the x of each item; ``svd_features`` makes them from clicks.
    noise: sigma, in M = I + X^T diag(examined) X / sigma^2 and theta_hat = M^-1 X^T clicks / sigma^2.
    """

    num_items: int = field(init=False)
    features: Tensor
    noise: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        self.features = as_tensor("features", self.features)
        if self.features.dtype != torch.float64 or self.features.dim() != 2:
            raise ValueError(
                f"features are {self.features.dtype} {tuple(self.features.shape)}: expected float64 (items, d)"
            )
        check_number("noise", self.noise)
        if self.noise == 0:
            raise ValueError("noise is 0: expected a positive standard deviation")
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

    def __post_init__(self) -> None:
        checked_int("num_rounds", self.num_rounds, 1)
        super().__post_init__()

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

    def __post_init__(self) -> None:
        for name in ("exploration", "subgaussian"):
            check_number(name, getattr(self, name))
        super().__post_init__()

    def index(self, draws: Draws) -> Tensor:
        """(n, N) float64 samples."""
        v = self.subgaussian * math.sqrt(9 * self.features.shape[1] * math.log(self.lists + 1))
        return self.sample(draws, self.exploration * v * math.sqrt(self.length))


def svd_features(clicks: Tensor, num_features: int, length: int) -> Tensor:
    """Item features (N, d) float64 from a training matrix of clicks, as Zong et al. (UAI 2016) make them.

    clicks: (rounds or users, N), 1 for a click. The features of item e are column e of S V^T, cut to the d largest
    singular values of U S V^T = clicks, and scaled so that the longest has norm min(d / sqrt(K), 1), K = length. An SVD
    is free in its signs: here the largest entry of each right singular vector is positive.
    """
    clicks = as_tensor("clicks", clicks)
    if clicks.dim() != 2:
        raise ValueError(f"clicks have shape {tuple(clicks.shape)}: expected a matrix, (users, items)")
    num_features = checked_int("num_features", num_features, 1, min(clicks.shape))
    length = checked_int("length", length, 1)
    if not bool(clicks.any()):
        raise ValueError("clicks are all 0: expected some, to learn features from")
    _, singular, vectors = torch.linalg.svd(clicks.double(), full_matrices=False)
    singular, vectors = singular[:num_features], vectors[:num_features]
    vectors = vectors * vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()
    features = (singular[:, None] * vectors).T
    return cast(Tensor, features * min(num_features / math.sqrt(length), 1) / features.norm(dim=1).max())
