"""Logged data as worlds and histories: any log of sessions, MovieLens, the Open Bandit Dataset."""

from .fitted import FittedSession, HeldOut, SessionFit, fit_sessions
from .movielens import WHEEL, MovieLens, load_movielens
from .movielens_mdp import SessionModel, movielens_world, paper_mdp, session_mdp
from .open_bandit import load_open_bandit
from .session_log import SessionLog

__all__ = [
    "WHEEL",
    "FittedSession",
    "HeldOut",
    "MovieLens",
    "SessionFit",
    "SessionLog",
    "SessionModel",
    "fit_sessions",
    "load_movielens",
    "load_open_bandit",
    "movielens_world",
    "paper_mdp",
    "session_mdp",
]
