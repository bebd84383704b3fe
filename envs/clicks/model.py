"""ClickModel, Perplexity."""

import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, History, as_tensor, write_atomically
from ethogram.simulator.formats import Ids

from .log import ClickLog, check_log, check_probability, check_shown, look_up

if TYPE_CHECKING:
    import pandas


class Perplexity(NamedTuple):
    """A model's surprise at each click or skip, 1 (certain and right) to 2 (a coin toss) and beyond."""

    overall: float  # mean of by_position
    by_position: Tensor  # (m,) float64


NAMES = ("state_ids", "item_ids")
BY_ITEM = ("attraction", "satisfaction")  # the parameters that are (S, N)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ClickModel(ABC):
    """The base class of click models; ``CascadingSession(mdp, user=model)`` lets one click in the world.

    state_ids, item_ids: what the log that the model was fitted to calls its states and items, (S,) and (N,), or None.
    Items and states out of a model's range, malformed slates, probabilities outside [0, 1], and logs that call states
    or items something else raise ValueError.
    """

    state_ids: Ids | None = None
    item_ids: Ids | None = None

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """The positions that each user clicks, (n, m) bool.

        observation: "state" (n,) int64, "slate" (n, m) int64, and if present "attraction" (n, m) in [0, 1], which
        then stands in for the model's own, so that a world can intervene on it.
        Draws: "attracted" and "satisfied" of (user, item), wherever the item is shown; "examined" and "continued"
        of (user, position).
        """
        if not observation.keys() >= {"state", "slate"}:
            raise LookupError(f"observation has {sorted(observation)}: expected 'state' (n,) and 'slate' (n, m)")
        state, slates = observation["state"], observation["slate"]
        self._check(state, slates)
        if "attraction" in observation:
            attraction = observation["attraction"]
            check_probability('observation["attraction"]', attraction, tuple(slates.shape))
        else:
            attraction = self._attraction(state, slates)
        return self._clicks(state, slates, attraction, draws) & (slates >= 0)

    def _let_in(self, name: str, shape: tuple[int | None, ...]) -> None:
        """A parameter as a tensor: ValueError unless it is one of probabilities, of this shape (None: any)."""
        object.__setattr__(self, name, as_tensor(name, getattr(self, name), dtype=torch.float64))
        check_probability(name, getattr(self, name), shape)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Parameters by name, float64 on the CPU: (S, N) by state and item, (m,) by position, () numbers."""
        names = [field.name for field in fields(self) if field.name not in NAMES]
        return {name: torch.as_tensor(getattr(self, name), dtype=torch.float64).cpu() for name in names}

    @property
    def _by_item(self) -> dict[str, Tensor]:
        return {name: table for name, table in self.parameters.items() if name in BY_ITEM}

    def __repr__(self) -> str:
        shapes = (
            f"{name} {float(table):.4g}" if table.dim() == 0 else f"{name} {tuple(table.shape)}"
            for name, table in self.parameters.items()
        )
        return f"{type(self).__name__}({', '.join(shapes)})"

    def named(self, log: ClickLog) -> Self:
        """The model with the names of a log's states and items."""
        for name, ids, axis in (("states", log.state_ids, 0), ("items", log.item_ids, 1)):
            for table in self._by_item.values():
                if ids is not None and table.shape[axis] != len(ids):
                    raise ValueError(f"num_{name} is {table.shape[axis]}: expected {len(ids)}, as the log names them")
        return replace(self, state_ids=log.state_ids, item_ids=log.item_ids)

    def to_pandas(self, **more: Mapping[str, Tensor]) -> "pandas.DataFrame":
        """A row for each state and item, by their ids: "state", "item", and each (S, N) parameter.

        more: further values of the same parameters, such as ``stderr=standard_errors(model, log)``, as columns
        "attraction_stderr" and so on. Raises LookupError for the models that know no items.
        """
        import pandas

        tables = self._by_item
        if not tables:
            raise LookupError(f"{type(self).__name__} has no parameters by item: read model.parameters")
        states, items = next(iter(tables.values())).shape
        state_ids = np.arange(states) if self.state_ids is None else self.state_ids
        item_ids = np.arange(items) if self.item_ids is None else self.item_ids
        columns: dict[str, Any] = {"state": np.repeat(state_ids, items), "item": np.tile(item_ids, states)}
        for suffix, values in ({"": tables} | {f"_{name}": values for name, values in more.items()}).items():
            columns |= {name + suffix: values[name].flatten().numpy() for name in tables}
        return pandas.DataFrame(columns)

    def save(self, path: str | Path) -> None:
        """Write the model, with the names of its states and items, to an .npz file, atomically."""
        if Path(path).suffix != ".npz":
            raise ValueError(f"{path} ends in {Path(path).suffix!r}: expected .npz")
        arrays: dict[str, Any] = {name: table.numpy() for name, table in self.parameters.items()}
        for name in NAMES:
            if (ids := getattr(self, name)) is not None:
                arrays[name] = ids.astype(str) if ids.dtype == object else ids
        arrays["kind"] = np.array(type(self).__name__)
        file = io.BytesIO()
        np.savez(file, **arrays)
        write_atomically(Path(path), lambda target: target.write(file.getvalue()))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A model that ``save`` wrote: ``ClickModel.load`` of any kind, ``DBN.load`` of that kind.

        Raises FileNotFoundError where there is no file, ValueError for one that is cut off, changed or of another kind.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no click model at {path}: no such file")
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            kind = str(arrays.pop("kind"))
            names = {name: arrays.pop(name) for name in NAMES if name in arrays}
            names = {name: ids.astype(object) if ids.dtype.kind == "U" else ids for name, ids in names.items()}
            tables = {name: torch.from_numpy(a) if a.ndim else float(a) for name, a in arrays.items()}
        except Exception as error:
            raise ValueError(f"{path} is no whole click model ({error}): expected a file that save wrote") from error
        kinds = {known.__name__: known for known in _kinds(cls)}
        if kind not in kinds:
            raise ValueError(f"{path} holds a {kind}: expected one of {sorted(kinds)}")
        return kinds[kind](**tables, **names)

    def click_probability(self, state: Tensor, slates: Tensor) -> Tensor:
        """P(C_r = 1) before anything is clicked, the marginal; (n, m) float64, 0 at empty positions."""
        state, slates = as_tensor("state", state), as_tensor("slates", slates)
        self._check(state, slates)
        return self._marginal(state, slates, self._attraction(state, slates))

    def conditional_click_probability(self, log: ClickLog) -> Tensor:
        """P(C_r = 1 | C_1, …, C_{r-1}) given the clicks above in the log; (n, m) float64, 0 at empty positions."""
        self._check_names(log)
        self._check(log.state, log.slates)
        return self._conditional(log, self._attraction(log.state, log.slates))

    def log_likelihood(self, log: ClickLog) -> Tensor:
        """log P(C_1, …, C_m) of each row, (n,) float64 in nats; -inf where the model rules the clicks out."""
        chance = self.conditional_click_probability(log)
        return torch.where(log.clicks, chance, 1 - chance).log().sum(1)

    def perplexity(self, log: ClickLog) -> Perplexity:
        """2 to the mean of -log2 P(C_r) over the rows that show something at r, with marginal probabilities.

        Dupret & Piwowarski (SIGIR 2008). A position that no row uses is NaN and left out of the overall mean.
        """
        self._check_names(log)
        chance = self.click_probability(log.state, log.slates)
        surprise = -torch.where(log.clicks, chance, 1 - chance).log2()  # 0 at empty positions
        by_position = (surprise.sum(0) / (log.slates >= 0).sum(0)).exp2()
        return Perplexity(float(by_position.nanmean()), by_position)

    def _check(self, state: Tensor, slates: Tensor) -> None:
        """Raise ValueError unless the model covers these states, items and positions."""
        check_shown(state, slates, self.attraction)  # type: ignore[attr-defined]  # RCM and RankCTR have none

    def _check_names(self, log: ClickLog) -> None:
        """Raise ValueError where the log calls the states or items something else, or in another order."""
        check_log(log)
        for name in NAMES:
            ours, theirs = getattr(self, name), getattr(log, name)
            if ours is None or theirs is None or ours is theirs or np.array_equal(ours, theirs):
                continue
            raise ValueError(
                f"{name} of the log are {_some(theirs)}, those of the model {_some(ours)}: expected the same, in the "
                "same order; read the log by the model's: ClickLog.from_frame(…, state_ids=…, item_ids=model.item_ids)"
            )

    def _attraction(self, state: Tensor, slates: Tensor) -> Tensor:
        """(n, m) float64, 0 at empty positions."""
        return look_up(self.attraction, state, slates)  # type: ignore[attr-defined]

    @abstractmethod
    def _clicks(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> Tensor: ...

    @abstractmethod
    def _marginal(self, state: Tensor, slates: Tensor, attraction: Tensor) -> Tensor: ...

    @abstractmethod
    def _conditional(self, log: ClickLog, attraction: Tensor) -> Tensor: ...


def _some(ids: Ids) -> str:
    return f"{len(ids)}, {ids.tolist()[:3]}{'…' if len(ids) > 3 else ''}"


def _kinds(kind: Any) -> list[Any]:
    return [kind, *(below for child in kind.__subclasses__() for below in _kinds(child))]
