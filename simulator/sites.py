"""Named quantities: ``x = site("x", mechanism)`` lets one record x and intervene on it.

A world's step written this way is a structural causal model that one can read, one line a mechanism.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import kernels
from .arguments import as_tensor, check_is, checked_int
from .trees import owned

Value = Any  # a tensor whose first axis is rows, or a dict of such


@dataclass(frozen=True, eq=False)
class Do:
    """An intervention: from step ``start`` until before ``stop``, ``mechanism`` decides what ``site`` is.

    site: the name of a quantity of the world, or one of "observation", "action", "reward"; or "history": what the
        policy sees of its past, which the functions of ``whatif.past`` drop, shuffle and corrupt.
    mechanism: a value (a scalar, or a tensor that broadcasts to the quantity), which replaces what earlier
        interventions left, or a function of the value that the quantity would have had, of which it is given a copy.
    start, stop: steps, counted from 0; stop None: until the end.
    who: (n,) bool, the rows it acts on; None: all.
    """

    site: str
    mechanism: Value | Callable[[Any], Value]
    start: int = 0
    stop: int | None = None
    who: Tensor | None = None

    def __post_init__(self) -> None:
        check_is("site of a Do", self.site, str, "a name, such as Do('click', 0)")
        checked_int(f"start of Do('{self.site}')", self.start, 0)
        if self.stop is not None:
            checked_int(f"stop of Do('{self.site}')", self.stop, self.start + 1)
        if self.who is not None:
            object.__setattr__(self, "who", as_tensor(f"who of Do('{self.site}')", self.who))
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
            new = new(owned(value))
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
        if new.dtype != value.dtype:
            new = self._cast(new, value)
        if new.shape != value.shape:
            try:
                new = new.expand(value.shape)
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

    def _cast(self, new: Tensor, value: Tensor) -> Tensor:
        """The same numbers in the type that the site has."""
        if torch.result_type(new, value) != value.dtype:
            raise ValueError(
                f"Do('{self.site}') gives {new.dtype}: expected {value.dtype}, the type that the site has; convert it"
            )
        cast = new.to(value.dtype)
        if not value.is_floating_point() and not (cast == new).all():
            raise ValueError(
                f"Do('{self.site}') gives {new.tolist()}: expected one that fits {value.dtype}, the type of the site"
            )
        return cast

    def check_within(self, value: Tensor, low: float, high: float) -> None:
        """Raise ValueError unless the quantity, as this has made it, (n,), is finite and within a range."""
        how = self.mechanism
        if isinstance(how, int | float):
            good = low <= how <= high and abs(how) < math.inf
        else:
            good = value.is_cpu and value.is_contiguous() and kernels.all_within(value.detach().numpy(), low, high)
        if good or not len(wrong := (~((value >= low) & (value <= high) & value.isfinite())).nonzero()):
            return
        row = int(wrong[0, 0])
        span = f"{low:g} to {high:g}" if high < math.inf else "a finite number" + ", 0 or more" * (low == 0)
        raise ValueError(f"Do('{self.site}') gives {value[row].item():g} in row {row}: expected {span}")


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
        self.told: dict[str, Any] | None = None  # what the last step told, where somebody listens
        self.names: dict[str, None] = {}  # every name so far, in order of appearance
        self._interventions = tuple(interventions)
        self._record = record
        self._everything = record is not None and recorded == "all"
        self._intervened = {do.site for do in interventions}
        self._watched = self._intervened | (set() if recorded == "all" else set(recorded))

    def __call__(
        self, name: str, value: Any, possible: Tensor | None = None, within: tuple[float, float] | None = None
    ) -> Any:
        """The value of the quantity ``name``: what is given, or what an intervention makes of it.

        possible: (n,) bool, to whom an event can happen at all (only the living die), or 1 and 0, who has any of a
        quantity (only who is there attends): for the others it stays False or 0, whatever an intervention says.
        within: the lowest and the highest that it can be, and finite; ValueError for an intervention that gives others.
        """
        self.names[name] = None
        for do in self._interventions:
            if do.site == name and do.acts_at(self.step):
                value = do.apply(value)
                if within is not None:
                    do.check_within(value, *within)
                value = value if possible is None else _among(value, possible)
        if self._record is not None:
            self._record(name, self.step, value)
        return value

    def tell(self, name: str, value: Any) -> None:
        """Something that is no quantity of the model, for who watches it: an entry of Gymnasium's ``info``.

        value: (n, …) of numbers, a tensor or an array, of which the world keeps nothing. A world tells the same names
        in ``reset`` and in each ``step``.
        """
        if self.told is not None:
            self.told[name] = value

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
            raise LookupError(
                f"no site named {unknown}; this model names {sorted(self.names)}: expected some of these in "
                "record and interventions"
            )


def _among(value: Tensor, possible: Tensor) -> Tensor:
    """The value for some rows, and False or 0 for the others."""
    if value.dtype == torch.bool:
        return value & possible
    if value.is_cpu and not value.requires_grad:  # where people are many, torch takes ten times as long
        return torch.from_numpy(value.numpy() * possible.numpy())
    return value * possible
