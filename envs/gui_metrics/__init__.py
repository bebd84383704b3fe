"""How right predicted actions are on recorded screens: every published step metric by name, with baselines beside."""

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
from .match import EQUIVALENCES, RULES, Rule, Verdict, os_atlas, strict
from .mind2web import MIND2WEB_RULES
from .recorded import Box, RecordedEpisode, RecordedStep, inside
from .scoring import METRICS, Interval, Score, Scores, score, write_predictions

__all__ = [
    "EQUIVALENCES",
    "METRICS",
    "MIND2WEB_RULES",
    "RULES",
    "Box",
    "Interval",
    "Predictions",
    "RecordedEpisode",
    "RecordedStep",
    "Rule",
    "Score",
    "Scores",
    "Verdict",
    "chance",
    "inside",
    "last_word_missing",
    "noisy_taps",
    "os_atlas",
    "random_taps",
    "reference",
    "score",
    "scrolls_reversed",
    "strict",
    "write_predictions",
    "wrong_neighbour",
]
