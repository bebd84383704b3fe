"""Logged data of others, as worlds and histories: MovieLens, the Open Bandit Dataset."""

from .movielens import WHEEL, MovieLens, load_movielens
from .movielens_mdp import SessionModel, movielens_world, paper_mdp, session_mdp
from .open_bandit import load_open_bandit

__all__ = [
    "WHEEL",
    "MovieLens",
    "SessionModel",
    "load_movielens",
    "load_open_bandit",
    "movielens_world",
    "paper_mdp",
    "session_mdp",
]
