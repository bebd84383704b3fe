"""Named quantities: ``x = site("x", mechanism)`` lets one record x and intervene on it.

A world's step written this way is a structural causal model that one can read, one line a mechanism.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from .trees import as_tensor, call

Value = Any  # a tensor whose first axis is rows, or a dict of such


@dataclass(frozen=True, eq=False)
class Do:
    """An intervention: from step ``start`` until before ``stop``, ``mechanism`` decides what ``site`` is.

    site: the name of a quantity of the world, or one of "observation", "action", "reward".
    mechanism: a value (a scalar, or a tensor that broadcasts to the quantity), or a function of the value that the
        quantity would have had.
    start, stop: steps, counted from 0; stop None: until the end.
    who: (n,) bool, the rows it acts on; None: all.
    """

    site: str
    mechanism: Value | Callable[[Any], Value]
    start: int = 0
    stop: int | None = None
    who: Tensor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.site, str):
            raise TypeError(f"site of a Do is {self.site!r}: expected a name, such as Do('click', 0)")
        for name, step in (("start", self.start), ("stop", 0 if self.stop is None else self.stop)):
            if not isinstance(step, Integral) or isinstance(step, bool):
                raise TypeError(f"{name} of Do('{self.site}') is {step!r}: expected an int, a step")
        if self.who is not None:
            object.__setattr__(self, "who", as_tensor(f"who of Do('{self.site}')", self.who))
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise ValueError(
                f"Do('{self.site}') acts from step {self.start} until before {self.stop}: expected 0 <= start < stop"
            )
        if self.who is not None and (self.who.dtype != torch.bool or self.who.dim() != 1):
            raise ValueError(
                f"who of Do('{self.site}') is {self.who.dtype} of shape {tuple(self.who.shape)}: "
                "expected bool of shape (n,), one for each row"
            )

    def acts_at(self, step: int) -> bool:
        """Whether the intervention is in force at a step."""
        return self.start <= step and (self.stop is None or step < self.stop)

    def apply(self, value: Any) -> Any:
        """The quantity under this intervention."""
        new = self.mechanism
        if callable(new):
            new = call(new, value, f"the function of Do('{self.site}')")
        if not isinstance(value, Tensor):  # a dict of columns or text: replaced as a whole
            if self.who is not None:
                raise ValueError(f"Do('{self.site}') has who=, but this site is not a tensor: leave who= out")
            return new
        try:
            new = torch.as_tensor(new, device=value.device)
        except (TypeError, RuntimeError, ValueError):
            raise ValueError(
                f"Do('{self.site}') gives {new!r}: expected a number or a tensor, as the site has; a function must "
                "return it"
            ) from None
        if torch.result_type(new, value) != value.dtype and new.dtype != value.dtype:
            raise ValueError(
                f"Do('{self.site}') gives {new.dtype}: expected {value.dtype}, the type that the site has; convert it"
            )
        try:
            new = new.to(value.dtype).expand(value.shape)
        except RuntimeError:
            raise ValueError(
                f"Do('{self.site}') gives shape {tuple(new.shape)}: expected one that broadcasts to "
                f"{tuple(value.shape)}, the shape of the site"
            ) from None
        if self.who is None:
            return new.clone() if new.data_ptr() == value.data_ptr() else new
        if len(self.who) != len(value):
            raise ValueError(f"who of Do('{self.site}') has {len(self.who)} rows: expected {len(value)}")
        who = self.who.to(value.device).view(-1, *[1] * (value.dim() - 1))
        return torch.where(who, new, value)


Scenario = Sequence[Do]  # interventions that act together


class Sites:
    """The function with which a world names its quantities. ``rollout`` makes one; call it as ``site(name, value)``."""

    def __init__(
        self,
        interventions: Scenario = (),
        record: Callable[[str, int, Value], None] | None = None,
        recorded: Sequence[str] | str = "all",
    ) -> None:
        """record: called with (name, step, value) for each quantity after interventions.

        recorded: the names that ``record`` keeps, or "all"; the others need not be named to it.
        """
        self.step = 0
        self.names: dict[str, None] = {}  # every name so far, in order of appearance
        self._interventions = tuple(interventions)
        self._record = record
        self._everything = record is not None and recorded == "all"
        self._intervened = {do.site for do in interventions}
        self._watched = self._intervened | (set() if recorded == "all" else set(recorded))

    def __call__(self, name: str, value: Any, possible: Tensor | None = None) -> Any:
        """The value of the quantity ``name``: what is given, or what an intervention makes of it.

        possible: of an event, (n,) bool, to whom it can happen at all (only the living die); an intervention that
        says True for others has no effect on them.
        """
        self.names[name] = None
        for do in self._interventions:
            if do.site == name and do.acts_at(self.step):
                value = do.apply(value) if possible is None else do.apply(value) & possible
        if self._record is not None:
            self._record(name, self.step, value)
        return value

    def unrecorded(self) -> "Sites":
        """The same interventions at the same step, of which nobody keeps a record: for what might have been."""
        other = Sites(self._interventions)
        other.step = self.step
        return other

    def untouched(self, *names: str) -> bool:
        """Whether nobody intervenes on these quantities, ever; they may be recorded."""
        return self._intervened.isdisjoint(names)

    def unwatched(self, *names: str) -> bool:
        """Whether nobody records these quantities or intervenes on them, ever.

        A step may then compute them in one go without naming each; it must give the same bits.
        """
        self.names |= dict.fromkeys(names)
        return self._watched.isdisjoint(names) and not self._everything

    def check_names(self, asked: Sequence[str]) -> None:
        """Raise LookupError if a name that somebody asks for is none of the model's."""
        unknown = sorted(set(asked) - self.names.keys())
        if unknown:
            raise LookupError(f"no site named {unknown}; this model names {sorted(self.names)}")
