"""SymbolicGui: a task in a procedural app, as a batched world."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Draws, History, Sites, Transition, check_is

from . import kernels, motion
from .actions import DIRECTIONS, TYPES
from .apps import ELEMENTS, FLAGS, KINDS, WORDS, App
from .layouts import SKINS, skins
from .motion import VALUES
from .paths import begun, shortest
from .words import VOCABULARY, Words, ids_of

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, eq=False)
class SymbolicGui:
    """A task on the screens of an app: see what stands there, tap, type, go back, and say when it is done.

    Observation: a dict of "screen", the number of the screen or of the dialog over it; "box" (8, 4) float32, left, top,
    right and bottom of each element as fractions of the screen, 0 where there is none; "kind" (8,), of ``KINDS``;
    "flags" (8, 3), of ``FLAGS``; "text" (8, 2), two words an element; "goal" (4,) words. Words are ids of
    ``VOCABULARY``, 0 for none.
    Action: a dict of "type", of which tap 1, scroll 6, type 7, back 10, home 11 and done 15 do something, the other
    types of 0 to 15 nothing; "element", 1 to 8, or 0 for the one at "point" (x, y); "direction" of a scroll, where the
    view goes, up 1 or down 2; "text", the word typed, or answered with done: "infeasible" for what cannot be done.
    With ``free_text`` the action space's "text" is the word itself; steps take ids and arrays of words in any case.
    A tap or a word where there is nothing for it does nothing; ``App`` says all that actions do.
    Reward: 1 for done when the task is done, else 0. Done terminates.

    Sites: "screen" (n,) int64, where the row is after the action, dialogs left out; "values" (n, V) int64, words of
    the app's variables.
    Draws: "task" (n, groups), of the variables; "skin" (n,), of the layout.
    """

    app: App
    free_text: bool = False

    def __post_init__(self) -> None:
        check_is("app", self.app, App, "an App, as carry() makes one")
        check_is("free_text", self.free_text, bool, "True or False")

    @property
    def observation_space(self) -> spaces.Dict:
        """The screen and the goal."""
        words = len(VOCABULARY)
        return spaces.Dict(
            {
                "screen": spaces.Discrete(self.app.num_screens),
                "box": spaces.Box(0, 1, (ELEMENTS, 4), np.float32),
                "kind": spaces.MultiDiscrete([len(KINDS)] * ELEMENTS),
                "flags": spaces.MultiBinary([ELEMENTS, len(FLAGS)]),
                "text": spaces.MultiDiscrete(np.full((ELEMENTS, 2), words)),
                "goal": spaces.MultiDiscrete([words] * WORDS),
            }
        )

    @property
    def action_space(self) -> spaces.Dict:
        """Taps, typing and the like."""
        return spaces.Dict(
            {
                "type": spaces.Discrete(motion.NUM_TYPES),
                "point": spaces.Box(0, 1, (2,), np.float32),
                "element": spaces.Discrete(ELEMENTS + 1),
                "direction": spaces.Discrete(5),
                "text": Words() if self.free_text else spaces.Discrete(len(VOCABULARY)),
            }
        )

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Words of the ids in observations, actions and sites, by field; what reports show."""
        texts = dict.fromkeys(("text", "goal", "values"), VOCABULARY)
        return {"kind": KINDS, "type": TYPES, "direction": DIRECTIONS, **texts}

    def graph(self) -> "networkx.DiGraph[Any]":
        """The screens, as ``App.graph`` has them; for reports."""
        return self.app.graph()

    def shortest(self, history: History) -> list[list[int]]:
        """The screens on a shortest way to do the task of each row; for reports."""
        return [shortest(self.app, values) for values in begun(self.app, history)]

    @cached_property
    def _skins(self) -> tuple[Tensor, Tensor]:
        order, boxes = skins()
        return order.to(self.app.elements.device), boxes.to(self.app.elements.device)

    @cached_property
    def _columns(self) -> int:
        """Numbers in a state of a row."""
        return VALUES + self.app.num_variables

    @cached_property
    def _arrays(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Arrays of the app and its layouts, for the kernels ``move`` and ``show``."""
        app, (order, boxes) = self.app, self._skins
        dialogs = app.dialogs[: len(app.dialogs) * bool((app.dialogs >= 0).any())]  # none: the kernels ask for none
        for_move = (app.elements, app.scrolls, dialogs, app.wanted, order, boxes)
        for_show = (app.elements, app.scrolls, dialogs, app.goal, order, boxes)
        return (*(part.numpy() for part in for_move), app.answer), tuple(part.numpy() for part in for_show)

    def reset(self, draws: Draws, site: Sites) -> tuple[Tensor, dict[str, Any]]:
        """Every row on the first screen of an episode of its own."""
        if type(draws) is not Draws or not draws.ids.is_cpu:
            state = motion.begin(self.app, draws)
            return state, self._seen(state)
        start = np.empty((draws.ids.shape[0], self._columns), np.int64)
        kernels.begin(*draws.keyed("task"), *draws.keyed("skin"), self.app.variables.numpy(), SKINS, start)
        state = torch.from_numpy(start)
        return state, self._seen(state)

    def step(self, state: Tensor, action: dict[str, Any], draws: Draws, site: Sites) -> Transition:
        """One action of every row. Shapes: state (n, 11 + V)."""
        try:
            if not isinstance(action["text"], Tensor):
                action = {**action, "text": torch.from_numpy(ids_of(action["text"])).to(state.device)}
            if isinstance(state, Tensor) and state.is_cpu:
                after, reward, done = self._moved(state, action)
            else:
                after, reward, done = motion.move(self.app, *self._skins, state, action)
        except KeyError as error:
            raise ValueError(f"actions lack {error}: expected a dict of {list(self.action_space)}") from None
        if not site.unwatched("screen", "values"):
            screen = self._checked("screen", site("screen", after[:, motion.SCREEN].clone()), self.app.num_screens)
            values = self._checked("values", site("values", after[:, VALUES:].clone()), len(VOCABULARY))
            after = torch.cat([screen[:, None], after[:, 1:VALUES], values], 1)
        return Transition(after, self._seen(after), reward, done)

    def _moved(self, state: Tensor, action: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """``motion.move``, compiled."""
        rows, columns = state.shape[0], self._columns
        if state.dtype is not torch.int64 or state.shape != (rows, columns):
            raise ValueError(
                f"state is {state.dtype} {tuple(state.shape)}: expected int64 ({rows}, {columns}), as this world "
                "makes it"
            )
        parts = [action[name].numpy() for name in ("type", "point", "element", "direction", "text")]
        if parts[1].ndim != 2:
            raise ValueError(f"point of actions is {parts[1].shape}: expected ({rows}, 2)")
        after, reward, done = np.empty((rows, columns), np.int64), np.empty(rows, np.float32), np.empty(rows, np.bool_)
        bad = kernels.move(state.numpy(), *self._arrays[0], *parts, len(VOCABULARY), after, reward, done)
        if bad == rows:
            raise ValueError(f"actions are of {[len(part) for part in parts]} rows: expected {rows}")
        if bad >= 0:
            did = {name: action[name][bad].tolist() for name in action}
            raise ValueError(
                f"action of row {bad} is {did}, in screen {state[bad, 0]}: expected an element of {self.action_space}, "
                f"and one of {self.app.num_screens} screens"
            )
        return torch.from_numpy(after), torch.from_numpy(reward), torch.from_numpy(done)

    def _seen(self, state: Tensor) -> dict[str, Any]:
        """The observation of a state."""
        if not state.is_cpu:
            return motion.show(self.app, *self._skins, state)
        rows = state.shape[0]
        screen, box = np.empty(rows, np.int64), np.empty((rows, ELEMENTS, 4), np.float32)
        kind, flags = np.empty((rows, ELEMENTS), np.int64), np.empty((rows, ELEMENTS, len(FLAGS)), np.int8)
        text, goal = np.empty((rows, ELEMENTS, 2), np.int64), np.empty((rows, WORDS), np.int64)
        kernels.show(state.numpy(), *self._arrays[1], screen, box, kind, flags, text, goal)
        put = torch.from_numpy
        return {
            "screen": put(screen),
            "box": put(box),
            "kind": put(kind),
            "flags": put(flags),
            "text": put(text),
            "goal": put(goal),
        }

    def _checked(self, name: str, value: Tensor, count: int) -> Tensor:
        """An intervention can make a quantity anything: what is no screen or word is refused."""
        if ((value < 0) | (value >= count)).any():
            row = int(((value < 0) | (value >= count)).reshape(len(value), -1).any(1).nonzero()[0])
            raise ValueError(f"site '{name}' of row {row} is {value[row].tolist()}: expected 0 to {count - 1}")
        return value
