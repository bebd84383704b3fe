"""The rules of ``gui_metrics`` on arrays: the same verdicts, many steps at a time.

What depends on words goes to the rules themselves, once for each pair of texts.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ..gui import DIRECTIONS, TYPES, GuiAction
from ..gui_metrics import METRICS, MIND2WEB_RULES, RecordedStep
from .recording import Array, Recording

_ID: dict[str, int] = {name: i for i, name in enumerate(TYPES)}
_WAYS = np.array([*DIRECTIONS], object)


def _of(*names: str) -> Array:
    """(16,) bool, which types these are."""
    return np.isin(np.arange(len(TYPES)), [_ID[name] for name in names])


_POINTS, _POINTED = _of("tap", "long_press"), _of("tap", "long_press", "hover", "double_tap")
_TYPED, _SAID, _PRESSES = _of("type", "open"), _of("open", "type", "scroll", "select"), _of("back", "home", "press")
_PLACED, _OPTIONAL = _of("tap", "double_tap", "long_press", "hover", "drag", "type", "select"), _of("type", "select")


@lru_cache(1 << 16)
def _text_right(metric: str, truth: str, done: str) -> bool:
    """Whether a text stands for another by a rule."""
    step = RecordedStep(GuiAction("type", text=truth))
    return METRICS[metric](step, GuiAction("type", text=done)).step == 1


@lru_cache(1 << 16)
def _words_f1(truth: tuple[int, str] | None, done: tuple[int, str]) -> float:
    """Mind2Web's F1 of operations, (type, text) each; truth None: not known."""
    reference = None if truth is None else _bare(*truth)
    return METRICS["mind2web/op_f1"](RecordedStep(reference), _bare(*done)).step


def _bare(kind: int, text: str) -> GuiAction:
    """An action of a type with a text, whatever else it needs."""
    name = TYPES[kind]
    needed: dict[str, Any] = {"point": (0.0, 0.0)} if _POINTED[kind] or name == "drag" else {}
    needed |= {"point2": (1.0, 1.0)} if name == "drag" else {"key": "Enter"} if name == "press" else {}
    needed |= {"status": "success"} if name == "done" else {}
    return GuiAction(name, **needed, text=text)


class Compared:
    """Actions beside the references of recorded steps; what several rules ask of both, (n, …) each.

    steps: (n,) int64 places among all steps of the recording. done: columns of ``GuiActions``, in which parameters that
    a type has no use for are at their defaults and elements' places are in ``point``.
    """

    def __init__(self, recording: Recording, steps: Array, done: dict[str, Array]) -> None:
        arrays = self.arrays = recording.arrays
        self.recording, self.steps, self.done = recording, steps, done
        self.truth = {name: column[steps] for name, column in arrays.reference.items()}
        self.known, self.has_truth = arrays.known[steps], arrays.has_point[steps]
        self.kind, self.did = self.truth["type"], done["type"]

    @cached_property
    def alike(self) -> Array:
        """The type is the same: Enter is not Tab, complete is not impossible."""
        truth, done = self.truth, self.done
        same = (truth["key"] == done["key"]) & (truth["status"] == done["status"])
        return (self.kind == self.did) & same

    @cached_property
    def here(self) -> Array:
        """(n, 2) the reference's point."""
        return self.truth["point"].astype(np.float64)

    @cached_property
    def there(self) -> Array:
        """(n, 2) the point acted on."""
        return self.done["point"].astype(np.float64)

    @cached_property
    def has_point(self) -> Array:
        """The action has a point; where it may do without, (0, 0) is none."""
        optional = _OPTIONAL[self.did] | (self.done["element"] > 0)
        scrolled = (self.did == _ID["scroll"]) & ((self.there != 0).any(1) | (self.done["point2"] != 0).any(1))
        return (_PLACED[self.did] & (~optional | (self.there != 0).any(1))) | scrolled

    @cached_property
    def both(self) -> Array:
        """Reference and action have a point."""
        return self.has_truth & self.has_point

    @cached_property
    def apart(self) -> Array:
        """The distance of the points; infinite where one is missing."""
        return np.where(self.both, _length(self.here - self.there), np.inf)

    @cached_property
    def boxes(self) -> tuple[Array, Array]:
        """(n, B, 4) the boxes that count, and (n, B) whether there is one."""
        return _boxes(self.arrays.box, self.arrays.boxes, self.steps)

    @cached_property
    def hit(self) -> Array:
        """(n, B) the boxes that hold the action's point."""
        return self.has_point[:, None] & _inside(self.there, *self.boxes)

    @cached_property
    def in_smallest(self) -> tuple[Array, Array]:
        """A box holds the reference's point; the smallest such holds the action's."""
        holding = self.has_truth[:, None] & _inside(self.here, *self.boxes)
        return _any(holding), self.hit_smallest(holding)

    def hit_smallest(self, holding: Array) -> Array:
        """(n,) whether the action is in the smallest of some boxes, (n, B) bool."""
        boxes = self.boxes[0]
        area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
        smallest = np.where(holding, area, np.inf).argmin(1)
        return holding.any(1) & self.hit[np.arange(len(smallest)), smallest]

    @cached_property
    def same_way(self) -> Array:
        """Scrolls go the same way."""
        return self.truth["direction"] == self.done["direction"]

    @cached_property
    def near(self) -> Array:
        """Points within 4 % of the screen."""
        return self.apart <= 0.04

    @cached_property
    def words(self) -> Array:
        """Mind2Web's F1 of the words of "OP value"."""
        truth = zip(self.kind.tolist(), self.truth["text"].tolist(), strict=True)
        done = zip(self.did.tolist(), self.done["text"].tolist(), strict=True)
        pairs = zip(self.known.tolist(), truth, done, strict=True)
        return np.array([_words_f1(right if known else None, did) for known, right, did in pairs])

    def by_text(self, metric: str, asked: Array, said: tuple[Array, Array] | None = None) -> Array:
        """Where asked, whether the texts are right by a rule; elsewhere False."""
        truth, done = said or (self.truth["text"], self.done["text"])
        right = np.zeros(len(asked), bool)
        for i in asked.nonzero()[0].tolist():
            right[i] = _text_right(metric, truth[i], done[i])
        return right

    def by_label(self, metric: str) -> Array:
        """Taps in the place of open and back, on what is labelled: the rule itself, on each such step."""
        right = np.zeros(len(self.kind), bool)
        for i in (~self.alike & (self.did == _ID["tap"]) & _of("open", "back")[self.kind]).nonzero()[0].tolist():
            step = self.recording.steps[self.steps[i]]
            if step.texts:
                x, y = self.there[i].tolist()
                right[i] = METRICS[metric](step, GuiAction("tap", (x, y))).step == 1
        return right


def _length(vector: Array) -> Array:
    return np.sqrt((vector * vector).sum(1))


def _any(which: Array) -> Array:
    """(n,) whether any of a row, (n, B), is True."""
    return np.logical_or.reduce(which, axis=1)


def _boxes(box: Array, count: Array, steps: Array) -> tuple[Array, Array]:
    some = box[steps].astype(np.float64)
    return some, np.arange(some.shape[1]) < count[steps, None]


def _inside(point: Array, boxes: Array, there: Array) -> Array:
    """(n, B) whether a point (n, 2) lies in each of the boxes."""
    x, y = point[:, :1], point[:, 1:]
    across = (boxes[..., 0] <= x) & (x <= boxes[..., 2])
    return across & (boxes[..., 1] <= y) & (y <= boxes[..., 3]) & there


def _aitw(c: Compared) -> Array:
    arrays, steps = c.arrays, c.steps
    every, on = _boxes(arrays.element, arrays.elements, steps)
    some, of_these = c.boxes
    every, on = (
        np.concatenate((every, some), 1),
        np.concatenate((on, of_these & (arrays.elements[steps, None] == 0)), 1),
    )
    size = every[..., 2:] - every[..., :2]
    corner = np.maximum(0.0, every[..., :2] - 0.7 * size)
    grown = np.concatenate((corner, corner + np.minimum(1.0, 2.4 * size)), 2)
    tapped = (c.apart <= 0.14) | (c.both & (_inside(c.here, grown, on) & _inside(c.there, grown, on)).any(1))
    along = (c.truth["direction"] > 2) == (c.done["direction"] > 2)  # left, right
    right = np.where(c.kind == _ID["tap"], tapped, np.where(c.kind == _ID["scroll"], along, True))
    return c.alike & right


def _os_atlas(c: Compared) -> Array:
    close = c.both & (_length(np.round(1000 * c.here) - np.round(1000 * c.there)) <= 140)
    return _by_type(c, "match/os_atlas", close, _TYPED)


def _hicon(c: Compared) -> Array:
    close = c.both & (_length(np.trunc(1000 * c.here) - np.trunc(1000 * c.there)) <= 140)
    return _by_type(c, "match/hicon", close, _TYPED)


def _odyssey(c: Compared) -> Array:
    least = c.hit_smallest(c.boxes[1])
    return _by_type(c, "match/odyssey", (c.apart <= 0.14) | least, _of("type"))


def _by_type(c: Compared, metric: str, placed: Array, texts: Array) -> Array:
    """Points of taps and long presses, texts of some types, the way of the others."""
    typed = texts[c.kind]
    said = c.by_text(metric, c.alike & typed)
    return c.alike & np.where(_POINTS[c.kind], placed, np.where(typed, said, c.same_way))


def _gui_r1(c: Compared) -> Array:
    said = tuple(
        np.where(part["type"] == _ID["scroll"], _WAYS[part["direction"]], part["text"]) for part in (c.truth, c.done)
    )
    right = np.where(_POINTED[c.kind], c.apart < 0.14, c.by_text("match/gui_r1", _SAID[c.kind], said))  # type: ignore[arg-type]
    return np.where(_POINTED[c.kind] | _SAID[c.kind], right, np.nan)


def _hit_ui_s1(c: Compared, middle: Array, has_middle: Array) -> Array:
    boxes, there = c.boxes
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    grown = ((abs(c.there[:, None] - centre) <= 0.6 * size).all(2) & there).any(1)
    return c.has_point & (grown | (has_middle & (_length(c.there - middle) <= 0.04)))


def _ui_s1(c: Compared) -> Array:
    same = c.kind == c.did
    first, boxed = c.boxes[0][:, 0], _any(c.boxes[1])
    icon = boxed & _hit_ui_s1(c, (first[:, :2] + first[:, 2:]) / 2, boxed)
    kind, open_by_tap = c.kind, (c.kind == _ID["open"]) & (c.did == _ID["tap"])
    cases = [
        (_of("wait", "scroll")[kind], same),
        (_PRESSES[kind], c.alike),
        (open_by_tap, icon),
        (_TYPED[kind], c.by_text("match/ui_s1", same & _TYPED[kind])),
        (_POINTS[kind], same & _hit_ui_s1(c, c.here, c.has_truth)),
    ]
    return np.select([case for case, _ in cases], [right.astype(np.float64) for _, right in cases], np.nan)


def _uground(c: Compared) -> Array:
    said = (c.truth["text"] == c.done["text"]).astype(bool) & c.same_way
    return (c.alike & np.where(_POINTS[c.kind], c.in_smallest[1], said)) | c.by_label("match/uground")


def _strict(c: Compared) -> Array:
    boxed, least = c.in_smallest
    element = c.truth["element"]
    placed = c.has_truth & (c.kind != _ID["scroll"])
    right = np.where(placed, np.where(boxed, least, c.near), (element == 0) | (element == c.done["element"]))
    end = c.truth["point2"].astype(np.float64) - c.done["point2"].astype(np.float64)
    right &= (c.kind != _ID["drag"]) | (_length(end) <= 0.04)
    right &= c.alike & c.same_way
    same = (c.truth["text"] == c.done["text"]).astype(bool)
    right &= same | c.by_text("match/strict", right & ~same)
    icon = (c.kind == _ID["open"]) & (c.did == _ID["tap"]) & c.hit.any(1)
    return right | icon | c.by_label("match/strict")


def _element(c: Compared) -> Array:
    return _any(c.hit)


def _op_f1(c: Compared) -> Array:
    return c.words


def _web_step(c: Compared) -> Array:
    return _element(c) & (c.words == 1)


_RULES: dict[str, Callable[[Compared], Array]] = {
    "match/aitw": _aitw,
    "match/os_atlas": _os_atlas,
    "match/gui_r1": _gui_r1,
    "match/hicon": _hicon,
    "match/odyssey": _odyssey,
    "match/ui_s1": _ui_s1,
    "match/uground": _uground,
    "match/strict": _strict,
    "mind2web/element": _element,
    "mind2web/op_f1": _op_f1,
    "mind2web/step": _web_step,
}
NAMES = tuple(_RULES)


def verdict(metric: str, compared: Compared) -> Array:
    """(n,) float32, how right each action is by a metric, 0 to 1; NaN for a step that it does not count.

    "match/…" count no step without a reference.
    """
    found = _RULES[metric](compared).astype(np.float32)
    return found if metric in MIND2WEB_RULES else np.where(compared.known, found, np.float32(np.nan))
