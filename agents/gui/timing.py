"""How people point and type: Fitts's law with a spread, where clicks land, keys and slips; and the fit to recordings.

Fitts's law (Fitts, J. Exp. Psychol. 1954; Shannon form of MacKenzie, HCI 1992): time = a + b log2(D / W + 1) on
average. Where clicks land: normal about the target's middle, with variance aim^2 + (share W)^2 along each axis, the
dual Gaussian law of Bi, Li & Zhai ("FFitts law", CHI 2013).
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ethogram.simulator import Draws, check_number

Residual = Literal["lognormal", "gamma"]
RESIDUALS: tuple[Residual, ...] = get_args(Residual)


@dataclass(frozen=True)
class HumanTiming:
    """Times in ms, distances in pixels of a page of 160 x 210, as people saw the recorded tasks.

    The defaults are ``fit_human_timing`` of the MiniWoB++ demonstrations (stanfordnlp/miniwob-plusplus-demos, 6506e1a4:
    people on Mechanical Turk, 2017, with a mouse), from 28,622 pairs of clicks in solved episodes. They say how these
    people worked at small web tasks, the choice of a target included; not how anybody does elsewhere.
    """

    base: float = 459.9  # a: of a click where the pointer is
    per_bit: float = 493.6  # b: for each bit of log2(D / W + 1)
    residual: Residual = "lognormal"  # of time / average
    shape: float = 0.606  # of the residual: standard deviation of the log, or the gamma's shape
    first: float = 2246.8  # average before the first action of a task: reading it, and pointing
    aim: float = 1.957  # pixels: spread about the middle of a target however small
    share: float = 0.1631  # of the target's size: spread that grows with it
    before_keys: float = 999.6  # average before the first key
    per_key: float = 339.1
    slip: float = 0.02086  # of keys are wrong, and put right with two more

    def __post_init__(self) -> None:
        if self.residual not in RESIDUALS:
            raise ValueError(f"residual is {self.residual!r}: expected one of {list(RESIDUALS)}")
        for name in ("base", "per_bit", "first", "share", "before_keys", "per_key"):
            check_number(name, getattr(self, name))
        for name in ("shape", "aim"):
            check_number(name, getattr(self, name), 1e-9)
        check_number("slip", self.slip, 0, 1)

    def mean(self, bits: Tensor) -> Tensor:
        """(…) the average time of a click, of its log2(D / W + 1)."""
        return self.base + self.per_bit * bits

    @property
    def variation(self) -> float:
        """The standard deviation of a time over its average, in closed form."""
        return math.sqrt(math.expm1(self.shape**2)) if self.residual == "lognormal" else self.shape**-0.5

    def luck(self, draws: Draws, site: str) -> Tensor:
        """(n,) a time over its average: positive, 1 on average."""
        uniform = draws.uniform(site).double()
        if self.residual == "lognormal":
            return (self.shape * torch.special.ndtri(uniform) - self.shape**2 / 2).exp()
        low, high = (
            torch.zeros_like(uniform),
            torch.full_like(uniform, 1 + 40 * self.variation**2 + 10 * self.variation),
        )
        for _ in range(50):  # the quantile, by bisection
            middle = (low + high) / 2
            below = torch.special.gammainc(torch.full_like(uniform, self.shape), self.shape * middle) < uniform
            low, high = middle.where(below, low), high.where(below, middle)
        return middle

    def spread(self, size: Tensor) -> Tensor:
        """(…) the standard deviation of where clicks land along an axis, pixels, of the target's size along it."""
        return (self.aim**2 + (self.share * size) ** 2).sqrt()

    def hit(self, size: Tensor) -> Tensor:
        """The chance to hit targets of (…, 2) pixels, (…), in closed form."""
        return torch.erf(size / self.spread(size) / math.sqrt(8)).prod(-1)

    def typing(self, keys: Tensor, draws: Draws) -> Tensor:
        """(n,) ms to type (n,) keys, slips put right."""
        places = torch.arange(max(int(keys.max()), 1), device=keys.device)
        slips = (draws.uniform("slip", len(places)) < self.slip) & (places < keys[:, None])
        return (self.before_keys + self.per_key * (keys + 2 * slips.sum(1))) * self.luck(draws, "keys")
