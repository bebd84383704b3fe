"""Cases of ``test_same_bits.py``, and how arrays become digests."""

import contextlib
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
import torch

import ethogram.envs  # noqa: F401  registers the ids
from ethogram.simulator.history import History

CASES = {}  # name -> a function that gives arrays
SAME_AS = {}  # name -> (the case whose arrays these must be, a function that gives them on another path)


def case(function):
    CASES[function.__name__.replace("_", " ")] = function


def same_as(other):
    return lambda function: SAME_AS.update({function.__name__.replace("_", " "): (other, function)})


def arrays_of(value, name="value"):
    """Name -> array, of a history or of anything made of tensors, numbers and text."""
    if isinstance(value, History):
        found = {"length": value.length, "ids": value.ids, **value.sites, "series": {**value.series, **value.thinned}}
        for column in ("observation", "action", "reward", "terminated", "truncated"):
            with contextlib.suppress(LookupError):  # a Record stands in its place
                found[column] = getattr(value, column)
        return arrays_of(found)
    if isinstance(value, Mapping):
        parts = {key if name == "value" else f"{name}.{key}": part for key, part in value.items()}
        return {key: array for part in parts for key, array in arrays_of(parts[part], part).items()}
    return {name: value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)}


def rough(value, *names):
    """Arrays, those of these names (all, without names) with floats rounded: to six digits, float32 to three.

    For what comes from exp, log, sin, special functions, products of matrices or sums of floats in no given order:
    libraries and processors differ in the last digits, and fewer digits rarely round to two sides. All else is kept
    to the bit.
    """

    def rounded(array):
        if array.dtype.kind != "f":
            return array
        digits = 3 if array.dtype == np.float32 else 6
        numbers = [float(f"{x:.{digits - 1}e}") if abs(x) > 1e-12 else 0.0 for x in array.ravel().tolist()]
        return np.array(numbers, array.dtype).reshape(array.shape)

    some = arrays_of(value).items()
    return {name: rounded(x) if not names or name.rpartition(".")[2] in names else x for name, x in some}


def digest(array):
    """16 hex digits of dtype, shape and bytes."""
    text = array.dtype == object
    content = repr(array.tolist()).encode() if text else np.ascontiguousarray(array).tobytes()
    return blake2b(f"{array.dtype.str} {array.shape} ".encode() + content, digest_size=8).hexdigest()


def digests(function):
    return {name: digest(array) for name, array in sorted(arrays_of(function()).items())}


def same(a, b):
    """Equal to the bit, whatever the nesting."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and a.dtype == object:
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b)
