"""A History from a pandas table and from a Minari data set: the way back of ``frames.py``, and in for others'."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..history import Column, History

if TYPE_CHECKING:
    import pandas

NEEDED = ("id", "step", "action", "reward")


def from_pandas(frame: "pandas.DataFrame", *, seed: int = 0, scenario: str = "logged") -> History:
    """The history in a long table with a row for each (id, step), as ``to_pandas`` writes it; rows in any order.

    Columns: "id", whole numbers; "step", from 0 without gaps; "action"; "reward"; and, if there, "terminated",
    "truncated", "observation" and further ones, which become sites. A name with dots is an entry of a dict
    ("observation.age"), and cells that are lists or arrays are vectors. Where there are observations, the last row of
    each id holds the final one, and no reward.

    Padding is 0, or "". Shapes of more than one axis a step, and bfloat16, are not in a table: they come back flat, and
    as float32. Raises ValueError, naming id and step, for gaps, repeats, missing cells and vectors of several
    lengths.
    """
    if not hasattr(frame, "iloc"):
        raise TypeError(f"frame is a {type(frame).__name__}: expected a pandas.DataFrame")
    absent = [
        name for name in NEEDED if not any(c == name or c.startswith(f"{name}.") for c in map(str, frame.columns))
    ]
    if absent:
        raise ValueError(
            f"the frame lacks {absent}: expected such columns beside {list(frame.columns)}; rename with frame.rename"
        )
    for name in ("id", "step"):
        if not np.issubdtype(np.asarray(frame[name]).dtype, np.integer):
            raise ValueError(
                f"column '{name}' of frame is {frame[name].dtype}: expected whole numbers, as pandas.factorize makes"
            )
    if len(frame) == 0:
        return History.of(action=torch.zeros(0, 0), reward=torch.zeros(0, 0), seed=seed, scenario=scenario)
    ids, row = np.unique(frame["id"].to_numpy(np.int64), return_inverse=True)
    order = np.lexsort((frame["step"].to_numpy(), row))
    frame, row = frame.iloc[order], row[order]
    counts = np.bincount(row)
    step = np.arange(len(row)) - (counts.cumsum() - counts)[row]
    if len(bad := np.flatnonzero(step != frame["step"].to_numpy())):
        raise ValueError(
            f"id {ids[row[bad[0]]]} has step {frame['step'].iloc[bad[0]]} where step {step[bad[0]]} should be: "
            "expected 0, 1, … each once"
        )
    observed = any(str(name).split(".")[0] == "observation" for name in frame.columns)
    length = counts - observed
    if observed and len(bad := np.flatnonzero(frame["reward"].isna().to_numpy() != (step == length[row]))):
        raise ValueError(
            f"id {ids[row[bad[0]]]} has reward {frame['reward'].iloc[bad[0]]} at step {step[bad[0]]}: expected a "
            "reward at each step but the last row of each id, which holds the final observation alone; without final "
            "observations call the column something else, and it becomes a site"
        )
    columns: dict[str, Any] = {}
    for name in (c for c in frame.columns if c not in ("id", "step")):
        *parents, last = str(name).split(".")
        happened = np.full(len(row), True) if str(name).split(".")[0] == "observation" else step < length[row]
        cells, where = frame[name][happened], (row[happened], step[happened])
        if cells.dtype.kind != "f" and cells.isna().any():
            at = int(np.flatnonzero(cells.isna())[0])
            raise ValueError(f"'{name}' of id {ids[where[0][at]]} at step {where[1][at]} is missing: expected a value")
        tree = columns
        for parent in parents:
            tree = tree.setdefault(parent, {})
        steps = int(length.max()) + (happened.all() and observed)
        tree[last] = _padded(str(name), _array(str(name), cells), where, (len(ids), int(steps)))
    return _history(columns, torch.from_numpy(length.astype(np.int64)), torch.from_numpy(ids), seed, scenario)


def from_minari(dataset: Any, *, infos: Sequence[str] = ()) -> History:
    """The episodes of a Minari data set (hdf5 or arrow), a row each, ids their numbers; or of its id, which is loaded.

    infos: names of recorded infos to keep as sites: what each step, not the reset, said. Rewards become float32, Tuple
    spaces dicts of "0", "1", …; padding is 0, or "". Raises ModuleNotFoundError where Minari is not installed,
    ValueError for a data set without episodes, LookupError for an info that is not there.
    """
    if isinstance(dataset, str):
        try:
            import minari
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("Minari is not installed: run `pip install 'ethogram[minari]'`") from error
        dataset = minari.load_dataset(dataset)
    if not hasattr(dataset, "iterate_episodes"):
        raise TypeError(f"dataset is a {type(dataset).__name__}: expected a MinariDataset, or the id of one")
    episodes = list(dataset.iterate_episodes())
    if not episodes:
        raise ValueError(f"{dataset} has no episodes: expected at least one")
    lengths = np.array([len(episode.rewards) for episode in episodes])

    def column(name: str, values: list[Any], more: int = 0) -> Any:
        first = values[0]
        if isinstance(first, Mapping):
            return {key: column(f"{name}.{key}", [value[key] for value in values], more) for key in first}
        if isinstance(first, tuple):
            return {str(k): column(f"{name}.{k}", [value[k] for value in values], more) for k in range(len(first))}
        parts = [_array(name, value) for value in values]
        rows = np.repeat(np.arange(len(values)), [len(part) for part in parts])
        steps = np.concatenate([np.arange(len(part)) for part in parts])
        return _padded(name, np.concatenate(parts), (rows, steps), (len(values), int(lengths.max()) + more))

    columns = {
        "observation": column("observation", [e.observations for e in episodes], more=1),
        "action": column("action", [e.actions for e in episodes]),
        "reward": column("reward", [np.asarray(e.rewards, np.float32) for e in episodes]),
        "terminated": column("terminated", [np.asarray(e.terminations, bool) for e in episodes]),
        "truncated": column("truncated", [np.asarray(e.truncations, bool) for e in episodes]),
    }
    for name in infos:
        there = [e.infos or {} for e in episodes]
        if not all(name in info for info in there):
            raise LookupError(
                f"no info {name!r} in every episode, which have {sorted(there[0])}: record_infos=True keeps"
            )
        columns[name] = column(name, [np.asarray(info[name])[1:] for info in there])
    ids = torch.tensor([int(episode.id) for episode in episodes])
    return _history(columns, torch.from_numpy(lengths), ids, 0, "logged")


def _array(name: str, cells: Any) -> np.ndarray[Any, Any]:
    """(R, …) numbers or text of the cells of a column."""
    array = np.asarray(cells, dtype=getattr(getattr(cells, "dtype", None), "numpy_dtype", None))  # of pandas' nullable
    if array.dtype.kind == "U":
        return array.astype(object)
    if array.dtype != object or all(isinstance(value, str) for value in array):
        return array
    try:
        return np.stack([np.asarray(value) for value in array])
    except ValueError:
        raise ValueError(
            f"'{name}' has cells of several shapes: expected vectors of one length, numbers or text"
        ) from None


def _padded(name: str, values: np.ndarray[Any, Any], where: Any, shape: tuple[int, int]) -> Column:
    if values.dtype.kind not in "biufO":
        raise ValueError(f"'{name}' is {values.dtype}: expected bool, integers, real numbers or text; convert it")
    table = (
        np.full(shape, "", object) if values.dtype == object else np.zeros((*shape, *values.shape[1:]), values.dtype)
    )
    table[where] = values
    return table if values.dtype == object else torch.from_numpy(table)


def _history(columns: dict[str, Any], length: torch.Tensor, ids: torch.Tensor, seed: int, scenario: str) -> History:
    core = {name: columns.pop(name, None) for name in ("observation", "action", "reward", "terminated", "truncated")}
    return History.of(**core, sites=columns, length=length, ids=ids, seed=seed, scenario=scenario)
