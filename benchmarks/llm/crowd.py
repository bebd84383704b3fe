"""What do the people of the benchmarks of this folder answer, who is asked by what, and what is the model's script?

Run: python benchmarks/llm/crowd.py        (some answers, at once; the benchmarks beside it take them from here)

The scripted model stands in for a language model, so that what everybody would answer can be computed. It is smooth in
some attributes, has thresholds in others, lets some count only together, and adds to each question a fixed amount that
nothing predicts, as a real model's answers hang on the wording.
"""

import argparse
import math
from zlib import crc32

import torch

from ethogram.simulator import Draws

BY = {
    "cases": [0.5, 1.0, 2.0, 4.0, 8.0, 16.0],
    "age": [10, 20, 30, 40, 50, 60, 70, 80],
    "ill": None,
    "trust": None,
    "employed": None,
    "household": None,
    "savings": [-1.0, -0.5, 0.0],
    "change": [-1.0, 0.0, 1.0],
    "quarantined": None,
}
UNPREDICTABLE = 0.1  # the most by which a question's own amount moves the log-odds


def profiles(n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Attributes that the city does not know: trust in announcements, 0 to 4, and people in the household, 1 to 5."""
    draws = Draws(seed, torch.arange(n), scope="profiles")
    shares = {"trust": [0.1, 0.2, 0.3, 0.25, 0.15], "household": [0.3, 0.35, 0.15, 0.13, 0.07]}
    columns = {}
    for k, (name, share) in enumerate(shares.items()):
        table = torch.tensor([share])
        columns[name] = (draws.categorical(name, table, torch.zeros(n, dtype=torch.int64)) + k).to(torch.int8)
    return columns


def _middle(question: dict, name: str, usual: float) -> float:
    """A number for a band, or the usual one where the question does not speak of it."""
    if name not in question:
        return usual
    low, high = question[name]
    return high if low is None else low if high is None else (low + high) / 2


def scripted(questions: list[dict]) -> list[tuple[float, float]]:
    """The answers, (p_isolate, p_work) to each question."""
    found = []
    for q in questions:
        age, cases, change = (_middle(q, "age", 40), _middle(q, "cases", 1.0), _middle(q, "change", 0.0))
        savings, trust, household = _middle(q, "savings", 0.0), q.get("trust", 2), q.get("household", 2)
        fear = math.log1p(cases) * (0.4 + age / 60) * (0.4 + 0.3 * trust)
        isolate = -2.4 + 1.1 * fear + 0.3 * (change > 0) - 0.15 * household * (age < 50)
        isolate -= 0.9 * q.get("employed", 0) * (savings < 0)
        isolate = max(isolate + 2.0, 1.0) if q.get("ill") else isolate
        isolate += 1.5 * q.get("quarantined", 0)
        work = 2.2 + 0.5 * (savings < 0) - 0.5 * fear - 0.6 * (age > 60) + 0.2 * household
        own = (crc32(repr(sorted(q.items())).encode()) / 2**32 - 0.5) * 2 * UNPREDICTABLE
        found.append((1 / (1 + math.exp(-isolate - own)), 1 / (1 + math.exp(-work + own))))
    return found


def main() -> None:
    """Print the answers of an ordinary person, and what moves them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    ordinary = {"cases": [1.0, 2.0], "age": [40, 50], "ill": 0, "trust": 2, "employed": 1, "savings": [-0.5, 0.0]}
    for change in ({}, {"cases": [8.0, 16.0]}, {"age": [70, 80]}, {"ill": 1}, {"trust": 0}, {"employed": 0}):
        ((isolate, work),) = scripted([ordinary | change])
        print(f"{change or 'ordinary'!s:24} isolate {isolate:.2f}  work {work:.2f}")


if __name__ == "__main__":
    main()
