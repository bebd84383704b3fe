"""A History as a pandas table and a Minari data set."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..history import History, map_column
from .leaves import INTEGERS, restored, take_apart, to_numpy
from .parquet import to_arrow

if TYPE_CHECKING:
    import pandas
    from gymnasium import Space


BFLOAT16 = "torch.bfloat16"  # of which NumPy has no numbers


def _widened(leaf: Any) -> Any:
    """An array of the numbers that a leaf holds."""
    return to_numpy(leaf.float() if getattr(leaf, "dtype", None) == torch.bfloat16 else leaf)


def to_pandas(history: History) -> "pandas.DataFrame":
    """A long table of what happened, padding left out: a row for each (row id, step), in that order.

    Columns as in the Parquet file (see above) without ``length`` and the series. The row where ``step`` is the
    length holds the final observation and nulls elsewhere. Integer and bool columns that hold nulls are pandas'
    nullable types; vectors are NumPy arrays; bfloat16 is float32.
    """
    import pandas
    import pyarrow

    leaves, arrays = take_apart(history)
    last = int("observation" in history.columns)
    step = np.arange(history.num_steps + last)
    length = history.length.cpu().numpy()[:, None]
    happened = step < length + last  # (n, T + 1)
    columns = {"id": np.repeat(history.ids.cpu().numpy(), happened.sum(1)), "step": np.nonzero(happened)[1]}
    nullable: dict[Any, Any] = {pyarrow.bool_(): pandas.BooleanDtype()} | {
        getattr(pyarrow, name.lower())(): pandas.array([], dtype=name).dtype
        for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
    }
    frame: dict[str, Any] = {name: pandas.Series(values) for name, values in columns.items()}
    for leaf, array in zip(leaves, arrays, strict=True):
        if not leaf.series and array.size:
            present = step < length + (leaf.path[0] == "observation")
            if leaf.type == BFLOAT16:
                array = _widened(restored(leaf, array))
            column = to_arrow(array, present).filter(pyarrow.array(happened.reshape(-1)))
            frame[leaf.column] = column.to_pandas(types_mapper=nullable.get if column.null_count else None)
    return pandas.DataFrame(frame)


def to_minari(
    history: History,
    dataset_id: str,
    *,
    observation_space: "Space[Any] | None" = None,
    action_space: "Space[Any] | None" = None,
    **metadata: Any,
) -> Any:
    """Write a history as a Minari dataset, an episode a row, and return the ``MinariDataset``.

    dataset_id: as Minari names them, "cascade/uniform-v0". Spaces left out are inferred from what happened: whole
    numbers are Discrete (a Box, with an axis), other numbers an unbounded Box, text is Text. Minari stores
    Gymnasium's own spaces only, so slates are a Box of item indices, -1 for positions left empty. ``metadata``
    (author, description, …) goes to ``minari.create_dataset_from_buffers``. Sites and series are not carried.

    Raises ModuleNotFoundError where Minari is not installed, ValueError for a row of no steps.
    """
    try:
        import minari
        from minari.data_collector import EpisodeBuffer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Minari is not installed: run `pip install 'ethogram[minari]'`") from error

    lengths = history.length.tolist()
    if 0 in lengths:
        raise ValueError(
            f"row {lengths.index(0)} has no steps: expected at least one in each episode; "
            "leave such rows out with history[history.length > 0]"
        )
    columns = {name: map_column(_widened, history.column(name)) for name in ("observation", "action")}
    rows = np.arange(history.num_steps + 1)[None], history.length.cpu().numpy()[:, None]
    spaces = {
        "observation": observation_space or _space("observation", columns["observation"], rows[0] <= rows[1]),
        "action": action_space or _space("action", columns["action"], (rows[0] < rows[1])[:, :-1]),
    }

    def cut(name: str, row: int, steps: int) -> Any:
        return map_column(lambda a: a[row, :steps].tolist() if a.dtype == object else a[row, :steps], columns[name])

    reward, terminated, truncated = (to_numpy(history.column(c)) for c in ("reward", "terminated", "truncated"))
    buffers = [
        EpisodeBuffer(
            id=row,
            observations=cut("observation", row, steps + 1),
            actions=cut("action", row, steps),
            rewards=reward[row, :steps],
            terminations=terminated[row, :steps],
            truncations=truncated[row, :steps],
        )
        for row, steps in enumerate(lengths)
    ]
    return minari.create_dataset_from_buffers(
        dataset_id,
        buffers,
        observation_space=spaces["observation"],
        action_space=spaces["action"],
        **{"data_format": "arrow", **metadata},
    )


def _space(name: str, column: Any, happened: np.ndarray) -> "Space[Any]":
    """The space of one step of a (n, T, …) column, from the entries that happened."""
    from gymnasium import spaces

    if isinstance(column, dict):
        return spaces.Dict({key: _space(f"{name}.{key}", column[key], happened) for key in column})
    values, shape = column[happened], column.shape[2:]
    if column.dtype == object:
        if shape:
            raise ValueError(f"{name} has text of shape {shape} a step: expected one string; give {name}_space")
        letters = frozenset().union(*values)
        return spaces.Text(max_length=max(map(len, values), default=0) or 1, min_length=0, charset=letters or "a")
    if column.dtype not in INTEGERS:
        return spaces.Box(-np.inf, np.inf, shape, column.dtype.type)
    if column.dtype == bool and shape:
        return spaces.MultiBinary(shape)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if shape:
        return spaces.Box(low, high, shape, column.dtype.type)
    return spaces.Discrete(high - low + 1, start=low)
