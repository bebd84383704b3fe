"""Reference instances of cascading MDPs, which the tests and benchmarks use."""

import torch
from torch import Tensor

from ethogram.simulator import as_tensor, check_number, checked_int

from .mdp import CascadingMDP


def movielens_formula(num_states: int, num_items: int, scale: float) -> CascadingMDP:
    """MLF: ratings by a formula in place of MovieLens, otherwise the paper's construction (H = m = 3)."""
    check_number("scale", scale, 0, 1)
    s = torch.arange(checked_int("num_states", num_states, 1))[:, None]
    a = torch.arange(checked_int("num_items", num_items, 1))
    rating = 0.5 * (1 + (7 * s + 11 * a + 3 * s * a) % 10).double()
    return rating_mdp(rating, attraction=scale * rating / 5)


def rating_mdp(rating: Tensor, attraction: Tensor, length: int = 3, horizon: int = 3) -> CascadingMDP:
    """The MDP of the paper's MovieLens experiment: states are users, a liked item keeps the user.

    rating: (S, N) float64, stars from 0.5 to 5. attraction: (S, N) float64. A click on an item of 4.5 stars or
    more leaves the state as it is with probability 0.9, the rest being uniform over the other states; any other
    click, and none, leads to a uniform state (the paper does not say what follows no click).
    """
    rating = as_tensor("rating", rating)
    if rating.dim() != 2:
        raise ValueError(f"rating has shape {tuple(rating.shape)}: expected (states, items), stars")
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
    s, a = torch.arange(3)[:, None], torch.arange(checked_int("num_items", num_items, 2))
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
    attraction = as_tensor("attraction", attraction)
    if attraction.dim() != 1:
        raise ValueError(f"attraction has shape {tuple(attraction.shape)}: expected (items,), as there are no states")
    transition = torch.ones(1, len(attraction) + 1, 1, dtype=torch.float64)
    return CascadingMDP(attraction[None], transition, torch.ones_like(attraction)[None], length, horizon=1)


def two_level_bandit(num_items: int, length: int, gap: float, best: float = 0.2) -> CascadingMDP:
    """BLB(L, K, p, Delta) of Kveton et al. (ICML 2015), section 4.1: the first K items attract more than the rest.

    num_items, length, best, gap = L, K, p, Delta: ``length`` items attract with probability ``best``, the others
    with ``best - gap``.
    """
    num_items = checked_int("num_items", num_items, 1)
    length = checked_int("length", length, 1, num_items)
    check_number("best", best, 0, 1)
    check_number("gap", gap, 0, best)
    attraction = torch.full((num_items,), best - gap, dtype=torch.float64)
    attraction[:length] = best
    return cascading_bandit(attraction, length)
