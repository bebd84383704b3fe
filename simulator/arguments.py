"""Arguments at public doors: numbers, seeds, tensors, objects; an error names them and says what was expected."""

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

INTS, NUMBERS = (int, np.integer), (int, float, np.integer, np.floating)


def checked_int(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """An int, or an integer of NumPy's, from ``low`` to ``high``; TypeError for others, bool and 3.0 among them."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r:.60}: expected an int{_span(low, high)}")
    number = int(value)
    if not (low is None or number >= low) or not (high is None or number <= high):
        raise ValueError(f"{name} is {number}: expected an int{_span(low, high)}")
    return number


def _span(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    return f", {low} or more" if high is None else f" to {high}" if low is None else f" from {low} to {high}"


def checked_seed(seed: Any) -> int:
    """The seed as an int; TypeError for what is none: True is 1 to Python, but would not be the same seed."""
    return seed if type(seed) is int else checked_int("seed", seed)


def check_number(name: str, value: Any, low: float = 0, high: float = math.inf, whole: bool = False) -> None:
    """Raise TypeError or ValueError unless a parameter is a finite number from ``low`` to ``high``.

    whole: ints only. NumPy's numbers are numbers, and so are tensors ().
    """
    number: Any = value.item() if isinstance(value, Tensor | np.ndarray) and value.ndim == 0 else value
    span = f"{low:g} to {high:g}" if high < math.inf else f"{low:g} or more" if low > -math.inf else "finite"
    if isinstance(number, bool) or not isinstance(number, INTS if whole else NUMBERS):
        raise TypeError(f"{name} is {value!r:.60}: expected {'an int' if whole else 'a number'}, {span}")
    if not low <= number <= high or math.isinf(number):
        raise ValueError(f"{name} is {value!r}: expected {'an int' if whole else 'a number'}, {span}")


def check_has(name: str, value: Any, expected: str, *attributes: str) -> None:
    """Raise TypeError unless an object has these; expected: what it should be, such as "a world"."""
    if missing := [attribute for attribute in attributes if not hasattr(value, attribute)]:
        raise TypeError(f"{name} is a {type(value).__name__}, without {', '.join(missing)}: expected {expected}")


def check_is(name: str, value: Any, kind: type | tuple[type, ...], expected: str) -> None:
    """Raise TypeError unless an object is of a kind; expected: what it should be, and how one comes by it."""
    if not isinstance(value, kind):
        what = "None" if value is None else f"a {type(value).__name__}"
        raise TypeError(f"{name} is {what}: expected {expected}")


def check_callable(name: str, value: Any, expected: str) -> None:
    """Raise TypeError unless a value can be called."""
    check_is(name, value, Callable, expected)  # type: ignore[arg-type]


def as_tensor(name: str, value: Any, device: Any = None, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor, as it is; an array of NumPy's or pandas', a list or a number as one; TypeError, by name, for others.

    device, dtype: of what is no tensor yet.
    """
    if isinstance(value, Tensor):
        return value
    try:
        if not isinstance(value, list | tuple | float | int):  # of these torch makes float32
            array = np.require(value, requirements="W")  # a copy of what may not be written to
            return torch.as_tensor(array, dtype=dtype, device=device)
        return torch.as_tensor(value, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} is {value!r:.60}: expected numbers: a tensor, an array or a list of them") from None
