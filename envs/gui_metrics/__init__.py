"""How right actions on screens are: every published step metric by name; how episodes go; what the past is worth."""

from .baselines import (
    Predictions,
    chance,
    last_word_missing,
    noisy_taps,
    random_taps,
    reference,
    scrolls_reversed,
    wrong_neighbour,
)
from .episodes import EpisodeScores, episode_scores
from .history import RepeatScores, history_gain, history_tokens, repeat_scores, retention, success_by_distance
from .match import EQUIVALENCES, RULES, Rule, Verdict, os_atlas, strict
from .measures import Measure
from .mind2web import MIND2WEB_RULES
from .recorded import Box, RecordedEpisode, RecordedStep, inside
from .scoring import METRICS, Interval, Score, Scores, score, write_predictions

__all__ = [
    "EQUIVALENCES",
    "METRICS",
    "MIND2WEB_RULES",
    "RULES",
    "Box",
    "EpisodeScores",
    "Interval",
    "Measure",
    "Predictions",
    "RecordedEpisode",
    "RecordedStep",
    "RepeatScores",
    "Rule",
    "Score",
    "Scores",
    "Verdict",
    "chance",
    "episode_scores",
    "history_gain",
    "history_tokens",
    "inside",
    "last_word_missing",
    "noisy_taps",
    "os_atlas",
    "random_taps",
    "reference",
    "repeat_scores",
    "retention",
    "score",
    "scrolls_reversed",
    "strict",
    "success_by_distance",
    "write_predictions",
    "wrong_neighbour",
]
