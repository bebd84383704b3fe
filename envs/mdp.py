"""The arrays of a cascading MDP, and the reference instances that the tests and benchmarks use.

Du, Srikant & Chen, "Cascading Reinforcement Learning", ICLR 2024 (arXiv 2401.08961), section 3.
"""

from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class CascadingMDP:
    """A user with a state looks down a list and clicks the first item that attracts them.

    Symbols, as paper = here (S states, N items):
        q(s, a) = attraction[s, a]        (S, N) float64, probability that an examined item attracts
        r(s, a) = reward[s, a]            (S, N) float64 in [0, 1], given for a click
        p(s' | s, a) = transition[s, a]   (S, N + 1, S) float64, next state after a click on item a; the last
                                          item, N, is the paper's a_perp: nothing was clicked
        m = length                        longest list; a list holds 1 to m distinct items
        H = horizon                       steps in an episode
        s_1 = initial                     the state in which every episode starts
    """

    attraction: Tensor
    transition: Tensor
    reward: Tensor
    length: int
    horizon: int
    initial: int = 0

    def __post_init__(self) -> None:
        states, items = _shape(self.attraction)
        _check_table("attraction", self.attraction, (states, items))
        _check_table("reward", self.reward, (states, items))
        _check_table("transition", self.transition, (states, items + 1, states))
        if (self.transition.sum(-1) - 1).abs().max() > 1e-6:
            s, a = ((self.transition.sum(-1) - 1).abs() > 1e-6).nonzero()[0].tolist()
            raise ValueError(
                f"transition[{s}, {a}] sums to {self.transition[s, a].sum():.6g}: expected 1, the total probability "
                "of the next states; divide each row by its sum"
            )
        for name in ("length", "horizon", "initial"):
            if not isinstance(number := getattr(self, name), Integral):
                raise TypeError(f"{name} is {number!r}: expected an int")
        if not 1 <= self.length <= items:
            raise ValueError(f"length is {self.length}: expected 1 to {items}, the number of items")
        if self.horizon < 1:
            raise ValueError(f"horizon is {self.horizon}: expected at least 1 step")
        if not 0 <= self.initial < states:
            raise ValueError(f"initial is {self.initial}: expected a state between 0 and {states - 1}")

    @property
    def num_states(self) -> int:
        """S."""
        return self.attraction.shape[0]

    @property
    def num_items(self) -> int:
        """N, not counting "nothing"."""
        return self.attraction.shape[1]


def _shape(attraction: Tensor) -> tuple[int, int]:
    if not isinstance(attraction, Tensor):
        raise TypeError(f"attraction is a {type(attraction).__name__}: expected a torch tensor; use torch.as_tensor")
    if attraction.dim() != 2:
        raise ValueError(f"attraction has shape {tuple(attraction.shape)}: expected (states, items)")
    return attraction.shape[0], attraction.shape[1]


def _check_table(name: str, table: Tensor, shape: tuple[int, ...]) -> None:
    if not isinstance(table, Tensor):
        raise TypeError(f"{name} is a {type(table).__name__}: expected a torch tensor; use torch.as_tensor")
    if tuple(table.shape) != shape or table.dtype != torch.float64:
        raise ValueError(f"{name} is {table.dtype} {tuple(table.shape)}: expected float64 {shape}")
    outside = ~((table >= 0) & (table <= 1))  # NaN is outside too
    if outside.any():
        where = outside.nonzero()[0].tolist()
        raise ValueError(f"{name}{where} is {table[tuple(where)]:.6g}: expected a number in [0, 1]")


def movielens_formula(num_states: int, num_items: int, scale: float) -> CascadingMDP:
    """MLF: ratings by a formula in place of MovieLens, otherwise the paper's construction (H = m = 3)."""
    s, a = torch.arange(num_states)[:, None], torch.arange(num_items)
    rating = 0.5 * (1 + (7 * s + 11 * a + 3 * s * a) % 10).double()
    return rating_mdp(rating, attraction=scale * rating / 5)


def rating_mdp(rating: Tensor, attraction: Tensor, length: int = 3, horizon: int = 3) -> CascadingMDP:
    """The MDP of the paper's MovieLens experiment: states are users, a liked item keeps the user.

    rating: (S, N) float64, stars from 0.5 to 5. attraction: (S, N) float64. A click on an item of 4.5 stars or
    more leaves the state as it is with probability 0.9, the rest being uniform over the other states; any other
    click, and none, leads to a uniform state (the paper does not say what follows no click).
    """
    num_states, num_items = rating.shape
    uniform = torch.full((num_states, num_items + 1, num_states), 1 / num_states, dtype=torch.float64)
    stay = torch.eye(num_states, dtype=torch.float64)
    if num_states > 1:
        stay = 0.9 * stay + 0.1 * (1 - stay) / (num_states - 1)
    liked = torch.nn.functional.pad(rating >= 4.5, (0, 1))
    transition = torch.where(liked[..., None], stay[:, None, :], uniform)
    return CascadingMDP(attraction, transition, torch.ones_like(attraction), length, horizon)


def good_medium_bad(num_items: int) -> CascadingMDP:
    """GMB: three moods that good items keep up and bad ones spoil (H = m = 3)."""
    s, a = torch.arange(3)[:, None], torch.arange(num_items)
    base = torch.tensor([0.6, 0.35, 0.1], dtype=torch.float64)[:, None]
    attraction = (base * (0.4 + 1.2 * ((5 * a + 3 * s) % num_items) / (num_items - 1))).clamp(max=0.95)
    kinds = torch.tensor([[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.05, 0.15, 0.8]], dtype=torch.float64)
    nothing = torch.tensor([[0.1, 0.3, 0.6]], dtype=torch.float64)
    transition = torch.cat([kinds[a % 3], nothing]).expand(3, -1, -1).clone()
    return CascadingMDP(attraction, transition, torch.ones_like(attraction), 3, 3)


def trap() -> CascadingMDP:
    """TRAP: clickbait (items 0 to 2) is clicked now and bores the user; quality (3 to 5) keeps them (H = 6, m = 2)."""
    rows = [[0.9, 0.85, 0.8, 0.5, 0.45, 0.4], [0.10, 0.09, 0.08, 0.15, 0.12, 0.10]]
    attraction = torch.tensor(rows, dtype=torch.float64)
    engaged = [[0.1, 0.9]] * 3 + [[0.95, 0.05]] * 3 + [[0.8, 0.2]]
    bored = [[0.05, 0.95]] * 3 + [[0.5, 0.5]] * 3 + [[0.05, 0.95]]
    transition = torch.tensor([engaged, bored], dtype=torch.float64)
    return CascadingMDP(attraction, transition, torch.ones_like(attraction), 2, 6)


def cascading_bandit(attraction: Tensor, length: int) -> CascadingMDP:
    """One state, one step, reward 1 for a click: the cascading bandit (Kveton et al., ICML 2015).

    attraction: (N,) float64. An episode is a round; its expected reward is 1 - prod(1 - attraction) over the list.
    """
    if attraction.dim() != 1:
        raise ValueError(f"attraction has shape {tuple(attraction.shape)}: expected (items,), as there are no states")
    transition = torch.ones(1, len(attraction) + 1, 1, dtype=torch.float64)
    return CascadingMDP(attraction[None], transition, torch.ones_like(attraction)[None], length, horizon=1)


def two_level_bandit(num_items: int, length: int, gap: float, best: float = 0.2) -> CascadingMDP:
    """BLB(L, K, p, Delta) of Kveton et al. (ICML 2015), section 4.1: the first K items attract more than the rest.

    num_items, length, best, gap = L, K, p, Delta: ``length`` items attract with probability ``best``, the others
    with ``best - gap``.
    """
    attraction = torch.full((num_items,), best - gap, dtype=torch.float64)
    attraction[:length] = best
    return cascading_bandit(attraction, length)
