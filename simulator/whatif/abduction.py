"""Abduction: the luck behind a logged history, inferred."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from ..arguments import check_has, check_is
from ..draws import Draws
from ..history import History, map_column
from ..rollout import rollout
from .replay import Replay


@runtime_checkable
class Explainable(Protocol):
    """A world that can say which of its draws a history reveals."""

    def evidence(self, history: History) -> Mapping[str, tuple[Tensor, Tensor]]:
        """For each site that is drawn by ``bernoulli`` or ``categorical``: (outcome, known), both (n, T, …).

        outcome: what was drawn; known: bool, False where the history does not tell.
        """
        ...


@dataclass(frozen=True, eq=False)
class Given(Draws):
    """Draws from their posterior distribution given a logged history; made by ``abduct``.

    Whatever the history revealed has been drawn from the interval that would have led to it; all else is fresh.
    """

    revealed: Mapping[tuple[str, int], tuple[Tensor | None, Tensor]] = field(default_factory=dict)

    def of(self, rows: Tensor) -> Self:
        """As ``Draws.of``, with what the history revealed of these rows."""
        cut = {key: (None if a is None else a[rows], value[rows]) for key, (a, value) in self.revealed.items()}
        return self._but(ids=self.ids[rows], revealed=cut)

    def uniform(self, site: str, index: int | Tensor | None = None) -> Tensor:
        """As ``Draws.uniform``, with what the history revealed in place of fresh draws."""
        draws = super().uniform(site, index)
        if self.scope != "world" or (site, self.step) not in self.revealed:
            return draws
        about, value = self.revealed[site, self.step]
        if about is None or index is None:
            return value
        if isinstance(index, int):
            index = torch.arange(index, device=draws.device).expand(len(draws), -1)
        match = index[:, :, None] == about[:, None, :]  # (n, L, L')
        found = torch.where(match, value[:, None, :], 0).amax(2)
        return torch.where(match.any(2), found, draws)


@dataclass(frozen=True, eq=False)
class _Abducting(Draws):
    """Replays a history in its world and writes down draws that explain it."""

    evidence: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    revealed: dict[tuple[str, int], tuple[Tensor | None, Tensor]] = field(default_factory=dict)

    def bernoulli(
        self,
        site: str,
        probability: Tensor | float,
        index: int | Tensor | None = None,
        among: Tensor | None = None,
    ) -> Tensor:
        if site not in self.evidence:
            return super().bernoulli(site, probability, index, among)
        outcome, known = (column[:, self.step] for column in self.evidence[site])
        probability = torch.as_tensor(probability)
        if among is not None:
            probability = torch.where(among, probability, 0)
        self._check_possible(site, known & torch.where(outcome, probability <= 0, probability >= 1))
        prior, p = self.uniform(site, index), probability.to(torch.float64)
        posterior = torch.where(outcome, prior * p, p + prior * (1 - p))
        about = torch.arange(index).expand(len(prior), -1) if isinstance(index, int) else index
        if about is not None:  # an index of -2 matches nothing: what is not known stays fresh
            about = about.where(known, -2)
        self.revealed[site, self.step] = about, torch.where(known, posterior, prior)
        return torch.where(known, outcome, prior < p)

    def inverse_cdf(self, site: str, cumulative: Tensor, which: Tensor) -> Tensor:
        if site not in self.evidence:
            return super().inverse_cdf(site, cumulative, which)
        outcome, known = (column[:, self.step] for column in self.evidence[site])
        rows = torch.nn.functional.pad(cumulative[which].to(torch.float64), (1, 0))
        low, high = (rows.gather(1, outcome[:, None] + k)[:, 0] for k in (0, 1))
        self._check_possible(site, known & (high <= low))
        prior = self.uniform(site)
        posterior = torch.where(known, low + prior * (high - low), prior)
        self.revealed[site, self.step] = None, posterior
        return torch.where(known, outcome, super().inverse_cdf(site, cumulative, which))

    def _check_possible(self, site: str, impossible: Tensor) -> None:
        if impossible.any():
            row = int(impossible.nonzero()[0, 0])
            raise ValueError(
                f"row {row} at step {self.step}: what the history shows at '{site}' has probability 0 in this world, "
                "so that the world cannot have produced it; smooth the world's probabilities, or drop the row"
            )


def abduct(world: Explainable, history: History, *, seed: int = 0) -> Given:
    """Draws under which ``world`` relives ``history``: its luck, inferred; the first step of a what-if about a log.

    The history needs its actions and whatever ``world.evidence`` reads. Each draw that an outcome reveals is drawn
    (with ``seed``) from the interval that leads to that outcome: uniform on [0, p) if ``u < p`` held, on [p, 1) if
    not; on the category's interval for categorical sites. ``rollout(world, policy, draws=abduct(…))`` then replays
    the past, and differs from it only where a change acts. Several seeds give several posterior samples.

    Raises ValueError, naming row and step, where the world gives the history probability 0, or shows something else
    than was observed: it starts from another state, say.
    """
    check_has("world", world, "one that explains a history by its method evidence(history)", "evidence")
    check_is("history", history, History, "a History, as rollout or History.of makes it")
    draws = _Abducting(seed, history.ids, scope="world", evidence=world.evidence(history))
    again = rollout(world, Replay(history), rows=history.ids, horizon=history.num_steps, draws=draws)  # type: ignore[arg-type]
    if "observation" in history.columns:
        _check_relived(history, again)
    return Given(seed, history.ids, scope="world", revealed=draws.revealed)


def _check_relived(history: History, again: History) -> None:
    """Raise ValueError where the world shows something else than was observed, under the inferred draws."""
    seen = torch.arange(history.num_steps + 1, device=history.length.device) <= history.length[:, None]

    def compare(logged: Any, shown: Any) -> None:
        same = torch.as_tensor((logged == shown) | ((logged != logged) & (shown != shown)))  # NaN is as good as NaN
        differs = seen & ~same.flatten(2).all(2) if same.dim() > 2 else seen & ~same
        if differs.any():
            row, step = differs.nonzero()[0].tolist()
            raise ValueError(
                f"row {row} at step {step}: {logged[row, step]} was observed where the world shows {shown[row, step]}: "
                "expected a history of this world, from the same initial state and with the same parameters"
            )

    map_column(compare, history.observation, again.observation)
