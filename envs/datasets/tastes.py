"""Profiles of what users met lately, their clusters, and moves between clusters counted."""

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import checked_seed


def profiles(starts: Tensor, features: Tensor, memory: float) -> tuple[Tensor, Tensor, Tensor]:
    """(R, G) profile before each event, (R, G) after it, and (G,) the one that users begin with.

    starts: (U + 1,) where each user's events begin. features: (R, G) of what was met; all 0 leaves a profile as it was.
    """
    known = features.any(1)
    start = features[known].mean(0).nan_to_num()  # of nothing: 0
    met, blend = features.numpy(), torch.where(known, memory, 1.0).numpy()[:, None]
    before, after = np.empty_like(met), np.empty_like(met)
    counts = starts.diff()
    by_activity = counts.argsort(descending=True, stable=True)
    first, still_active = starts[by_activity].numpy(), -counts[by_activity].numpy()
    profile = np.tile(start.numpy(), (len(counts), 1))  # of the users, the most active first
    for k in range(int(counts.max())):
        active = np.searchsorted(still_active, -k)  # users with more than k ratings
        row = first[:active] + k
        before[row] = profile[:active]
        profile[:active] = blend[row] * profile[:active] + (1 - blend[row]) * met[row]
        after[row] = profile[:active]
    return torch.from_numpy(before), torch.from_numpy(after), start


def cluster(profiles: Tensor, num_clusters: int, seed: int, sweeps: int = 50, sample: int = 20_000) -> Tensor:
    """(S, G) centres by k-means++ and Lloyd's sweeps, on at most ``sample`` points evenly spaced."""
    points = profiles[:: -(-len(profiles) // sample)].numpy()
    chance = np.random.default_rng(checked_seed(seed))
    centres = points[chance.integers(len(points))][None]
    distance = np.square(points - centres).sum(1)  # of each point from the nearest centre
    while len(centres) < num_clusters:
        if distance.sum() == 0:
            raise ValueError(f"num_states is {num_clusters}: expected at most {len(centres)}, the distinct profiles")
        new = points[chance.choice(len(points), p=distance / distance.sum())]
        distance = np.minimum(distance, np.square(points - new).sum(1))
        centres = np.concatenate([centres, new[None]])
    for _ in range(sweeps):
        member = nearest(torch.from_numpy(points), torch.from_numpy(centres)).numpy()
        size = np.bincount(member, minlength=num_clusters)[:, None]
        total = np.stack([np.bincount(member, genre, num_clusters) for genre in points.T], axis=1)
        moved = np.where(size > 0, total / np.maximum(size, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return torch.from_numpy(centres)


def nearest(points: Tensor, centres: Tensor) -> Tensor:
    """(R,) the centre next to each point; the first of several."""
    product = np.einsum("rg,sg->rs", points.numpy(), centres.numpy())  # not by BLAS, whose sums vary with its threads
    return torch.from_numpy((centres.square().sum(1).numpy() - 2 * product).argmin(1))


def count_pairs(rows: Tensor, columns: Tensor, num_rows: int, num_columns: int) -> Tensor:
    """(num_rows, num_columns) float64: how often each pair occurs."""
    pairs = (rows * num_columns + columns).bincount(minlength=num_rows * num_columns)
    return pairs.view(num_rows, num_columns).double()


def transitions(was: Tensor, becomes: Tensor, where: Tensor, num_states: int, prior: float) -> Tensor:
    """(S, S) float64: the share of ratings ``where`` True that lead from each state to each, with a Dirichlet prior."""
    counts = count_pairs(was[where], becomes[where], num_states, num_states) + prior
    return counts / counts.sum(1, keepdim=True)
