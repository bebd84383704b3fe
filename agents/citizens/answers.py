"""Answers: asked once, kept."""

import json
from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from ethogram.simulator import check_callable, check_is, checked_int, write_atomically

Question = dict[str, Any]  # column -> [from, below] (None: no bound) or a whole number; JSON

Answer = Callable[[Sequence[Question]], Sequence[tuple[float, float]]]


class Answers:
    """A source of answers, and what it has answered, remembered by what a question says: none is asked twice.

    answer: questions to (p_isolate, p_work), one for each in their order; a rule, a table, a language model.
    times: how often each question is put, for answerers who draw what they say: the mean of their answers is kept.
    path: a file of JSON lines, {"question": {…}, "answer": [p_isolate, p_work]}; read if it exists, and written anew,
    atomically, after each batch of answers. One file for each answerer and for each process that asks: what else an
    answer hangs on (the model, the wording, ``times``) is not in a question, and checkpoints do not compare it.
    asked: how many questions have been put to ``answer``, each time counted.
    """

    def __init__(self, answer: Answer, path: str | Path | None = None, times: int = 1) -> None:
        check_callable("answer", answer, "a function of questions to pairs (p_isolate, p_work)")
        self.times = checked_int("times", times, 1)
        if path is not None:
            check_is("path", path, (str, Path), "the path of a file of JSON lines, or None")
        self.answer, self.path, self.asked = answer, None if path is None else Path(path), 0
        self._known: dict[str, tuple[float, float]] = {}
        if self.path is None or not self.path.exists():
            return
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                found = json.loads(line)
                key, pair = _key(found["question"]), _checked(found["question"], found["answer"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"line {number} of {path} is not a question and its answer ({error})") from error
            if self._known.setdefault(key, pair) != pair:
                raise ValueError(f"line {number} of {path} answers {key} otherwise than an earlier one: expected once")

    def __fingerprint__(self) -> None:
        """Nothing: what is remembered does not make another run."""

    def __len__(self) -> int:
        return len(self._known)

    def to(self, questions: Sequence[Question]) -> list[tuple[float, float]]:
        """The answers to these questions, of which ``answer`` gets those that are new, all at once.

        Raises ValueError for another number of answers and for what is no pair of probabilities; nothing of such a
        batch is remembered.
        """
        keys = [_key(question) for question in questions]
        new = {key: question for key, question in zip(keys, questions, strict=True) if key not in self._known}
        if new:
            put = [question for question in new.values() for _ in range(self.times)]
            found = self.answer(put)
            found = found.tolist() if hasattr(found, "tolist") else list(found)  # arrays and tensors (k, 2)
            self.asked += len(put)
            if len(found) != len(put):
                raise ValueError(f"{len(found)} answers to {len(put)} questions: expected one for each, in their order")
            checked = [_checked(question, pair) for question, pair in zip(put, found, strict=True)]
            each = [checked[i : i + self.times] for i in range(0, len(checked), self.times)]
            self._known.update((key, _mean(pairs)) for key, pairs in zip(new, each, strict=True))
            if self.path is not None:
                self.save(self.path)
        return [self._known[key] for key in keys]

    def save(self, path: str | Path) -> None:
        """Write all answers to a file of JSON lines, atomically."""
        lines = (f'{{"question": {key}, "answer": {json.dumps(pair)}}}\n' for key, pair in self._known.items())
        text = "".join(lines).encode()
        write_atomically(Path(path), lambda file: file.write(text))


def _key(question: Question) -> str:
    return json.dumps(question, sort_keys=True, allow_nan=False)


def _mean(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    isolate, work = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    return isolate, work


def _checked(question: Question, pair: Any) -> tuple[float, float]:
    numbers = isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(p, Real) for p in pair)
    if not numbers or not all(0 <= p <= 1 for p in pair):
        raise ValueError(f"the answer to {question} is {pair!r}: expected (p_isolate, p_work), two numbers from 0 to 1")
    return float(pair[0]), float(pair[1])
