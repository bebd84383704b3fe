"""GuiPolicy: a transformer that reads the goal, its history and the screen, and writes what it thinks and does."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from ethogram.simulator import Draws, History, check_is, check_number, checked_int

from ..learning import Cache, Pointer, Transformer, compact, repeated
from . import symbols
from .answers import LENGTH, in_full, parsed
from .prompts import Drop, Prompts, lately, latest
from .rewards import Mode, reward, success
from .screens import SPANS, TOLD, of_strings, texts_in
from .summaries import PAST, asked, sentence, sentences_of, to_summarise

SLOTS = 4 + TOLD  # symbols that a token of a prompt has at most
Past = Literal["screens", "sentences", "own sentences"]


class GuiPolicy(nn.Module):
    """A policy for tasks on screens that looks back ``memory`` steps, with histories that can be compressed.

    past: how it reads what was: "screens" and actions, as HiconAgent does; or, as HAR does, the last four actions as
    "sentences" that say truly what was done, or "own sentences", which it writes itself.

    It acts in every world with the symbolic screen's observation, whose words are ids; with ``texts`` also where texts
    are strings, as in ``BrowserGui``, and in ``Replay``, whose ``labels`` are places in ``recording.arrays.strings``.
    Answers are drawn at ``temperature``, by ``draws``; the likeliest symbol each time at 0. With ``drop_at``, the
    tokens of past screens (or of what ``drop`` says) are dropped at the input of that layer, as in HiconAgent's
    deployment; None drops nothing. With ``copies`` it can point at what it read and write the same: a word of the goal
    that no training had, the place of an element.
    """

    def __init__(
        self,
        memory: int = 2,
        *,
        past: Past = "screens",
        width: int = 64,
        layers: int = 6,
        heads: int = 4,
        hidden: int = 256,
        temperature: float = 0.0,
        drop_at: int | None = None,
        drop: Drop = "screens",
        texts: bool = False,
        labels: Sequence[str] = (),
        copies: bool = False,
    ) -> None:
        super().__init__()
        for name, switch in (("texts", texts), ("copies", copies)):
            check_is(name, switch, bool, "True or False")
        for name, value, kinds in (("past", past, get_args(Past)), ("drop", drop, get_args(Drop))):
            if value not in kinds:
                raise ValueError(f"{name} is {value!r}: expected one of {kinds}")
        check_number("temperature", temperature)
        self.memory, self.temperature = checked_int("memory", memory, 0), temperature
        self.drop_at = None if drop_at is None else checked_int("drop_at", drop_at, 0, checked_int("layers", layers, 1))
        self.drop, self.past = drop, past
        self.texts, self.labels = texts, tuple(labels)
        known = len(symbols.SYMBOLS) - (0 if texts else symbols.TEXTS)
        self.table = nn.Embedding(known, width, padding_idx=0)
        nn.init.normal_(self.table.weight, std=width**-0.5)
        with torch.no_grad():
            self.table.weight[0] = 0
        self.body = Transformer(width, layers, heads, hidden)
        self.pointer = Pointer(width, SLOTS, SPANS) if copies else None

    @property
    def layers(self) -> int:
        """Layers of its transformer."""
        return len(self.body.blocks)

    def act(self, observation: dict[str, Any], history: History, draws: Draws) -> dict[str, Any]:
        """An action a row; a malformed answer does nothing. Worlds of strings are given all of ``GuiActions``."""
        prompts = self.prompts(observation, history)
        answer = parsed(
            self.generate(prompts, draws, temperature=self.temperature, drop_at=self.drop_at, drop=self.drop)
        )
        if not of_strings(observation):
            return answer.action()
        return in_full(answer, lambda row: texts_in(observation, history, row, self.memory, self.labels))

    def prompts(self, observation: dict[str, Any], history: History) -> Prompts:
        """The prompts that the policy acts on."""
        if of_strings(observation) and not self.texts:
            raise ValueError(
                "the world's texts are strings, and this policy knows word ids: expected GuiPolicy(texts=True)"
            )
        if self.past == "screens":
            return latest(history, observation, self.memory, self.labels)
        seen, did, there = lately(history, observation, PAST, self.labels)
        said = sentences_of(seen, did, there, sentence if self.past == "sentences" else self.summarise)
        return asked(symbols.ANSWER, {name: column[:, -1] for name, column in seen.items()}, said)

    def summarise(self, seen: dict[str, Tensor], kind: Tensor, point: Tensor, word: Tensor) -> Tensor:
        """(m, 4) symbols, the policy's own sentences on actions; what it writes at a step is the likeliest."""
        prompts = to_summarise(seen, kind, point, word)
        said = self.generate(prompts, Draws(0, torch.arange(len(kind))), temperature=0, length=5)[:, :4]
        return torch.where(said == symbols.END, 0, said)

    def read(self, prompts: Prompts, drop_at: int | None, drop: Drop = "screens") -> tuple[Tensor, Cache]:
        """(m, width) what the body makes of the last token, and the cache, of prompts."""
        out, cache, _ = self._read(prompts, drop_at, drop)
        return out[:, -1], cache

    def _read(self, prompts: Prompts, drop_at: int | None, drop: Drop) -> tuple[Tensor, Cache, Tensor]:
        """(m, t, width) outputs at tokens of prompts, the cache, and (m, t, slots) the symbols of these tokens."""
        columns = (prompts.tokens, prompts.positions, prompts.present, prompts.kept(drop))
        symbol, positions, present, keep = compact(prompts.present, *columns)  # what is absent costs no time
        try:
            tokens = embedding_bag(symbol.flatten(0, 1), self.table.weight, mode="sum", padding_idx=0)
        except (RuntimeError, IndexError):
            if int(symbol.max()) < len(self.table.weight):
                raise
            raise ValueError(
                "prompts have texts that this policy does not know: expected GuiPolicy(texts=True)"
            ) from None
        kept = {} if drop_at is None else {"keep": keep, "drop_at": drop_at}
        out, cache = self.body(tokens.view(*present.shape, -1), positions, present, **kept)
        if drop_at is not None and drop_at < self.layers:
            (symbol,) = compact(keep & present, symbol)
        return out, cache, symbol

    def scores(self, out: Tensor, read: Tensor, symbol: Tensor) -> Tensor:
        """(m * group, r, symbols) logits, with a pointer log-chances, from outputs (m * group, r, width).

        read, symbol: of prompts, as ``_read`` gives them.
        """
        logits = self.logits(out)
        return logits if self.pointer is None else self.pointer(out, logits, read, symbol)

    def logits(self, out: Tensor) -> Tensor:
        """(…, symbols) from outputs of the body; "nothing" is never written."""
        scores = out @ self.table.weight.T
        return torch.cat([torch.full_like(scores[..., :1], -1e9), scores[..., 1:]], -1)

    @torch.no_grad()
    def generate(
        self,
        prompts: Prompts,
        draws: Draws,
        *,
        group: int = 1,
        temperature: float = 1.0,
        drop_at: int | None = None,
        drop: Drop = "screens",
        length: int = LENGTH,
    ) -> Tensor:
        """(m * group, length) answers, side by side for a prompt, with zeros behind their end.

        draws: of m * group rows. A prompt is read once for its group. length: symbols at most.
        """
        read, cache, placed = self._read(prompts, drop_at, drop)
        last, cache = read[:, -1:].repeat_interleave(group, 0), repeated(cache, group)
        position = prompts.present.sum(1).repeat_interleave(group)[:, None]
        answer = torch.zeros(len(last), length, dtype=torch.int64)
        going = torch.ones(len(last), dtype=torch.bool)
        for k in range(length):
            scores = self.scores(last, read, placed)[:, 0]
            if temperature:
                symbol = draws.categorical(f"symbol {k}", (scores / temperature).softmax(-1))
            else:
                symbol = scores.argmax(-1)
            answer[:, k] = torch.where(going, symbol, 0)
            going = going & (symbol != symbols.END)
            if k == length - 1 or not bool(going.any()):
                break
            last, cache = self.body(self.table(answer[:, k : k + 1]), position + k, going[:, None], cache)
        return answer

    def log_probs_of(
        self, prompts: Prompts, answer: Tensor, *, drop_at: int | None = None, drop: Drop = "screens"
    ) -> Tensor:
        """(m * group, R) log-probability of each symbol of answers, 0 behind their end, with a gradient.

        A prompt is read once for its group, with its gradient.
        """
        group = len(answer) // len(prompts.tokens)
        read, cache, placed = self._read(prompts, drop_at, drop)
        position = prompts.present.sum(1).repeat_interleave(group)[:, None] + torch.arange(answer.shape[1] - 1)
        before = answer[:, :-1]
        out, _ = self.body(self.table(before), position, before > 0, repeated(cache, group))
        out = torch.cat([read[:, -1:].repeat_interleave(group, 0), out], 1)
        scores = self.scores(out, read, placed)
        scores = scores.log_softmax(-1) if self.pointer is None else scores  # which are logarithms of chances already
        chosen = scores.gather(2, answer[..., None])[..., 0]
        return torch.where(answer > 0, chosen, 0)

    def graded(
        self, prompts: Prompts, answer: Tensor, truth: dict[str, Tensor], mode: Mode = "paper"
    ) -> tuple[Tensor, Tensor]:
        """Rewards (m,) float32 of answers, HiconAgent's, and (m,) bool which are right; truth: a row an answer."""
        read = parsed(answer)
        return reward(read, truth, mode), success(read, truth)

    def log_probs(self, record: Any) -> Tensor:
        """The same of a record of ``GRPO``, (prompts, answers), as this policy is deployed."""
        if isinstance(record, History):
            raise TypeError(
                "record is a History: expected (prompts, answers), of a Task; "
                "Imitation(policy, steps_of(history, memory)) clones a history"
            )
        prompts, answer = record
        return self.log_probs_of(prompts, answer, drop_at=self.drop_at, drop=self.drop)
