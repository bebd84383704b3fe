"""Talking: people of a population world who also say something to their contacts, and note something for themselves."""

import json
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from ..arguments import check_has, check_is, checked_int
from ..draws import Draws, derived_ids
from ..history import Column
from ..networks import Contacts, Network, check_rows
from ..rollout import check_role
from ..sites import Sites
from ..world import Transition, World, people_of

CHARACTERS = "".join(chr(c) for c in range(32, 127))  # of a message; what is no letter here stands as JSON escapes

ESCAPED = 2  # characters that one of them has in JSON at most


@dataclass(frozen=True, eq=False)
class Talking:
    """A world of people in which each may send a short message a step, which some of their contacts hear in the next.

    world: whose rows are people, and whose observations are a Dict, such as ``Epidemic``. contacts: who reaches whom, a
    network of stored contacts (``Contacts``, or a ``Timetable`` of them). hears: messages that a person takes in at
    most, of whom more have sent some those of contacts by lot. length: most characters of a message, and of a note.

    Observation: the world's columns, and "heard" text, a list of messages in JSON, in the order of who sent them;
    "notes" text, what the person noted for themselves in the last step: a memory that is nobody else's. Both are empty
    at the start, "[]" and "".
    Action: a Dict of "act", the world's action, "message" text, empty for none, and "notes" text; of printable ASCII.
    Reward, ends: the world's. Sites: the world's, and "message" and "heard", (n,) text; an intervention on "message"
    can silence, or put words into mouths.
    """

    world: World
    contacts: Network
    hears: int = 3
    length: int = 80

    def __post_init__(self) -> None:
        check_role("world", self.world)
        check_has("contacts", self.contacts, "Contacts, or another network", "at", "num_people")
        checked_int("hears", self.hears, 1)
        checked_int("length", self.length, 1)
        check_is("the world's observation space", self.world.observation_space, spaces.Dict, "a Dict of columns")
        if taken := {"heard", "notes"} & set(self.world.observation_space.spaces):  # type: ignore[attr-defined]
            raise ValueError(f"the world shows {sorted(taken)} already: expected other names for what people see")
        there = people_of(self.world)
        if there is not None and there != self.num_people:
            raise ValueError(f"contacts are of {self.num_people} people: expected {there}, as many as the world has")

    @property
    def num_people(self) -> int:
        """The number of people."""
        return self.contacts.num_people

    @property
    def observation_space(self) -> spaces.Dict:
        """The world's columns, what is heard, and one's own notes."""
        longest = 2 + self.hears * (ESCAPED * self.length + 4)
        more = {"heard": _text(longest), "notes": _text(self.length)}
        return spaces.Dict({**self.world.observation_space.spaces, **more})  # type: ignore[attr-defined]

    @property
    def action_space(self) -> spaces.Dict:
        """The world's action, a message and notes."""
        parts: dict[str, gymnasium.Space[Any]] = {"act": self.world.action_space}
        return spaces.Dict({**parts, "message": _text(self.length), "notes": _text(self.length)})

    def reset(self, draws: Draws, site: Sites) -> tuple[Any, Column]:
        """The world's first state; nobody has said anything."""
        check_rows(self.contacts, draws)
        state, columns = self.world.reset(draws, site)
        seen: Any = columns
        return state, {**seen, "heard": _column(["[]"] * self.num_people), "notes": _column([""] * self.num_people)}

    def step(self, state: Any, action: Any, draws: Draws, site: Sites) -> Transition:
        """One step of the world, and of the talk."""
        message = site("message", self._checked("message", action["message"]))  # (n,) text
        notes = self._checked("notes", action["notes"])  # (n,) text
        new = self.world.step(state, action["act"], draws, site)
        seen: Any = new.observation
        heard = site("heard", self._heard(self._checked("message", message), draws))  # (n,) text
        return new._replace(observation={**seen, "heard": heard, "notes": notes})

    def _checked(self, name: str, texts: Any) -> Any:
        """The texts (n,), or ValueError for others than messages."""
        texts = np.asarray(texts, dtype=object)
        if texts.shape != (self.num_people,):
            raise ValueError(f"{name} has shape {texts.shape}: expected ({self.num_people},), a text for each person")
        for row, text in enumerate(texts.tolist()):
            if not isinstance(text, str) or len(text) > self.length or not set(text) <= _ALLOWED:
                what = f"of {len(text)} characters" if isinstance(text, str) else f"a {type(text).__name__}"
                raise ValueError(
                    f"{name} of row {row} is {what}: expected text of {self.length} at most, in printable ASCII"
                )
        return texts

    def _heard(self, message: Any, draws: Draws) -> Any:
        """(n,) text: for each person up to ``hears`` messages of contacts who said something, drawn by who and whom."""
        contacts: Any = self.contacts.at(draws)
        check_is("contacts of a step", contacts, Contacts, "stored Contacts, for who heard whom must be known")
        said = torch.from_numpy(message.astype(bool))  # (n,) empty is none
        speaks = said.to(contacts.source.device)[contacts.source]
        source, listener = contacts.source[speaks].cpu(), contacts.target.long()[speaks].cpu()
        pair = derived_ids(
            draws.ids.cpu()[listener], draws.ids.cpu()[source]
        )  # luck of one who hears, with one who says
        luck = Draws(draws.seed, pair, draws.step, draws.scope).uniform("hears").numpy()
        order = np.lexsort((source.numpy(), luck, listener.numpy()))
        source, listener = source.numpy()[order], listener.numpy()[order]
        first = np.searchsorted(listener, listener)  # where the listener's own begin
        kept = np.arange(len(listener)) - first < self.hears
        source, listener = source[kept], listener[kept]
        order = np.lexsort((source, listener))
        found: list[list[str]] = [[] for _ in range(self.num_people)]
        for i, j in zip(listener[order].tolist(), message[source[order]].tolist(), strict=True):
            found[i].append(j)
        return _column([json.dumps(each) for each in found])


_ALLOWED = frozenset(CHARACTERS)


def _text(longest: int) -> spaces.Text:
    return spaces.Text(longest, min_length=0, charset=CHARACTERS)


def _column(texts: list[str]) -> Any:
    column = np.empty(len(texts), dtype=object)
    column[:] = texts
    return column
