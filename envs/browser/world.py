"""BrowserGui: tasks on real pages, as a batched world."""

import base64
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from ethogram.simulator import Draws, Sites, Transition, check_is, check_number, checked_int
from ethogram.simulator.gym import episode_ids

from ..gui import DIRECTIONS, KEYS, STATUSES, TYPES, GuiAction, action_space
from .page import Seen
from .pipe import BrowserError
from .pool import Done, Life, Pool
from .scripts import FLAGS, KINDS, LONGEST
from .tasks import PageTask

_SEEDS = (1 << 53) - 1  # whole numbers that JavaScript knows
_BITS = (np.arange(1 << len(FLAGS))[:, None] >> np.arange(len(FLAGS)) & 1).astype(np.int8)  # of each number


class AnyText(spaces.Text):
    """Text of any characters, up to a length; samples are of those that ``actions`` may have."""

    def contains(self, x: Any) -> bool:
        """Whether it is a text that is not too long."""
        return isinstance(x, str) and self.min_length <= len(x) <= self.max_length


@dataclass(frozen=True, eq=False)
class BrowserGui:
    """A task on a page in a real browser: tap, type, drag, scroll, choose, press keys, and see what comes of it.

    Rows are pages of one browser, stepped side by side. It opens at the first reset.

    Observation: a dict of "box" (E, 4) float32, left, top, right and bottom of each element as fractions of the screen,
    0 where there is none; "kind" (E,), of ``KINDS``; "flags" (E, k), of ``FLAGS``; "parent" (E,), the number of the
    element that it stands in, from 1, or 0; "text" and "value", a line an element (``texts`` splits them); "count", of
    elements on the screen, of which those after the E-th are not told; "goal" text; "time", whole ms of the page's
    clock since the episode began; "screen", a number that is the same for screens that hold the same; with ``pixels``
    "pixels" (height, width, 3) uint8.
    Action: a dict as ``GuiAction`` has it (``action_space``). Element e is tapped in the middle of its box; parameters
    that a type has no use for are overlooked. An action that cannot be done does nothing, and ``info["problem"]`` says
    why.
    Reward: by how much the page's own reward went up. The page ends the episode, or done does. A page that crashes,
    hangs or loses its browser truncates it, and ``info["reason"]`` says why.

    Draws: none within an episode. A row's seed, from the run's and its id, goes to the page. Pages cannot go back:
    to step a state a second time, a fresh page does what led to it once more.
    """

    task: PageTask
    pixels: bool = False
    pace: float = 200.0  # ms of the page's clock an action takes
    elements: int = 160  # E
    browser: str | Path | None = None  # a program; None: see ``find_browser``
    deadline: float = 30.0  # seconds of real time that a step or a reset may take

    def __post_init__(self) -> None:
        check_is("task", self.task, PageTask, "a PageTask, as miniwob('click-test-2') or html_page(path) makes one")
        checked_int("elements", self.elements, 1, 10_000)
        check_number("pace", self.pace, 1, 60_000)
        check_number("deadline", self.deadline, 0.01, 3600)

    @cached_property
    def pool(self) -> Pool:
        """Its pages."""
        return Pool(self.task, self.browser, self.pixels, self.pace, self.deadline)

    def close(self) -> None:
        """End the browser, which would else go with the world; a reset opens another."""
        self.pool.close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "pool"}

    @cached_property
    def observation_space(self) -> spaces.Dict:
        """The screen and the goal."""
        most = self.elements
        lines = AnyText(most * (LONGEST + 1), min_length=0)
        parts: dict[str, spaces.Space[Any]] = {
            "box": spaces.Box(0, 1, (most, 4), np.float32),
            "kind": spaces.MultiDiscrete([len(KINDS)] * most),
            "flags": spaces.MultiBinary([most, len(FLAGS)]),
            "parent": spaces.MultiDiscrete([most + 1] * most),
            "text": lines,
            "value": lines,
            "count": spaces.Discrete(1 << 31),
            "goal": AnyText(10_000, min_length=0),
            "time": spaces.Discrete(1 << 40),
            "screen": spaces.Discrete(1 << 32),
        }
        if self.pixels:
            parts["pixels"] = spaces.Box(0, 255, (self.task.height, self.task.width, 3), np.uint8)
        return spaces.Dict(parts)

    @cached_property
    def action_space(self) -> spaces.Dict:
        """The sixteen types, with all their parameters."""
        return action_space(self.elements)

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Words of the ids in observations and actions, by field; what reports show."""
        return {"kind": KINDS, "type": TYPES, "direction": DIRECTIONS, "key": KEYS, "status": STATUSES}

    def reset(self, draws: Draws, site: Sites) -> tuple[NDArray[Any], dict[str, Any]]:
        """Every row at the beginning of an episode of its own. Raises BrowserError where a page does not begin."""
        seeds = (episode_ids(draws.seed & (1 << 63) - 1, draws.ids) & _SEEDS).tolist()
        lives = [Life(seed) for seed in seeds]
        seen = self.pool.begin(lives)
        if any(isinstance(one, BrowserError) for one in seen):  # once more, in a browser that is surely alive
            self.pool.close()
            seen = self.pool.begin(lives)
        state = np.empty(len(lives), dtype=object)
        for i, (life, one) in enumerate(zip(lives, seen, strict=True)):
            if isinstance(one, BrowserError):
                raise one
            state[i] = _Moment(life, 0, one, one.time)
        return state, self._observed(state, draws)

    def step(self, state: NDArray[Any], action: Mapping[str, Any], draws: Draws, site: Sites) -> Transition:
        """One action in each row whose episode goes on, side by side. Shapes: state (n,) objects."""
        after = np.empty(len(state), dtype=object)
        given = {name: list(part) if isinstance(part, list | tuple) else part.tolist() for name, part in action.items()}
        rows, lives, done = [], [], []
        for i, moment in enumerate(state):
            if moment.terminated or moment.truncated:
                after[i] = moment.standing()
                continue
            rows.append(i)
            lives.append(moment.going_on())
            done.append(self._meant(moment, {name: part[i] for name, part in given.items()}))
        doable = [what for what, _ in done]
        for i, life, (_, problem), result in zip(rows, lives, done, self.pool.step(lives, doable), strict=True):
            after[i] = state[i].after(life, result, problem, doable[rows.index(i)][0].type == "done")
            if after[i].terminated or after[i].truncated:
                self.pool.leave(life)
        device = draws.ids.device
        reward = torch.tensor([moment.reward for moment in after], dtype=torch.float32, device=device)
        terminated = torch.tensor([moment.terminated for moment in after], dtype=torch.bool, device=device)
        truncated = torch.tensor([moment.truncated for moment in after], dtype=torch.bool, device=device)
        return Transition(after, self._observed(after, draws), reward, terminated, truncated)

    def _meant(self, moment: "_Moment", action: Mapping[str, Any]) -> tuple[Done, str]:
        """An action of a row as what is done, where in pixels; and why it is not what was asked for."""
        kind, element = TYPES[int(action["type"])], int(action["element"])
        point, point2 = tuple(action["point"]), tuple(action["point2"])
        size = self.task.width, self.task.height
        at: tuple[float, float] | None = (point[0] * size[0], point[1] * size[1])
        problem = ""
        if element:
            told = moment.seen.numbers[: self.elements]
            if element > len(told):
                at, problem = None, f"there is no element {element}: the screen has {len(told)}"
            else:
                left, top, right, bottom = told[element - 1, :4].tolist()
                at = ((left + right) / 2, (top + bottom) / 2)
        if kind in ("type", "select", "scroll") and not element and point == (0.0, 0.0):
            at = None
        if problem and kind in ("tap", "double_tap", "long_press", "hover", "type", "select"):
            return (GuiAction("noop"), None), problem
        what = self._action(kind, action, point, point2)
        if kind == "press" and what.type == "noop":
            problem = "there is no key to press"
        if kind == "scroll" and what.direction == "none":
            problem = "there is no direction to scroll in"
        return (what, at), problem

    def _action(self, kind: Any, given: Mapping[str, Any], point: Any, point2: Any) -> GuiAction:
        """The action with those parameters that its type has a use for."""
        ms, text = round(given["ms"]), str(given["text"])
        if kind in ("tap", "double_tap", "hover", "long_press"):
            return GuiAction(kind, point, ms=ms if kind == "long_press" else 0)
        if kind == "drag":
            return GuiAction(kind, point, point2, ms=ms)
        if kind == "scroll":
            direction: Any = DIRECTIONS[int(given["direction"])]
            moves = any(point2) and point != point2
            return GuiAction(kind, point if moves else None, point2 if moves else None, direction=direction)
        if kind == "type":
            return GuiAction(kind, text=text, clear=bool(given["clear"]), submit=bool(given["submit"]))
        if kind == "press":
            key = KEYS[int(given["key"])]
            return GuiAction(kind, key=key) if key != "none" else GuiAction("noop")
        if kind == "done":
            status: Any = STATUSES[int(given["status"])]
            return GuiAction(kind, status="success" if status == "none" else status, text=text)
        if kind in ("select", "open"):
            return GuiAction(kind, text=text)
        return GuiAction(kind, ms=ms) if kind == "wait" else GuiAction(kind)

    def _observed(self, state: NDArray[Any], draws: Draws) -> dict[str, Any]:
        screens, rows, most = [moment.seen for moment in state], len(state), self.elements
        box, kind = np.zeros((rows, most, 4), np.float32), np.zeros((rows, most), np.int64)
        flags, parent = np.zeros((rows, most, len(FLAGS)), np.int8), np.zeros((rows, most), np.int64)
        for row, seen in enumerate(screens):
            numbers = seen.numbers[:most]
            kinds, bits, parents = numbers[:, 4:].T.astype(np.int64)
            box[row, : len(kinds)] = numbers[:, :4] / self._size
            kind[row, : len(kinds)], flags[row, : len(kinds)], parent[row, : len(kinds)] = kinds, _BITS[bits], parents
        arrays = {
            "box": box,
            "kind": kind,
            "flags": flags,
            "parent": parent,
            "count": np.array([len(seen.numbers) for seen in screens]),
            "time": np.array([max(round(moment.seen.time - moment.began), 0) for moment in state]),
            "screen": np.array([zlib.crc32(seen.screen.encode()) for seen in screens]),
        }
        if self.pixels:
            arrays["pixels"] = np.stack([decoded(seen.png) for seen in screens])
        lines = {
            "text": ["\n".join(seen.texts[:most]) for seen in screens],
            "value": ["\n".join(seen.values[:most]) for seen in screens],
            "goal": [seen.goal[:10_000] for seen in screens],
        }
        columns = {name: torch.from_numpy(array).to(draws.ids.device) for name, array in arrays.items()}
        return columns | {name: np.array(told, dtype=object) for name, told in lines.items()}

    @cached_property
    def _size(self) -> NDArray[np.float64]:
        """Pixels that are 1 on the screen, for left, top, right and bottom."""
        return np.array([self.task.width, self.task.height] * 2, np.float64)


def texts(observation: Mapping[str, Any], part: str = "text") -> list[str]:
    """The text of each element of one row's observation, in their order; part: "text" or "value"."""
    return observation[part].split("\n")[: min(int(observation["count"]), len(observation["kind"]))]


def decoded(png: str) -> NDArray[np.uint8]:
    """A base64 PNG as pixels (height, width, 3)."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"))


@dataclass(frozen=True, eq=False)
class _Moment:
    """The state of a row: a step of an episode, which may have moved on since, and what was seen there."""

    life: Life
    step: int
    seen: Seen
    began: float  # on the page's clock
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    problem: str = ""  # what of the last action was not done, and why
    reason: str = ""  # why it was truncated

    def going_on(self) -> Life:
        """The episode, to be stepped from here."""
        if len(self.life.done) == self.step:
            return self.life
        again = Life(self.life.seed)
        again.done = self.life.done[: self.step]
        return again

    def standing(self) -> "_Moment":
        """The same, a step later, when it has ended."""
        return _Moment(
            self.life, self.step, self.seen, self.began, 0.0, self.terminated, self.truncated, "", self.reason
        )

    def after(self, life: Life, result: Any, problem: str, finished: bool) -> "_Moment":
        """The next moment, by what a page gave."""
        if isinstance(result, BrowserError):
            return _Moment(life, self.step, self.seen, self.began, truncated=True, reason=str(result))
        said, seen = result
        reward, over = seen.reward - self.seen.reward, seen.done or finished
        return _Moment(life, self.step + 1, seen, self.began, reward, over, problem=problem or said)

    def __repr__(self) -> str:
        """By which it is known: an episode is all that was done in it."""
        return f"_Moment({self.life.seed}, {self.life.done[: self.step]})"

    def __deepcopy__(self, memo: Any) -> "_Moment":
        return self  # it never changes
