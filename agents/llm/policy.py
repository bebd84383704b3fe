"""LLMPolicy: a language model acts, in any world whose actions can be asked for."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import gymnasium
import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Column, Draws, History, Policy, Sites, check_has, check_is, checked_int, map_column

from .asking import Answer, Ask, Asker
from .forms import Asked, Form, OnScreen
from .prompts import Prompts, Rows
from .questions import Question, Score, Written
from .requests import Model

QUALITY = ("mass", "order", "propensity", "repaired", "fallback")  # what is named of each action


class NoAnswer(RuntimeError):
    """A model gave no answer that could be read, and no fallback was stated."""


class _Row:
    """The way of one row through its questions, and how good the answers were."""

    def __init__(self) -> None:
        self.path: tuple[tuple[Any, float], ...] = ()
        self.said: tuple[str, ...] = ()  # what was decided, in our words
        self.action: Any = None
        self.done = self.repaired = False
        self.failed = ""  # why
        self.mass, self.order, self.propensity = np.nan, np.nan, 1.0

    def take(self, question: Question, token: Any, within: float, answer: Answer) -> None:
        """Note an answer."""
        self.path += ((token, within),)
        self.repaired |= answer.repaired
        if isinstance(question, Written):
            return
        self.said += (f"{question.name.split('/')[0]}: {question.options[token]}",)
        self.mass, self.order = np.fmin(self.mass, answer.mass), np.fmax(self.order, answer.order)
        self.propensity *= float(answer.probability[token])


class _Node(NamedTuple):
    """A question that is to be asked, and the rows that wait for it."""

    question: Question
    rows: list[int]


@dataclass(frozen=True, eq=False, repr=False)
class LLMPolicy:
    """A language model as a policy: asked for distributions over what can be done, from which our own draws decide.

    model: an ``Endpoint``, or anything that answers ``Request``s.
    form: the world's action space, or a form, such as ``Clicks()`` for the user of a session.
    prompts: what is told, in which words. fallback: who acts for rows without an answer that can be read, after one
        repair; None: ``NoAnswer`` is raised, and the run can be resumed. orders, samples: see ``Asker``.
    period: steps for which a row keeps its luck, as citizens do.

    Rows that are told the same are asked once, and each draws for itself, by its id: paired worlds share their luck,
    and a likelier option can only win rows. Draws are named as the questions. A row that has ended repeats its action.

    Names, under the scope of its draws ("policy", or "user" in a session), (n,) each: "policy_mass" float32, the least
    share of the model's distribution that fell on the options of a question; "policy_order" float32, how much the
    order of the options decided, at most; "policy_propensity" float32, the probability with which the action was drawn,
    place within a level left out; "policy_repaired" bool; "policy_fallback" bool, whether the fallback acted: an
    intervention on it hands rows over to the fallback. Mass and order are NaN where no options were asked.
    """

    model: Model
    form: Form | gymnasium.Space[Any]
    prompts: Prompts = field(default_factory=Prompts)
    fallback: Policy | None = None
    orders: int = 3
    samples: int = 6
    period: int = 1
    names_sites = True

    def __post_init__(self) -> None:
        check_has("model", self.model, "an Endpoint, or what has abilities and answer(requests)", "abilities", "answer")
        check_is("prompts", self.prompts, Prompts, "Prompts(goal=…)")
        checked_int("period", self.period, 1)
        if self.fallback is not None:
            check_has("fallback", self.fallback, "a policy, or None", "act")
        if isinstance(self.form, gymnasium.Space):
            object.__setattr__(self, "form", form_of(self.form, self.prompts))
        check_has("form", self.form, "a world's action_space, or a form", "ask", "stack")
        Asker(self.model, self.orders, self.samples)

    def __repr__(self) -> str:
        return f"LLMPolicy({type(self.model).__name__}, {type(self.form).__name__})"

    @property
    def memory(self) -> int:
        """How many past steps are told."""
        return self.prompts.memory

    def repeated(self, times: int) -> Self:
        """For several populations at once: the same, since it looks at nobody else."""
        return self

    def act(self, observation: Any, history: History, draws: Draws, site: Sites | None = None) -> Column:
        """One action a row, as the form stacks them."""
        luck = draws.at(draws.step - draws.step % self.period)
        told = self.prompts.rows(observation, history, draws)
        rows = [_Row() for _ in told.which]
        self._repeat_ended(rows, history)
        ask = Asker(self.model, self.orders, self.samples)
        while nodes := self._nodes(rows, told):
            self._draw(rows, nodes, ask([self._ask(node, rows, told, luck) for node in nodes]), luck)
        return self._acted(rows, observation, history, draws, site)

    def _ask(self, node: _Node, rows: Sequence[_Row], told: Rows, luck: Draws) -> Ask:
        """A question as it is put."""
        question, first = node.question, node.rows[0]
        said = () if question.apart else rows[first].said
        seed = 0
        if isinstance(question, Written):  # drawn by the model, for each row by itself
            seed = int(luck.of(luck.ids.new_tensor([first])).uniform(question.name).double() * 2**31)
        decided = f"Decided so far: {'; '.join(said)}." if said else ""
        return Ask(told.prompts[told.which[first]], question, self.prompts.words(question), decided, seed)

    def _repeat_ended(self, rows: Sequence[_Row], history: History) -> None:
        """Rows that have ended do again what they did last: nobody looks, and to ask would cost."""
        if not history.num_steps:
            return
        ended = (history.terminated.any(1) | history.truncated.any(1)).nonzero()[:, 0].tolist()
        if ended and "action" in history.columns:  # a Record may keep less of it
            last = to_numpy_column(map_column(lambda column: column[:, -1], history.action))
            for row in ended:
                rows[row].action = map_column(lambda leaf, row=row: leaf[row], last)
                rows[row].done = True

    def _nodes(self, rows: Sequence[_Row], told: Rows) -> list[_Node]:
        """The questions that come next; rows whose questions are answered have their action."""
        nodes: dict[Any, _Node] = {}
        stood: dict[Any, tuple[Question | None, Any]] = {}
        for i, row in enumerate(rows):
            if row.done or row.failed:
                continue
            key = (told.which[i], row.path)
            if key not in stood:
                stood[key] = self._next(told.prompts[told.which[i]].seen, row.path)
            question, action = stood[key]
            if question is None:
                row.action, row.done = action, True
                continue
            node = (told.which[i], question, () if question.apart else row.said, isinstance(question, Written) and i)
            nodes.setdefault(node, _Node(question, [])).rows.append(i)
        return list(nodes.values())

    def _next(self, seen: Any, path: Sequence[tuple[Any, float]]) -> tuple[Question | None, Any]:
        """The question after these answers, or the action."""
        assert not isinstance(self.form, gymnasium.Space)
        asking = self.form.ask(seen)
        try:
            question = next(asking)
            for token, within in path:
                question = asking.send(question.value(token, within))
        except StopIteration as end:
            return None, end.value
        return question, None

    def _draw(self, rows: Sequence[_Row], nodes: Sequence[_Node], answers: Sequence[Answer], luck: Draws) -> None:
        """Draw each row's answer from its distribution; those of one name and size at once."""
        alike: dict[Any, list[tuple[int, _Node, Answer]]] = {}
        for node, answer in zip(nodes, answers, strict=True):
            for i in node.rows:
                if answer.text is not None:
                    rows[i].take(node.question, answer.text, 0.0, answer)
                elif answer.probability is None:
                    rows[i].failed, rows[i].repaired = answer.why, True
                else:
                    size = len(node.question.options)  # type: ignore[union-attr]
                    alike.setdefault((node.question.name, size), []).append((i, node, answer))
        for (name, _), waiting in alike.items():
            some = luck.of(torch.tensor([i for i, _, _ in waiting], device=luck.ids.device))
            table = torch.from_numpy(np.stack([answer.probability for _, _, answer in waiting])).to(luck.ids.device)
            tokens, within = some.categorical(name, table).tolist(), [0.0] * len(waiting)
            if any(isinstance(node.question, Score) for _, node, _ in waiting):
                within = some.uniform(f"{name}, within the level").tolist()
            for (i, node, answer), token, place in zip(waiting, tokens, within, strict=True):
                rows[i].take(node.question, token, place if isinstance(node.question, Score) else 0.0, answer)

    def _acted(
        self, rows: Sequence[_Row], observation: Any, history: History, draws: Draws, site: Sites | None
    ) -> Column:
        """The actions; the fallback's for who failed, which is named, and said aloud."""
        device, scope = draws.ids.device, draws.scope or "policy"
        failed = torch.tensor([bool(row.failed) for row in rows], device=device)
        if failed.any():
            why = next(row.failed for row in rows if row.failed)
            count = f"{int(failed.sum())} of {len(rows)} rows have no answer that can be read, after a repair ({why})"
            if self.fallback is None:
                raise NoAnswer(f"{count}: expected one of the options; state who acts then, as fallback=")
            warnings.warn(f"{count}: {type(self.fallback).__name__} acts for them", RuntimeWarning, stacklevel=2)
        handed = failed
        if site is not None:
            handed = site(f"{scope}_fallback", failed) | failed
            for name in QUALITY[:3]:
                site(f"{scope}_{name}", self._figures(name, rows, handed, device))
            site(f"{scope}_repaired", torch.tensor([row.repaired for row in rows], device=device))
        if handed.any():
            self._hand_over(rows, handed.nonzero()[:, 0], observation, history, draws)
        assert not isinstance(self.form, gymnasium.Space)
        return self.form.stack([row.action for row in rows], device)

    def _figures(self, name: str, rows: Sequence[_Row], handed: Tensor, device: torch.device) -> Tensor:
        """(n,) float32; NaN where no option was asked for, or the fallback acts."""
        asked = torch.tensor([bool(row.said) for row in rows], device=device) & ~handed
        value = torch.tensor([float(getattr(row, name)) for row in rows], device=device)
        return value.where(asked, torch.nan)

    def _hand_over(self, rows: Sequence[_Row], some: Tensor, observation: Any, history: History, draws: Draws) -> None:
        """Let the fallback act for some rows."""
        if self.fallback is None:
            raise ValueError("an intervention hands rows to the fallback, and there is none: expected fallback=")
        seen = map_column(lambda leaf: leaf[some if isinstance(leaf, Tensor) else some.numpy(force=True)], observation)
        action = to_numpy_column(self.fallback.act(seen, history[some], draws.of(some)))
        for k, i in enumerate(some.tolist()):
            rows[i].action = map_column(lambda leaf, k=k: leaf[k], action)


def form_of(space: gymnasium.Space[Any], prompts: Prompts) -> Form:
    """The form of an action space: that of screens where it has types of action, elements and points."""
    if isinstance(space, gymnasium.spaces.Dict) and {"type", "element", "point", "text"} <= set(space.spaces):
        return OnScreen(space, prompts.names)
    return Asked(space, prompts.names)


def to_numpy_column(column: Any) -> Any:
    """A column of tensors as NumPy's arrays; text stays."""
    return map_column(lambda leaf: leaf.numpy(force=True) if isinstance(leaf, Tensor) else np.asarray(leaf), column)


def answer_quality(history: History, who: str = "policy") -> dict[str, float]:
    """How good the answers in a history were: the mean of each figure over the steps of rows that went on.

    who: "policy" or "user", whose figures; they are recorded by ``record=[f"{who}_{name}" for name in QUALITY]``.
    """
    found = {name: history.column(f"{who}_{name}")[history.valid].float() for name in QUALITY}
    return {name: float(value.nanmean()) for name, value in found.items()}
