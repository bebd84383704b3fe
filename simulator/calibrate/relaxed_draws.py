"""RelaxedDraws: yes-or-no draws with a gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..arguments import check_number
from ..draws import Draws

Parameter = float | Tensor  # a tensor () may require grad

_LEAST = 2.0**-32  # no draw is below it, or above 1 - it


@dataclass(frozen=True, eq=False)
class RelaxedDraws(Draws):
    """Draws whose yes-or-no outcomes are float64 numbers in [0, 1] with a gradient in their probability.

    The uniforms are those of ``Draws``: a run shares its luck with the exact one. temperature: 0 is straight through,
    more is soft; see the module. A rollout takes them as ``draws=RelaxedDraws(seed, ids, scope="world")``.
    """

    temperature: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("temperature", self.temperature)

    def bernoulli(
        self,
        site: str,
        probability: Tensor | float,
        index: int | Tensor | None = None,
        among: Tensor | None = None,
    ) -> Tensor:
        """As ``Draws.bernoulli``; float64."""
        u, p = self.uniform(site, index), torch.as_tensor(probability)
        outcome = self._soft(u, p) if self.temperature else (u < p.detach()) + (p - p.detach()).to(torch.float64)
        return outcome if among is None else outcome * among

    def event(self, site: str, hazard: Tensor) -> Tensor:
        """As ``Draws.event``; float64.

        Straight through, the derivative in the probability is ``balanced``.
        """
        if hazard.shape != self.ids.shape or not bool((hazard >= 0).all()):
            raise ValueError(f"hazard of site '{site}' is {tuple(hazard.shape)}: expected ({len(self.ids)},), all >= 0")
        u, p = self.uniform(site), -torch.expm1(-hazard.to(torch.float64))
        if self.temperature:
            return self._soft(u, p)
        return balanced(u < p.detach(), p)

    def _soft(self, uniform: Tensor, probability: Tensor) -> Tensor:
        p, u = (x.to(torch.float64).clamp(_LEAST, 1 - _LEAST) for x in (probability, uniform))
        return ((p.logit() - u.logit()) / self.temperature).sigmoid()


def balanced(happens: Tensor, probability: Tensor) -> Tensor:
    """(n,) float64: what happens, with the derivative 1/2p in p where it does and 1/2(1 - p) where not, 1 on average.

    Half of it follows what would not have happened then, half what would have, which is exact to second order in what
    hangs on it (Liu et al., "Bridging discrete and backpropagation", NeurIPS 2023). happens: (n,); probability: (n,).
    """
    happens, at = happens.detach() > 0, probability.detach().to(torch.float64)
    worth = torch.where((at > 0) & (at < 1), 0.5 / torch.where(happens, at, 1 - at), 1.0)
    return happens + worth * (probability.to(torch.float64) - at)


def once(considered: Tensor, happens: Tensor, first: Tensor | float) -> Tensor:
    """Deeds of people to others, with the derivative of those of whom it is only considered made (1 + first) / 2 of it.

    Somebody whose infection is only considered meets a contact day after day, who is considered to be infected on each
    of them, and then infects back. Half of the derivative of an event (``balanced``) goes by what happened, and counts
    nobody twice; of the other half that of first infections is right.

    considered: (n,). happens: (n,) bool, who is infectious. first: (n,), or one, the part of all infections that a
    case considers of people whom it, or the one who infected it, has not infected before.
    """
    fixed = considered.detach()
    return fixed + torch.where(happens, 1.0, (1 + first) / 2) * (considered - fixed)
