"""Learning by gradients: one loop, cloning, and group-relative policy optimisation, for any policy and any world."""

from .categorical import Categorical
from .cloning import Cloning, rows_of
from .groups import advantages, informative, k3, masked_mean, surrogate
from .grpo import GRPO, Answers, Task
from .loop import Measures, Trainee, Training, train
from .pointer import Pointer
from .rollouts import Rollouts
from .transformer import Cache, Transformer, compact, padded_left, repeated, seen_by
from .weights import load_weights, read_about, save_weights

__all__ = [
    "GRPO",
    "Answers",
    "Cache",
    "Categorical",
    "Cloning",
    "Measures",
    "Pointer",
    "Rollouts",
    "Task",
    "Trainee",
    "Training",
    "Transformer",
    "advantages",
    "compact",
    "informative",
    "k3",
    "load_weights",
    "masked_mean",
    "padded_left",
    "read_about",
    "repeated",
    "rows_of",
    "save_weights",
    "seen_by",
    "surrogate",
    "train",
]
