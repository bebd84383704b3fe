"""Logs of sessions, each a row of lists that a user was shown and clicked in."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ethogram.simulator import History, check_is
from ethogram.simulator.formats import Ids, Name, id_column, number_column, read_columns, time_column

from ..clicks import ClickLog
from ..sessions import first_true

if TYPE_CHECKING:
    import pandas

LIST = "number of the list"


@dataclass(frozen=True, eq=False)
class SessionLog:
    """The lists of n sessions, in order: R lists, those of a session one after the other."""

    lists: ClickLog  # R rows
    starts: Tensor  # (n + 1,) int64: session i's lists are starts[i] up to, without, starts[i + 1]
    session_ids: Ids  # (n,) what the log calls them
    reward: (
        Tensor  # (R,) float64: what a list's last click was worth in the log's unit, 1 if it has no rewards; 0: none
    )
    propensity: Tensor | None  # (R, m) float64, as the log has it; 1 at empty positions
    has_states: bool  # whether lists.state is the log's, or 0 throughout

    def __len__(self) -> int:
        return len(self.session_ids)

    def __repr__(self) -> str:
        return f"SessionLog({len(self)} sessions: {self.lists!r})"

    @classmethod
    def from_frame(
        cls,
        source: Any,
        *,
        session: Name,
        time: Name,
        item: Name,
        click: Name,
        position: Name | None = None,
        state: Name | None = None,
        reward: Name | None = None,
        propensity: Name | None = None,
        separator: str | None = None,
        state_ids: Ids | None = None,
        item_ids: Ids | None = None,
    ) -> Self:
        """The log in a table that has a row for each item shown: a frame, or the path of a .csv, .tsv or .parquet file.

        session: column of who, or which visit. time: which list of the session a row belongs to, the same for all rows
        of a list, and in which order: a number from 0 or a date. reward: what a click on the row's item was worth, from
        0 up (money, seconds); of a list's last click it counts. propensity: how likely the logging policy was to show
        what it did: for ``ope.rips``, the items from the top of the list down to the row's. The others, and the errors,
        are those of ``ClickLog.from_frame``; in errors a list goes by its number (by session and time, from 0).
        """
        asked = {"session": session, "time": time, "item": item, "click": click}
        more = {"position": position, "state": state, "reward": reward, "propensity": propensity}
        asked |= {role: name for role, name in more.items() if name is not None}
        frame, _ = read_columns(source, asked, separator)
        who, session_ids = id_column(session, frame[session])
        when = time_column(time, frame[time])
        _, first, row = np.unique(np.stack([who, when]), axis=1, return_index=True, return_inverse=True)
        table = frame[list(set(asked.values()))].assign(**{LIST: row.reshape(-1)})
        lists = ClickLog.from_frame(
            table,
            session=LIST,
            item=item,
            click=click,
            position=position,
            state=state,
            state_ids=state_ids,
            item_ids=item_ids,
        )
        starts = torch.from_numpy(np.searchsorted(who[first], np.arange(len(session_ids) + 1)))
        items, _ = id_column(item, frame[item], item_ids)
        key = row.reshape(-1) * lists.num_items + items  # (rows,) which cell each is
        shown = torch.arange(len(lists))[:, None] * lists.num_items + lists.slates
        order = key.argsort()
        at = order[np.searchsorted(key, shown.numpy(), sorter=order).clip(max=len(key) - 1)]  # (R, m) whose row

        def laid_out(role: str, name: Name, empty: float) -> Tensor:
            cells = torch.from_numpy(number_column(role, name, frame[name])[at])
            return cells.where(lists.slates >= 0, empty)

        clicked = clicked_item(lists) >= 0
        worth = clicked.double()
        if reward is not None:
            last = (lists.slates == clicked_item(lists)[:, None]) & lists.clicks
            worth = (laid_out("reward", reward, 0.0) * last).sum(1)
        chance = None if propensity is None else laid_out("propensity", propensity, 1.0)
        return cls(lists, starts, session_ids, worth, chance, state is not None)

    @classmethod
    def of(cls, history: History) -> Self:
        """The log of a recorded ``CascadingSession``, its "propensity" too, if it has that site (n, T, m)."""
        check_is("history", history, History, "a History; a table goes to from_frame")
        starts = pad(history.length.cumsum(0), (1, 0))
        chance = history.sites["propensity"][history.valid].double() if "propensity" in history.sites else None
        reward = history.reward[history.valid].double()
        return cls(ClickLog.of(history), starts, history.ids.cpu().numpy(), reward, chance, True)

    @property
    def session(self) -> Tensor:
        """(R,) int64: which session each list belongs to."""
        return torch.repeat_interleave(torch.arange(len(self)), self.starts.diff())

    def to_pandas(self) -> "pandas.DataFrame":
        """The table that ``from_frame`` reads, a row for each item shown, by the log's names.

        Columns "session", "time" (which list of the session, from 0), "position", "item", "click", "reward" (of a
        list's last click), and "state" and "propensity" where the log has them.
        """
        import pandas

        lists, (row, position) = self.lists, (self.lists.slates >= 0).nonzero(as_tuple=True)
        item, last = lists.slates[row, position], clicked_item(lists)[row]
        table: dict[str, Any] = {
            "session": self.session_ids[self.session[row].numpy()],
            "time": (row - self.starts[self.session[row]]).numpy(),
            "position": position.numpy(),
            "item": (np.arange(lists.num_items) if lists.item_ids is None else lists.item_ids)[item.numpy()],
            "click": lists.clicks[row, position].int().numpy(),
            "reward": torch.where(item == last, self.reward[row], 0.0).numpy(),
        }
        if self.has_states:
            states = np.arange(lists.num_states) if lists.state_ids is None else lists.state_ids
            table["state"] = states[lists.state[row].numpy()]
        if self.propensity is not None:
            table["propensity"] = self.propensity[row, position].numpy()
        return pandas.DataFrame(table)


def clicked_item(lists: ClickLog) -> Tensor:
    """(R,) int64 the item of each list's last click, -1 for none: the click that moves a user."""
    last = lists.length - 1 - first_true(lists.clicks.flip(1))
    return torch.where(last >= 0, lists.slates.gather(1, last.clamp(min=0)[:, None])[:, 0], -1)
