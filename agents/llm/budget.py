"""Budget: calls, tokens and money, checked before anything is sent; OverBudget: the stop, with what is done."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ethogram.simulator import check_is, check_number, checked_int

from .requests import Reply


@dataclass
class Spent:
    """The calls and tokens of a budget so far, attempts that failed among them."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, calls: int, tokens_in: int, tokens_out: int) -> None:
        """Count some more."""
        self.calls += calls
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out


class OverBudget(RuntimeError):
    """A budget is used up, before the call that would have gone over it.

    replies: those of the batch, in its order, None where nobody was asked. The same batch under a larger budget goes on
    from here where there is a cache.
    """

    replies: Sequence[Reply | None] = ()


@dataclass(frozen=True)
class Reserved:
    """The most tokens that a call under way is expected to cost; characters: of its prompt."""

    tokens_in: int
    tokens_out: int
    characters: int


@dataclass
class Budget:
    """Limits of calls, tokens and money over everything asked through it; None for no limit.

    calls: attempts at requests, since a repeated one costs again. tokens: of prompts and answers together.
    money: in the unit of the prices. price_in, price_out: of a million tokens of prompts and of answers.
    spent: what is spent before the start, such as that of an earlier run's budget.

    A call is sent if it would stay within the limits with ``max_tokens`` of answer and as many tokens a character of
    prompt as the densest prompt so far had (one, before the first answer). One without a count in its answer, or whose
    connection broke, is taken to have cost that much: it may have been charged for.
    """

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        for name in ("calls", "tokens"):
            if getattr(self, name) is not None:
                checked_int(name, getattr(self, name), 0)
        if self.money is not None:
            check_number("money", self.money)
        check_number("price_in", self.price_in)
        check_number("price_out", self.price_out)
        check_is("spent", self.spent, Spent, "the Spent of an earlier budget")
        if self.money is not None and self.price_in == self.price_out == 0:
            raise ValueError(
                "money is limited and both prices are 0: expected price_in and price_out, of a million tokens"
            )
        self._under_way = Spent()
        self._density = 0.0  # most tokens a character of prompt; 0: not known

    @property
    def cost(self) -> float:
        """The money spent so far."""
        return self._cost(self.spent.tokens_in, self.spent.tokens_out)

    def _cost(self, tokens_in: float, tokens_out: float) -> float:
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6

    @property
    def idle(self) -> bool:
        """Whether no call is under way: what is left cannot grow any more."""
        return self._under_way.calls == 0

    def reserve(self, characters: int, max_tokens: int) -> Reserved:
        """Set aside what a call may cost; to be settled. Raises OverBudget if that is more than is left."""
        density = self._density or 1.0
        call = Reserved(math.ceil(characters * density), max_tokens, characters)
        calls = self.spent.calls + self._under_way.calls + 1
        tokens_in = self.spent.tokens_in + self._under_way.tokens_in + call.tokens_in
        tokens_out = self.spent.tokens_out + self._under_way.tokens_out + call.tokens_out
        for limit, needed, unit in (
            (self.calls, calls, "calls"),
            (self.tokens, tokens_in + tokens_out, "tokens"),
            (self.money, self._cost(tokens_in, tokens_out), "of money"),
        ):
            if limit is not None and needed > limit:
                raise OverBudget(
                    f"the budget of {limit:g} {unit} has no room for the next call: spent: {self.spent.calls} calls, "
                    f"{self.spent.tokens_in} + {self.spent.tokens_out} tokens, {self.cost:g} of money; .replies "
                    "holds what was answered; with a cache, the same batch goes on from there under a larger budget"
                )
        self._under_way.add(1, call.tokens_in, call.tokens_out)
        return call

    def settle(self, call: Reserved, tokens_in: int | None, tokens_out: int | None) -> None:
        """Put down what a call did cost, in tokens; None where nobody knows, for as much as was set aside."""
        self._under_way.add(-1, -call.tokens_in, -call.tokens_out)
        self.spent.add(
            1,
            call.tokens_in if tokens_in is None else tokens_in,
            call.tokens_out if tokens_out is None else tokens_out,
        )
        if tokens_in:
            self._density = max(self._density, tokens_in / max(call.characters, 1))
