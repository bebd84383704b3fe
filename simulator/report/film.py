"""A history as a film, in JSON's terms: the screens that were seen, what was done on them, and what was recorded.

Everything is known by its fields: an observation with "box" or "pixels" is a screen, a list of items is a screen with
one element a position. What is neither becomes a panel a step, with the shares of what all rows saw and did.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..arguments import check_is
from ..history import History, map_column
from ..memory import steps_remembered

Json = dict[str, Any]
Names = Mapping[str, Sequence[str]]

PLACED = ("tap", "double_tap", "long_press", "hover", "drag", "scroll", "type", "select")  # done at a place, by name
WRITTEN = ("type", "select", "open", "done")  # with text
OPPOSITE = {"up": "down", "down": "up", "left": "right", "right": "left"}  # of where the view goes: the finger's way
TEXTS = ("text", "label", "goal")  # fields of words, where id 0 is none
MOST_NUMBERS = 32  # of a recorded array that are shown
PHONE, LIST_WIDTH, ROW = 2 / 3, 160, 26  # width to height of a screen without pixels; pixels of lists and their rows


def words(names: Names, field: str, value: Any) -> str:
    """Text as it is, ids in the words that ``names`` has for the field, and other numbers as numbers."""
    value = np.asarray(value)
    if value.dtype.kind in "OUS":
        return " ".join(str(part) for part in value.ravel() if str(part))
    if field not in names and field in TEXTS:  # ids of words that nobody has told
        return " ".join(f"#{word}" for word in value.ravel().tolist() if word)
    if field in names and value.dtype.kind in "iub":
        known = names[field]
        found = [known[i] if 0 <= i < len(known) else f"{i}?" for i in value.ravel().astype(int).tolist()]
        return " ".join(word for word in found if word)
    return " ".join(f"{number:.6g}" for number in value.ravel().tolist())


def plain(names: Names, field: str, value: Any) -> Any:
    """A recorded value as JSON holds it; words where there are some, the shape of what is too large."""
    if isinstance(value, Mapping):
        return {name: plain(names, name, part) for name, part in value.items()}
    value = np.asarray(value)
    if value.size > MOST_NUMBERS:
        return f"{value.dtype} {value.shape}"
    if field in names or value.dtype.kind in "OUS":
        return words(names, field, value)
    return numbers(value.tolist())


def numbers(value: Any) -> Any:
    """Numbers in lists with six digits; NaN and infinities in words, which JSON lacks."""
    if isinstance(value, list):
        return [numbers(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else str(value)
    return value


def told(names: Names, action: Any, boxes: Any, texts: Sequence[str]) -> Json:
    """An action on a screen: its type, where, with what text, and all of it in words.

    boxes: (E, 4) of the screen, texts: E; what "element", from 1, counts.
    """
    if not isinstance(action, Mapping) or "type" not in action:
        return {"words": str(plain(names, "action", action))}
    kind = words(names, "type", action["type"])
    done: Json = {"type": kind if "type" in names else f"type {kind}"}
    placed = kind in PLACED or "type" not in names
    element = int(action.get("element", 0)) if placed else 0
    point = np.asarray(action["point"]).tolist() if placed and "point" in action and not element else None
    if point is not None and not any(point) and kind in ("type", "select", "scroll"):
        point = None  # where a type may do without, (0, 0) stands for none
    if 0 < element <= len(boxes):
        done["box"] = _rounded(boxes[element - 1])
        left, top, right, bottom = done["box"]
        point = [right - min(0.06, (right - left) / 4), (top + bottom) / 2]  # a sign beside the text
    elif point is not None and (inside := _smallest(boxes, point)) is not None:
        element, done["box"] = inside + 1, _rounded(boxes[inside])
    if "box" in action and np.any(action["box"]):  # where all is right; zeros for nowhere
        done["box"] = _rounded(action["box"])
    if point is not None:
        done["at"] = _rounded(point)
    last = np.asarray(action.get("point2", [0, 0])).tolist()
    if kind in ("drag", "scroll") and any(last) and last != point:
        done["to"] = _rounded(last)
    direction = words(names, "direction", action["direction"]) if "direction" in action else ""
    if kind == "scroll" and direction in OPPOSITE:
        done["finger"] = OPPOSITE[direction]
    text = words(names, "text", action["text"]) if "text" in action and (kind in WRITTEN or "type" not in names) else ""
    if text:
        done["text"] = text
    text_there = texts[element - 1] if 0 < element <= len(texts) else ""
    on = f"on '{text_there}'" if text_there else f"on element {element}" if element else ""
    at = f"at ({point[0]:.2f}, {point[1]:.2f})" if point is not None and not on else ""
    more = [
        words(names, name, action[name])
        for name, needs in (("key", "press"), ("status", "done"))
        if kind == needs and name in action
    ]
    way = direction if kind == "scroll" and direction != "none" else ""
    said = [done["type"], f"'{text}'" if text else "", way, *more, on, at]
    return {"words": " ".join(filter(None, said)), **done}


def _smallest(boxes: Any, point: Sequence[float]) -> int | None:
    """The smallest box that a point lies in."""
    boxes, (x, y) = np.asarray(boxes).reshape(-1, 4), point
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    inside = (boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3]) & (area > 0)
    return int(np.where(inside, area, np.inf).argmin()) if inside.any() else None


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]


def texts_of(names: Names, seen: Any, count: int, among: Sequence[str] = ("text", "label")) -> list[str]:
    """The texts of so many elements, from the first field there is: words of each, or one text with a line for each."""
    field = next((name for name in among if name in seen), "") if isinstance(seen, Mapping) else ""
    if not field:
        return [""] * count
    if isinstance(seen[field], str) or np.asarray(seen[field]).ndim == 0:
        lines = str(seen[field]).split("\n")
        return [*lines[:count], *[""] * (count - len(lines))]
    return [words(names, field, text) for text in seen[field]]


class Screens:
    """The different screens of a history, each once."""

    def __init__(self, names: Names) -> None:
        self.names, self.screens = names, list[Json]()
        self.texts: list[list[str]] = []  # of each screen's elements, empty places among them
        self._places: dict[Any, int] = {}

    def place(self, seen: Any) -> int:
        """The number of a screen among those that are kept."""
        parts = seen if isinstance(seen, Mapping) else {"pixels": seen}
        fields = ("box", "kind", "text", "label", "value", "pixels", "screen")
        shown = {name: np.asarray(parts[name]) for name in fields if name in parts}
        key = tuple(tuple(part.ravel()) if part.dtype.kind == "O" else part.tobytes() for part in shown.values())
        if key not in self._places:
            self._places[key] = len(self.screens)
            self.screens.append(self._screen(shown, len(self.screens)))
        return self._places[key]

    def _screen(self, shown: dict[str, Any], number: int) -> Json:
        screen: Json = {"elements": [], "ratio": PHONE, "name": str(number)}
        if "screen" in shown and shown["screen"].size == 2:  # its width and height
            screen["ratio"] = round(float(shown["screen"][0] / shown["screen"][1]), 4)
        elif "screen" in shown:
            screen["name"] = words(self.names, "screen", shown["screen"])
        if "pixels" in shown:
            height, width = shown["pixels"].shape[:2]
            screen |= {"ratio": round(width / height, 4), "pixels": _png(shown["pixels"])}
        boxes = shown.get("box", np.zeros((0, 4))).reshape(-1, 4)
        self.texts.append(texts := texts_of(self.names, shown, len(boxes)))
        values = texts_of(self.names, shown, len(boxes), ["value"])  # what stands in inputs
        for k, box in enumerate(boxes):
            if box[2] > box[0] and box[3] > box[1]:  # places without an element are all zeros
                kind = words(self.names, "kind", shown["kind"][k]) if "kind" in shown else ""
                screen["elements"].append([*_rounded(box), kind, " ".join(filter(None, [texts[k], values[k]]))])
        return screen

    def shelf(self, items: Any) -> int:
        """A list of items as a screen; -1 where a position is empty."""
        key = ("list", *items)
        if key not in self._places:
            self._places[key] = len(self.screens)
            shown = [
                [*_position(k, len(items)), "item", _item(self.names, item)]
                for k, item in enumerate(items)
                if item >= 0
            ]
            ratio = LIST_WIDTH / (ROW * len(items))
            self.texts.append([])
            self.screens.append({"elements": shown, "ratio": round(ratio, 4), "name": "", "is": "list"})
        return self._places[key]


def _position(k: int, count: int) -> list[float]:
    """The box of a position of a list."""
    return _rounded([0.02, (k + 0.08) / count, 0.98, (k + 0.92) / count])


def _item(names: Names, item: int) -> str:
    return words(names, "item", item) if "item" in names else f"item {item}"


def _png(pixels: Any) -> str:
    from matplotlib.image import imsave

    file = io.BytesIO()
    imsave(file, np.ascontiguousarray(pixels), format="png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def is_screen(observation: Any) -> bool:
    """Whether a column shows screens: elements with boxes, or pixels (n, T + 1, height, width, 3)."""
    if isinstance(observation, Mapping):
        return "box" in observation or "pixels" in observation
    return observation is not None and observation.ndim == 5 and observation.shape[-1] == 3


def _are_lists(action: Any) -> bool:
    """Whether actions are lists: (n, T, m) int64 items, -1 for none, no item twice in a list."""
    if isinstance(action, Mapping) or action.ndim != 3 or action.dtype != np.int64 or not action.size:
        return False
    items = np.sort(action, axis=2)
    return bool((action >= -1).all() and ((items[..., 1:] != items[..., :-1]) | (items[..., 1:] < 0)).all())


def film(history: History, names: Names, policy: Any = None) -> Json:
    """Every row as an episode, with the screens it met; of a history without screens or lists, see ``shares``.

    names: what ids mean, by field. policy: who acted; the steps that one with a ``memory`` saw are marked.
    """
    check_is("names", names, Mapping, "a dict, field -> words")
    columns = numpy_columns(history)
    memory = steps_remembered(policy) if hasattr(policy, "memory") else None
    book = Screens(names)
    if not {"action", "reward"} <= columns.keys():  # reduced as they were recorded
        return {}
    if is_screen(columns.get("observation")):
        step: Callable[..., Json] = _screen_step
    elif _are_lists(columns["action"]):
        step = _list_step
    else:
        return {}
    told_apart = {"observation", "action", "reward", "terminated", "truncated", "reference", "history_ids"}
    verdicts = [name for name in history.sites if is_verdict(name, columns[name])]
    sites = [name for name in history.sites if name not in told_apart and name not in verdicts]
    episodes = []
    for i, (row, length) in enumerate(zip(history.ids.tolist(), history.length.tolist(), strict=True)):
        steps = []
        for t in range(length):
            at = {name: map_column(lambda a, i=i, t=t: a[i, t], column) for name, column in columns.items()}
            one = step(book, at, columns, i, t)
            one["reward"] = numbers(float(at["reward"]))
            one["sites"] = {name: plain(names, name, at[name]) for name in sites}
            one["verdicts"] = {name: _verdict(at[name]) for name in verdicts}
            if "history_ids" in at or memory is not None:
                first = max(0, t - memory) if memory is not None else 0
                one["saw"] = _spans(at["history_ids"]) if "history_ids" in at else [[first, t - 1]] * (t > first)
            steps.append(one)
        episode: Json = {"row": row, "steps": steps, "return": numbers(float(columns["reward"][i, :length].sum()))}
        if step is _screen_step:
            episode |= {"last": book.place(map_column(lambda a, i=i, t=length: a[i, t], columns["observation"]))}
            if isinstance(columns["observation"], dict) and "goal" in columns["observation"]:
                episode["goal"] = words(names, "goal", columns["observation"]["goal"][i, 0])
        episode["end"] = _end(columns, i, length)
        episodes.append(episode)
    return {"episodes": episodes, "screens": book.screens}


def _screen_step(book: Screens, at: Json, columns: Json, i: int, t: int) -> Json:
    """A step on a screen: the screen, and the action and its reference in words and places."""
    seen = at["observation"]
    boxes = np.asarray(seen["box"]).reshape(-1, 4) if isinstance(seen, Mapping) and "box" in seen else np.zeros((0, 4))
    place = book.place(seen)
    texts = book.texts[place]
    step = {"screen": place, **told(book.names, at["action"], boxes, texts)}
    if "reference" in at:
        step["reference"] = told(book.names, at["reference"], boxes, texts)
    if isinstance(seen, Mapping) and isinstance(past := seen.get("past"), Mapping) and "whose" in past:
        known = np.flatnonzero(past["whose"])  # the newest last
        step["saw"] = _spans(t - len(past["whose"]) + known)
        step["past"] = [_remembered(book.names, past, k) for k in known.tolist()]
    return step


def _remembered(names: Names, past: Mapping[str, Any], k: int) -> str:
    """One of the actions that a policy is told of, in words, and whose it was."""
    action = {name: part[str(k)] if isinstance(part, Mapping) else part[k] for name, part in past.items()}
    whose = words(names, "whose", action.pop("whose")) if "whose" in names else ""
    return told(names, action, [], [])["words"] + (f" ({whose})" if whose else "")


def _list_step(book: Screens, at: Json, columns: Json, i: int, t: int) -> Json:
    """A list shown: its items, and those clicked as taps on them."""
    items = at["action"].tolist()
    clicks = [int(at["click"])] if "click" in at else []
    clicks = np.flatnonzero(at["clicks"]).tolist() if "clicks" in at else clicks
    clicks = [k for k in clicks if k < len(items) and items[k] >= 0]
    said = ", ".join(f"click on {_item(book.names, items[k])}" for k in clicks)
    known = "click" in at or "clicks" in at
    step: Json = {"screen": book.shelf(items), "words": said or ("no click" if known else f"list {t + 1}")}
    if clicks:
        k, m = clicks[-1], len(items)
        step |= {"type": "click", "box": _position(k, m), "at": _rounded([0.88, (k + 0.5) / m])}
    if not isinstance(columns.get("observation"), dict) and "observation" in columns:
        step["state"] = plain(book.names, "state", columns["observation"][i, t])
    return step


def is_verdict(name: str, column: Any) -> bool:
    """Whether a site, as NumPy has it, is a metric's verdict: a "/" in its name, and (n, T) numbers of at most 1."""
    numeric = "/" in name and not isinstance(column, Mapping) and column.ndim == 2 and column.dtype.kind in "biuf"
    return numeric and not bool((column > 1).any())


def _verdict(value: Any) -> Any:
    """True or False; None where a metric does not count the step (NaN, or below 0), a number in between as it is."""
    value = value.item()
    if isinstance(value, bool):
        return value
    if np.isnan(value) or value < 0:
        return None
    return bool(value) if value in (0, 1) else numbers(value)


def _spans(steps: Any) -> list[list[int]]:
    """Numbers of steps, -1 for none, as first and last of each run of them."""
    spans: list[list[int]] = []
    for step in sorted(int(step) for step in np.atleast_1d(steps) if step >= 0):
        if spans and step <= spans[-1][1] + 1:
            spans[-1][1] = step
        else:
            spans.append([step, step])
    return spans


def _end(columns: Json, i: int, length: int) -> str:
    if not length or not (columns["terminated"][i, length - 1] or columns["truncated"][i, length - 1]):
        return "not ended"
    return "terminated" if columns["terminated"][i, length - 1] else "truncated"


def numpy_columns(history: History) -> dict[str, Any]:
    """Every column of a history as NumPy has it."""
    return {name: map_column(to_array, column) for name, column in history.columns.items()}


def to_array(values: Any) -> Any:
    """Values of any kind as NumPy has them, from whatever device."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
