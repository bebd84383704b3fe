"""Preferences in a few words: written from people's choices, brought up to date, and acted on."""

from .choices import Choices, People, choices_of, people_of
from .descriptions import (
    NOTHING,
    Description,
    Inferrer,
    choose_by,
    contrary,
    direction,
    in_words,
    num_words,
    raises_likelihood,
    recovery,
    reward_of,
    words_of,
)
from .languages import LLMInferrer
from .posterior import Bayes, agreement, likelihood, sparse_directions
from .streams import PreferenceAgent, streamed
from .training import KINDS, ColdStart, Practice, prompts_of, taught
from .writer import TokenWriter, counted, prompt_of

__all__ = [
    "KINDS",
    "NOTHING",
    "Bayes",
    "Choices",
    "ColdStart",
    "Description",
    "Inferrer",
    "LLMInferrer",
    "People",
    "Practice",
    "PreferenceAgent",
    "TokenWriter",
    "agreement",
    "choices_of",
    "choose_by",
    "contrary",
    "counted",
    "direction",
    "in_words",
    "likelihood",
    "num_words",
    "people_of",
    "prompt_of",
    "prompts_of",
    "raises_likelihood",
    "recovery",
    "reward_of",
    "sparse_directions",
    "streamed",
    "taught",
    "words_of",
]
