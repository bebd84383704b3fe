"""CascadeBandit: counting and ranking; regret."""

from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from ethogram.simulator import Draws, History, as_tensor, check_is, checked_int


@dataclass(eq=False)
class CascadeBandit:
    """The base of the family: counting, and showing the items of largest ``index``."""

    num_items: int  # N
    length: int  # K, items in a list
    lists: int = field(init=False, default=0)  # shown so far: round t begins with t - 1
    clicks: Tensor = field(init=False)  # (N,) float64
    examined: Tensor = field(init=False)  # (N,) float64, the papers' T(e)

    def __post_init__(self) -> None:
        checked_int("length", self.length, 1, checked_int("num_items", self.num_items, 1))
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
        check_is("history", history, History, "a History, such as rollout and episodes give")
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
        """The part of an index that is owed to time alone, after so many lists."""
        return 0.0

    def _if_examined(self, bound: Tensor) -> Tensor:
        return bound.where(self.examined > 0, torch.inf)


def count_feedback(history: History, num_items: int) -> tuple[Tensor, Tensor]:
    """Count how often each item was clicked and examined, both (N,) float64.

    history: slates (n, T, K) int64, -1 for empty positions, and the site "click" (n, T) int64, the position clicked,
    K for none. Items from the top to the click are examined, all of them where nothing was clicked.
    """
    slates, click = history.action, history.column("click")
    if slates.dim() != 3 or slates.dtype != torch.int64:
        raise ValueError(f"actions are {slates.dtype} {tuple(slates.shape)}: expected slates, int64 (rows, steps, K)")
    if click.dtype != torch.int64 or click.shape != slates.shape[:2]:
        what = f"{click.dtype} {tuple(click.shape)}"
        raise ValueError(f"clicks are {what}: expected the position clicked, int64 {tuple(slates.shape[:2])}")
    click = click[..., None]
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
    """The shortfall of each list in probability of a click: 1 - prod(1 - w) of the best K less its own.

    attraction: (N,) float64, w. slates: (…, K) int64, -1 for empty positions. Returns (…,) float64.
    """
    attraction, slates = as_tensor("attraction", attraction), as_tensor("slates", slates)
    best = attraction.topk(slates.shape[-1]).values
    skipped = torch.nn.functional.pad(1 - attraction, (0, 1), value=1.0)  # an empty position, -1, is always skipped
    return skipped[slates].prod(-1) - (1 - best).prod()
