"""As_column, names: what users have (lists, NumPy, pandas) as tensors; people's ids beside rows, and rows by id."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]
Names = np.ndarray[Any, Any]  # (n,) int64, or objects such as text: what the people of rows 0, 1, … are called


def as_column(what: str, values: Any) -> Tensor:
    """One value a person, (n,), from a tensor (as it is), a list, a NumPy array or a pandas Series.

    Those become int64 of whole numbers, float32 of other numbers, bool of bools. ValueError, which calls them
    ``what``, for text, for what has another shape, and for numbers that the type does not hold.
    """
    if isinstance(values, Tensor):
        return values
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype == object and array.ndim == 1 and len(array):  # as pandas has numbers beside missing values
        array = np.array([np.nan if value is None else value for value in array.tolist()])
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        given = f"{type(values).__name__} of {array.dtype} {array.shape}"
        raise ValueError(f"{what} is a {given}: expected a tensor, array, Series or list of (n,) numbers or bools")
    if array.dtype.kind == "u" and len(array) and array.max() > np.uint64(2**63 - 1):
        raise ValueError(f"{what} goes up to {array.max()}: expected whole numbers below 2^63")
    kind: Any = {"b": np.bool_, "f": np.float32}.get(array.dtype.kind, np.int64)
    return torch.from_numpy(np.array(array, kind))  # a copy: what others write to their array is not ours


def checked_names(names: Any, num_people: int) -> Names | None:
    """Names as an array, one for each person, all different; None for None, and for 0 to n - 1, which rows have anyhow.

    Raises ValueError for another number of names, for one that is missing, and for one that two people have.
    """
    if names is None:
        return None
    array = as_names(names)
    if len(array) != num_people:
        raise ValueError(f"{len(array)} names for {num_people} people: expected one for each")
    if array.dtype == np.int64 and np.array_equal(array, np.arange(num_people)):
        return None
    import pandas

    index = pandas.Index(array)
    if index.hasnans or not index.is_unique:
        again = index.isna() | index.duplicated()
        which = f"the name {array[again.argmax()]!r} of row {again.argmax()}"
        raise ValueError(f"{which} is missing or there twice: expected names that differ")
    return array


def as_names(ids: Any) -> Names:
    """Ids as an array, (m,) int64 or objects, whatever they come in."""
    if isinstance(ids, Tensor):
        ids = ids.cpu().numpy()
    if isinstance(ids, np.ndarray) or hasattr(ids, "to_numpy"):
        array = np.asarray(ids)
    else:
        items = list(ids)
        array = np.empty(len(items), object)
        array[:] = items
        if all(isinstance(item, int | np.integer) and not isinstance(item, bool) for item in items):
            array = array.astype(np.int64)
    if array.ndim != 1:
        raise ValueError(f"ids are of shape {array.shape}: expected (m,), one for each")
    return array.astype(np.int64 if array.dtype.kind in "iu" or len(array) == 0 else object, copy=False)


def all_names(*ids: Names) -> Names:
    """Each id that comes up, once: numbers in ascending, text in alphabetic order, others as they come."""
    import pandas

    every = np.concatenate([as_names(some) for some in ids])
    unique = pandas.unique(every)
    kinds = {type(name) for name in unique.tolist()}
    return np.sort(unique) if kinds in ({int}, {str}) else unique


def rows_of(names: Names | None, num_people: int, ids: Any, what: str) -> Array:
    """The rows (m,) int64 in which these people stand; LookupError, which calls them ``what``, for one not there."""
    import pandas

    wanted = as_names(ids)
    known = pandas.RangeIndex(num_people) if names is None else pandas.Index(names)
    rows = known.get_indexer(pandas.Index(wanted))
    if (missing := rows < 0).any():
        first = wanted[missing][:1].tolist()[0]
        raise LookupError(
            f"{what} names {first!r}, who is not among the {num_people} people ({some(known)}), as {missing.sum()} of "
            f"{len(rows)}: expected some of their names. Are both ids of one kind, text or numbers?"
        )
    return rows.astype(np.int64, copy=False)


def check_same_people(networks: Mapping[str, Any]) -> None:
    """Raise ValueError where networks call the people of a row by different names; some may have none."""
    named = [
        (what, names) for what, network in networks.items() if (names := getattr(network, "names", None)) is not None
    ]
    for what, names in named[1:]:
        if not np.array_equal(names, named[0][1]):
            raise ValueError(
                f"{named[0][0]} has people {some(named[0][1])} and {what} has {some(names)}: expected the same in the "
                "same order; contacts.along(names) puts them in one"
            )


def called(names: Names | None, row: int) -> str:
    """The name of a person, in a message."""
    return str(row) if names is None else repr(names[row])


def some(names: Any) -> str:
    """A few of many names, for a message."""
    shown = [repr(name) for name in names[:3].tolist()]
    return ", ".join(shown) + (", …" if len(names) > 3 else "")


def html_table(rows: list[list[str]], head: list[str]) -> str:
    """A small table in HTML, for notebooks."""
    from html import escape

    def line(cells: list[str], kind: str) -> str:
        return "<tr>" + "".join(f"<{kind}>{escape(cell)}</{kind}>" for cell in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
