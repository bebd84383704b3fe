"""Ratings to worlds: the paper's block, sessions with tastes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from ethogram.simulator import check_is, check_number, checked_int
from ethogram.simulator.formats import Interactions

from ..sessions import CascadingMDP, CascadingSession, rating_mdp
from .movielens import MovieLens, load_movielens
from .tastes import cluster, count_pairs, nearest, profiles, transitions

LIKED = 4.0  # stars


def paper_mdp(
    ratings: Interactions, num_users: int = 20, num_items: int = 20
) -> tuple[CascadingMDP, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The MovieLens experiment of Du, Srikant & Chen (ICLR 2024): a state is a user; attraction is rating / 5.

    The paper does not say which users and movies it takes. Here they are a block without gaps: movies are taken one by
    one, each time the one that leaves the most users who have rated all that are taken (ties: the more rated, then
    the smaller id); the users are the ``num_users`` smallest ids among those who have rated them all. So a block of
    fewer movies is the beginning of a block of more. (Plainly the N most rated movies would not do: in MovieLens 100K
    29 users have rated all of the first 10, but 12, 9 and 4 the first 15, 20 and 25.)

    Returns the MDP (``rating_mdp``: m = H = 3), the user ids (num_users,) and the movie ids (num_items,) in the order
    taken, which is the order of the MDP's states and items. Raises ValueError where there is no such block.
    """
    check_is("ratings", ratings, Interactions, "Interactions, such as load_movielens().ratings")
    for name, size in (("num_users", num_users), ("num_items", num_items)):
        checked_int(name, size, 1)
    rated = torch.zeros(ratings.num_users, ratings.num_items, dtype=torch.bool)
    rated[ratings.user, ratings.item] = True
    by_popularity = rated.sum(0).argsort(descending=True, stable=True)
    rated = rated[:, by_popularity]
    common = torch.ones(ratings.num_users, dtype=torch.bool)
    taken: list[int] = []
    for _ in range(min(num_items, ratings.num_items)):
        joint = rated[common].sum(0)  # (I,) users who would remain
        joint[taken] = -1
        taken.append(int(joint.argmax()))  # the first of several: the more rated
        common &= rated[:, taken[-1]]
    if len(taken) < num_items or int(common.sum()) < num_users:
        raise ValueError(
            f"{int(common.sum())} users rated all of {len(taken)} movies: expected {num_users} users of {num_items}"
            " movies; ask for fewer of either, or pass a larger release"
        )
    items = by_popularity[taken]
    users = common.nonzero()[:num_users, 0]
    table = torch.zeros(ratings.num_users, ratings.num_items, dtype=torch.float64)
    table[ratings.user, ratings.item] = ratings.reward.double()
    stars = table[users[:, None], items]
    return rating_mdp(stars, stars / 5), ratings.user_ids[users.numpy()], ratings.item_ids[items.numpy()]


@dataclass(frozen=True, eq=False)
class SessionModel:
    """A cascading MDP estimated from ratings, and what its states and items are."""

    mdp: CascadingMDP
    item_ids: np.ndarray[Any, Any]  # (N,) movie ids, most rated first
    titles: tuple[str, ...]  # (N,)
    genre_names: tuple[str, ...]  # (G,)
    profiles: Tensor  # (S, G) float64: what share of the recent movies of a user in each state has each genre
    frequency: Tensor  # (S,) float64: share of ratings that were given in each state


def session_mdp(
    data: MovieLens,
    num_states: int = 12,
    num_items: int = 50,
    length: int = 3,
    horizon: int = 20,
    *,
    memory: float = 0.7,
    window: int = 20,
    attraction_prior: float = 100.0,
    transition_prior: float = 10.0,
    users: Tensor | None = None,
    seed: int = 0,
) -> SessionModel:
    """Users whose taste of the moment moves with what they watch; every number is counted from the ratings.

    Items are the ``num_items`` most rated movies (ties: smaller id first). With e = a rating of movie a by a user:

    * State. profile(after e) = memory · profile(before e) + (1 - memory) · genres(a), beginning with the mean genres of
      all ratings; a movie whose genres are not known leaves it as it was. The S = ``num_states`` states are clusters of
      the profiles before ratings (k-means++ seeded by ``seed``, then Lloyd); a profile's state is its nearest centre.
      Each e takes its user from a state s to a s'.
    * Attraction. q(s, a) = (c + k q(a)) / (n + k). Of the n moments when a user was in s without having rated a, in
      c did one of the next ``window`` ratings give a four stars or more. q(a) is that share over all states, and
      k = ``attraction_prior``. A movie disliked or never chosen did not attract.
    * After a click on a: p(s' | s, a) = (c' + k' p(s' | s)) / (n' + k'), where c' of the n' ratings of a in s with four
      stars or more led to s'; p(s' | s) is that share over all movies (Dirichlet prior 1 / S each), and
      k' = ``transition_prior``.
    * After no click: as after ratings below four stars in s, of any movie (Dirichlet prior 1 / S each).
    * Reward 1 a click. Episodes begin where users do.

    users: (U,) bool, whose ratings are counted in q and p, for estimates from parts of the data; None: all. Clusters
    always come from all.

    These are associations in ratings that users chose to give, in an order that half the time is a convention: a
    world with real structure, not the causal effect of recommending a movie. See ``docs/movielens.md``.
    Raises ValueError for ratings without genres and for numbers out of range.
    """
    check_is("data", data, MovieLens, "a MovieLens; load_movielens() reads one")
    ratings, num_ratings = data.ratings, len(data.ratings)
    if not data.genre_names:
        raise ValueError("these ratings have no genres: expected u.item, movies.dat or movies.csv beside the ratings")
    for name, number in (("attraction_prior", attraction_prior), ("transition_prior", transition_prior)):
        check_number(name, number)
    check_number("memory", memory, 0, 1)
    checked_int("window", window, 1)
    if not (0 < memory < 1 and window >= 1 and attraction_prior > 0 and transition_prior > 0):
        raise ValueError(
            f"memory {memory}, window {window}, priors {attraction_prior} and {transition_prior}: expected memory "
            "between 0 and 1, a window of at least 1 and priors above 0"
        )
    checked_int("num_states", num_states, 1)
    if users is not None and (not isinstance(users, Tensor) or users.shape != (ratings.num_users,)):
        raise ValueError(f"users is {getattr(users, 'shape', users)}: expected a bool tensor ({ratings.num_users},)")
    checked_int("num_items", num_items, 1, ratings.num_items)
    before, after, start = profiles(ratings.starts, data.genres.double()[ratings.item], memory)
    centres = cluster(before, num_states, seed)
    was, becomes = nearest(before, centres), nearest(after, centres)  # (R,) states

    counted = torch.ones(num_ratings, dtype=torch.bool) if users is None else users[ratings.user]
    popularity = ratings.item.bincount(minlength=ratings.num_items)
    items = popularity.argsort(descending=True, stable=True)[:num_items]
    column = torch.full((ratings.num_items,), -1).index_put((items,), torch.arange(num_items))[ratings.item]  # (R,)
    liked = ratings.reward >= LIKED

    attraction = _attraction(ratings, was, column, liked, counted, num_states, num_items, window, attraction_prior)
    after_liked = transitions(was, becomes, counted & liked, num_states, prior=1 / num_states)  # (S, S)
    after_none = transitions(was, becomes, counted & ~liked, num_states, prior=1 / num_states)
    clicks = counted & liked & (column >= 0)
    pairs = was[clicks] * num_items + column[clicks]
    after_click = count_pairs(pairs, becomes[clicks], num_states * num_items, num_states).view(
        num_states, num_items, -1
    )
    after_click = (after_click + transition_prior * after_liked[:, None]) / (
        after_click.sum(-1, keepdim=True) + transition_prior
    )
    mdp = CascadingMDP(
        attraction,
        torch.cat([after_click, after_none[:, None]], dim=1),
        torch.ones_like(attraction),
        length,
        horizon,
        initial=int(nearest(start[None], centres)),
    )
    titles = tuple(data.titles[i] for i in items.tolist())
    frequency = was.bincount(minlength=num_states).double() / num_ratings
    return SessionModel(mdp, ratings.item_ids[items.numpy()], titles, data.genre_names, centres, frequency)


def movielens_world(
    path: str | Path | None = None,
    *,
    num_items: int = 50,
    num_states: int = 12,
    length: int = 3,
    horizon: int = 20,
) -> CascadingSession:
    """The sessions of ``session_mdp`` as a world, from MovieLens 100K or the release at ``path``."""
    return CascadingSession(session_mdp(load_movielens(path), num_states, num_items, length, horizon).mdp)


def _attraction(
    ratings: Interactions,
    state: Tensor,
    column: Tensor,
    liked: Tensor,
    counted: Tensor,
    num_states: int,
    num_items: int,
    window: int,
    prior: float,
) -> Tensor:
    """(S, N) float64: see ``session_mdp``. A moment is a rating; the state is the one before it."""
    moments = pad((one_hot(state, num_states) * counted[:, None]).cumsum(0), (0, 0, 1, 0))  # (R + 1, S) up to each
    rating = ((column >= 0) & counted).nonzero()[:, 0]  # (E,) of the items
    begins, ends = ratings.starts[ratings.user[rating]], ratings.starts[ratings.user[rating] + 1]
    known = torch.zeros(num_items, num_states, dtype=torch.int64)  # moments after the item was rated
    known.index_add_(0, column[rating], moments[ends] - moments[rating + 1])
    unknown = moments[-1] - known
    attracted = torch.zeros_like(known)
    good = liked[rating]
    rating, begins = rating[good], begins[good]
    since = torch.maximum(rating + 1 - window, begins)
    attracted.index_add_(0, column[rating], moments[rating + 1] - moments[since])
    overall = attracted.sum(1, keepdim=True).double() / unknown.sum(1, keepdim=True).clamp(min=1)
    return ((attracted + prior * overall) / (unknown + prior)).T.contiguous()
