"""Outcomes of replays, by the verdicts that a history has recorded."""

import torch
from torch import Tensor

from ethogram.simulator import History, check_is

from .recording import Recording


def success(history: History, recording: Recording, metric: str) -> Tensor:
    """(n,) float32: 1 for an episode of which every step was done, and none wrongly, by a metric that is recorded."""
    return (progress(history, recording, metric) == 1).float()


def progress(history: History, recording: Recording, metric: str) -> Tensor:
    """(n,) float32: the share of an episode's steps before the first wrong one.

    A step that does not count is not wrong. history: of ``Replay``, with the metric's site; LookupError where that is
    not recorded.
    """
    check_is("recording", recording, Recording, "the Recording that was replayed")
    verdict = history.sites[metric]
    wrong = (verdict < 1) & history.valid
    done = torch.where(wrong.any(1), wrong.long().argmax(1), history.length)
    length = torch.from_numpy(recording.arrays.length)[history.ids % len(recording)]
    return done / length
