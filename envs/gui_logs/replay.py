"""Replay: an agent acts on the screens of recorded sessions, and is told how right it is."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from gymnasium import spaces

from ethogram.simulator import Draws, History, Sites, Transition, check_is, checked_int

from ..gui import DIRECTIONS, KEYS, STATUSES, TYPES, USED_BY, GuiActions, action_space
from ..gui_metrics import METRICS
from .recording import Array, Recording
from .verdicts import NAMES, Compared, verdict

Mode = Literal["recorded", "own", "own_patched"]
NONE, RECORDED, OWN = range(3)  # whose an action of the past is
_SCROLL, _ANY = TYPES.index("scroll"), action_space(0)
_LATIN, _MOST_MS = cast(spaces.Text, _ANY["text"]), float(cast(spaces.Box, _ANY["ms"]).high)
_COUNTS = {"type": len(TYPES), "direction": len(DIRECTIONS), "key": len(KEYS), "status": len(STATUSES)}
_COUNTS |= {"clear": 2, "submit": 2}
_KINDS = {"point": "f", "point2": "f", "ms": "f", "text": "OU"}  # NumPy's kinds of dtypes; the others are ints
_USED = {name: np.isin(TYPES, types) for name, types in USED_BY.items()}  # others are not looked at


@dataclass(frozen=True, eq=False)
class Replay:
    """Recorded sessions acted on again: whatever is done, recorded screens follow, and metrics say how right it was.

    Row i plays episode i modulo their number. It is on the CPU, since it compares text.

    recording: what a reader gives. metric: of ``METRICS``, the reward. stop_on_miss: an episode ends with the first
    action that the metric calls wrong. history: which past actions the policy sees: "recorded", the references,
    whatever it did itself; "own", its own, right or wrong (with stop_on_miss UI-S1's semi-online evaluation);
    "own_patched", its own, with the reference in the place of those that missed. past: how many of them.
    instructions: the step's low-level instruction is seen.

    Observation: a dict of "episode", "step", the numbers of both; "goal", "instruction", text; "screen" (2,) int64, its
    width and height in pixels; "box" (M, 4) float32 and "label" (M,), of everything that is known to stand there, left,
    top, right, bottom as fractions of the screen, labels as places in ``recording.arrays.strings``, 0 where there is
    nothing; "past", a dict of the last actions, the newest last: "whose" (k,), 0 where there is none, 1 the reference,
    2 its own; "text", a dict of texts by place, "0" to the last; and the other parameters of ``GuiActions``, (k, …).
    Action: a dict, as ``GuiActions`` has it; an element, from 1, stands for the middle of its box, and
    one that is not on this screen for no place at all, which is a miss.
    Reward: the metric's verdict, 0 to 1; 0 for a step that it does not count. The last recorded step terminates.

    Sites: each of ``METRICS`` (n,) float32, its verdict, NaN for a step that it does not count; "missed" (n,) bool,
    whether the metric of the reward calls the action wrong.
    """

    recording: Recording
    history: Mode = "recorded"
    stop_on_miss: bool = False
    metric: str = "match/strict"
    past: int = 4
    instructions: bool = False

    def __post_init__(self) -> None:
        check_is("recording", self.recording, Recording, "a Recording, as load_android_control gives")
        if self.history not in get_args(Mode):
            raise ValueError(f"history is {self.history!r}: expected one of {list(get_args(Mode))}")
        if self.history == "own_patched" and self.stop_on_miss:
            raise ValueError("own_patched with stop_on_miss never patches: expected history='own', or no stop_on_miss")
        if self.metric not in METRICS:
            raise LookupError(f"no metric named {self.metric!r}: there are {list(METRICS)}")
        checked_int("past", self.past, 1)
        check_is("stop_on_miss", self.stop_on_miss, bool, "True or False")
        check_is("instructions", self.instructions, bool, "True or False")

    @property
    def horizon(self) -> int:
        """The steps of the longest episode."""
        return int(self.recording.arrays.length.max())

    @cached_property
    def observation_space(self) -> spaces.Dict:
        """The screen, the goal, and the last actions."""
        arrays, k = self.recording.arrays, self.past
        room, box = arrays.element.shape[1], arrays.element
        parts = {name: self._several(part, k) for name, part in self.action_space.spaces.items() if name != "text"}
        text = spaces.Dict({str(i): self.action_space["text"] for i in range(k)})
        return spaces.Dict(
            {
                "episode": spaces.Discrete(len(self.recording)),
                "step": spaces.Discrete(self.horizon),
                "goal": self._text(arrays.goal),
                "instruction": self._text(arrays.instruction),
                "screen": spaces.Box(1, np.iinfo(np.int64).max, (2,), np.int64),
                "box": spaces.Box(min(0, box.min()), max(1, box.max()), (room, 4), np.float32),
                "label": spaces.MultiDiscrete([len(arrays.strings)] * room),
                "past": spaces.Dict({**parts, "text": text, "whose": spaces.MultiDiscrete([3] * k)}),
            }
        )

    @cached_property
    def action_space(self) -> spaces.Dict:
        """One action, all parameters always there."""
        arrays = self.recording.arrays
        parts = action_space(arrays.element.shape[1]).spaces
        return spaces.Dict({**parts, "text": self._text(arrays.reference["text"])})

    def _several(self, part: spaces.Space[Any], k: int) -> spaces.Space[Any]:
        """The space of k parameters."""
        if isinstance(part, spaces.Discrete):
            return spaces.MultiDiscrete([int(part.n)] * k)
        assert isinstance(part, spaces.Box)
        return spaces.Box(part.low.min(), part.high.max(), (k, *part.shape), np.float32)

    def _text(self, texts: Array) -> spaces.Text:
        """Latin text, and whatever else these have in them."""
        letters = set(_LATIN.characters).union(*texts.tolist())
        longest = max(_LATIN.max_length, *map(len, texts.tolist()))
        return spaces.Text(longest, min_length=0, charset="".join(sorted(letters)))

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Words of the ids in observations and actions, by field; what reports show."""
        of_actions = {"type": TYPES, "direction": DIRECTIONS, "key": KEYS, "status": STATUSES}
        return {**of_actions, "label": self.recording.arrays.strings, "whose": ("", "reference", "own")}

    def reference(self, history: History) -> dict[str, Any]:
        """The recorded actions, as columns (n, T, …) of a history of this replay; for reports.

        "box" (n, T, 4) is the smallest of the boxes that count as right, 0 where there is none.
        """
        arrays, seen = self.recording.arrays, history.observation
        at = arrays.first[seen["episode"][:, :-1].numpy()] + seen["step"][:, :-1].numpy()
        columns = {name: column[at] for name, column in arrays.reference.items()}
        width, height = np.moveaxis(arrays.box[..., 2:] - arrays.box[..., :2], -1, 0)  # (S, B)
        known = np.arange(arrays.box.shape[1]) < arrays.boxes[:, None]
        smallest = np.where(known, width * height, np.inf).argmin(1)
        columns["box"] = arrays.box[np.arange(len(smallest)), smallest][at]
        return {name: column if name == "text" else torch.from_numpy(column) for name, column in columns.items()}

    def reset(self, draws: Draws, site: Sites) -> tuple[dict[str, Any], dict[str, Any]]:
        """The first screens; nothing has been done yet."""
        if not draws.ids.is_cpu:
            raise ValueError(f"rows are on {draws.ids.device}: expected the CPU, where the texts to compare are")
        n, k = len(draws.ids), self.past
        nothing = {
            name: np.full((n, k), "", object) if name == "text" else torch.zeros(n, k, *part.shape[1:]).to(part.dtype)
            for name, part in GuiActions.of([])._asdict().items()
        }
        state = {
            "episode": draws.ids % len(self.recording),
            "step": torch.zeros(n, dtype=torch.int64),
            "over": torch.zeros(n, dtype=torch.bool),
            "past": {**nothing, "whose": torch.zeros(n, k, dtype=torch.int64)},
        }
        return state, self._seen(state)

    def step(self, state: dict[str, Any], action: dict[str, Any], draws: Draws, site: Sites) -> Transition:
        """One action of every row, judged."""
        arrays, over, n = self.recording.arrays, state["over"], len(state["over"])
        episode, step = state["episode"].numpy(), state["step"].numpy()
        steps, live = arrays.first[episode] + step, (~over.numpy()).nonzero()[0]
        columns = {name: part[live] for name, part in self._columns(action, n).items()}
        compared = Compared(self.recording, steps[live], self._done(columns, steps[live], live))
        reward = torch.empty(0)
        for name in NAMES:
            if (unwatched := site.unwatched(name)) and name != self.metric:
                continue
            right = torch.full((n,), torch.nan)
            right.numpy()[live] = verdict(name, compared)
            right = right if unwatched else site(name, right)
            reward = right if name == self.metric else reward
        missed = site("missed", reward < 1)  # False for NaN, of a step that does not count
        stopped = missed & ~over if self.stop_on_miss else torch.zeros_like(over)
        last = torch.from_numpy(step + 1 == arrays.length[episode])
        new = {
            "episode": state["episode"],
            "step": state["step"] + (~over & ~stopped & ~last),
            "over": over | stopped | last,
            "past": self._remembered(state["past"], compared, missed.numpy()[live], live),
        }
        return Transition(new, self._seen(new), reward.nan_to_num(nan=0.0), new["over"])

    def _columns(self, action: Any, n: int) -> dict[str, Array]:
        """The parameters of n actions, if they are all there; ValueError otherwise."""
        if not isinstance(action, dict) or action.keys() != set(GuiActions._fields):
            given = sorted(action) if isinstance(action, dict) else type(action).__name__
            raise ValueError(f"actions are {given}: expected a dict of {list(GuiActions._fields)}; use GuiActions.of")
        columns = {name: np.asarray(part) for name, part in action.items()}
        for name, part in columns.items():
            shape, kinds = ((n, 2) if name in ("point", "point2") else (n,)), _KINDS.get(name, "iu")
            if part.shape != shape or part.dtype.kind not in kinds:
                what = {"iu": "ints", "f": "floats", "OU": "str"}[kinds]
                raise ValueError(f"{name} of actions is {part.dtype} {part.shape}: expected {what} {shape}")
        return columns

    def _done(self, columns: dict[str, Array], steps: Array, rows: Array) -> dict[str, Array]:
        """Actions as ``Compared`` takes them; rows: which they are, for errors."""
        self._check(columns, steps, rows)
        kind = columns["type"]
        done = {"type": kind}
        for name, used in _USED.items():
            part, asked = columns[name], used[kind]
            none = "" if name == "text" else part.dtype.type(0)
            done[name] = np.where(asked.reshape(-1, *[1] * (part.ndim - 1)), part, none)
        if (named := done["element"] > 0).any():
            box = self.recording.arrays.element[steps[named], done["element"][named] - 1]
            done["point"][named] = ((box[:, :2] + box[:, 2:]) / 2).clip(0, 1)
        if (moved := (kind == _SCROLL) & (done["direction"] == 0) & (done["point2"] != 0).any(1)).any():
            x, y = (done["point2"] - done["point"]).T
            sideways = np.where(x > 0, 3, 4)  # the finger goes right: the view goes left
            way = np.where(abs(x) > abs(y), sideways, np.where(y > 0, 1, 2)) * ((x != 0) | (y != 0))
            done["direction"] = np.where(moved, way, done["direction"])
        return done

    def _check(self, columns: dict[str, Array], steps: Array, rows: Array) -> None:
        """Raise ValueError for an action that is none."""
        arrays = self.recording.arrays
        room = arrays.element.shape[1]
        wrong = {name: (columns[name] < 0) | (columns[name] >= count) for name, count in _COUNTS.items()}
        wrong["element"] = (columns["element"] < 0) | (columns["element"] > room)
        wrong["ms"] = ~((columns["ms"] >= 0) & (columns["ms"] <= _MOST_MS))
        for name in ("point", "point2"):
            part = columns[name]
            wrong[name] = ~np.logical_and.reduce((part >= 0) & (part <= 1), axis=1)
        wrong["text"] = np.array([not isinstance(text, str) for text in columns["text"].tolist()], bool)
        if not any(which.any() for which in wrong.values()):
            return
        name = next(name for name, which in wrong.items() if which.any())
        at = int(wrong[name].argmax())
        limits = {
            "element": f"0 for none to {room}, the most on a screen",
            "ms": f"0 to {_MOST_MS:g}",
            "text": "a str",
        }
        limits |= {name: f"0 to {count - 1}" for name, count in _COUNTS.items()}
        expected = limits.get(name, "fractions of the screen, 0 to 1; give pixels to a codec")
        episode = int(np.searchsorted(arrays.first, steps[at], "right")) - 1
        where = f"episode {self.recording.episodes[episode].id}, step {steps[at] - arrays.first[episode]}"
        value = columns[name][at]
        value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        raise ValueError(f"action of row {rows[at]} ({where}) has {name} {value!r:.60}: expected {expected}")

    def _remembered(self, past: dict[str, Any], compared: Compared, missed: Array, live: Array) -> dict[str, Any]:
        """The past with one more action, by the mode."""
        put = np.full(len(missed), self.history == "recorded")
        if self.history == "own_patched":
            put = compared.known & missed
        whose = np.where(put, np.where(compared.known, RECORDED, NONE), OWN)
        new: dict[str, Any] = {}
        for name, own in {**compared.done, "whose": whose}.items():
            recorded = whose if name == "whose" else compared.truth[name]
            kept = np.where(put.reshape(-1, *[1] * (own.ndim - 1)), recorded, own)
            before = np.asarray(past[name])
            column = before.copy()
            column[live] = np.concatenate((before[live, 1:], kept[:, None]), 1)
            new[name] = column if name == "text" else torch.from_numpy(column)
        return new

    def _seen(self, state: dict[str, Any]) -> dict[str, Any]:
        """The observation of a state."""
        arrays, episode = self.recording.arrays, state["episode"].numpy()
        steps = arrays.first[episode] + state["step"].numpy()
        said = arrays.instruction[steps] if self.instructions else np.full(len(steps), "", object)
        texts: Array = state["past"]["text"]
        put = torch.from_numpy
        return {
            "episode": state["episode"],
            "step": state["step"],
            "goal": arrays.goal[episode],
            "instruction": said,
            "screen": put(arrays.screen[steps]),
            "box": put(arrays.element[steps]),
            "label": put(arrays.label[steps]),
            "past": {**state["past"], "text": {str(i): texts[:, i] for i in range(self.past)}},
        }
