"""Real vision-language models in a policy's place: screenshots and text read, answers written, histories compressed."""

from .grading import graded
from .layout import Encoded, prompt
from .qwen import QwenBackend
from .samples import Sample, Samples, pictured, samples_of, steps_of_pictures

__all__ = [
    "Encoded",
    "QwenBackend",
    "Sample",
    "Samples",
    "graded",
    "pictured",
    "prompt",
    "samples_of",
    "steps_of_pictures",
]
