"""Step metrics: when is a predicted action right? Eight published answers, bugs included, and a strict one.

Each rule takes a recorded step and a prediction, and gives a ``Verdict``. Sources and commits: ``docs/gui_metrics.md``.
"""

import math
from collections.abc import Callable, Collection
from typing import NamedTuple

from ..gui import GuiAction
from .recorded import Box, RecordedStep, area, inside, smallest
from .texts import close, folded, token_f1

Point = tuple[float, float]


class Verdict(NamedTuple):
    """A rule's judgement of one prediction."""

    type: bool  # the type is right
    step: float  # the whole action is right: 1 or 0; Mind2Web's op_f1 says how right
    counted: bool = True  # the step is among those the rule counts
    grounding: bool | None = None  # the point is right, where the rule asked; None where not


Rule = Callable[[RecordedStep, GuiAction], Verdict]
_POINTS = ("tap", "long_press")
_PRESSES = ("back", "home", "press")  # Qwen's system_button


def _reference(step: RecordedStep) -> GuiAction:
    if step.reference is None:
        raise ValueError("a step without a reference has no verdict: expected one of Mind2Web's metrics for it")
    return step.reference


def _kind(action: GuiAction) -> tuple[str, str, str]:
    """The type as most formats have it: Enter is not Tab, complete is not impossible."""
    return action.type, action.key, action.status


def _apart(one: Point | None, other: Point | None) -> float:
    """Euclidean distance in fractions of the screen; infinite where a point is missing."""
    return math.dist(one, other) if one and other else math.inf


def _axis(action: GuiAction) -> int:
    """The main axis of a scroll: 0 vertical, 1 horizontal."""
    return int(action.direction in ("left", "right"))


def _grown_aitw(box: Box) -> Box:
    """A box grown by 140 % as AITW does: size is limited to the screen's, but a corner cut at 0 is not made up for."""
    width, height = box[2] - box[0], box[3] - box[1]
    left, top = max(0.0, box[0] - 0.7 * width), max(0.0, box[1] - 0.7 * height)
    return left, top, left + min(1.0, 2.4 * width), top + min(1.0, 2.4 * height)


def aitw(step: RecordedStep, predicted: GuiAction) -> Verdict:
    """Android in the Wild: taps within 14 % of the screen or in one grown box; scrolls along one axis; any text."""
    truth = _reference(step)
    alike = _kind(truth) == _kind(predicted)
    if not alike or truth.type not in ("tap", "scroll"):
        return Verdict(alike, alike)
    if truth.type == "scroll":
        return Verdict(True, _axis(truth) == _axis(predicted))
    here, there = truth.point, predicted.point
    right = _apart(here, there) <= 0.14
    if not right and here and there:
        right = any(inside(here, box) and inside(there, box) for box in map(_grown_aitw, step.elements or step.boxes))
    return Verdict(True, right, grounding=right)


def os_atlas(step: RecordedStep, predicted: GuiAction, brackets: bool = True) -> Verdict:
    """OS-Atlas: points within 140 thousandths; of texts only the first word counts, with the bracket before it.

    brackets: write texts as its files do, [so]: "[Clock" is the first word of two, and "[Clock]" that of one, so that
    these differ. Without, "Clock" is the first word of both.
    """
    truth = _reference(step)
    alike = _kind(truth) == _kind(predicted)
    if not alike:
        return Verdict(False, False)
    if truth.type in _POINTS:
        right = truth.point is not None and predicted.point is not None
        if truth.point and predicted.point:
            ends = [[round(1000 * part) for part in point] for point in (truth.point, predicted.point)]
            right = math.dist(*ends) <= 140
        return Verdict(True, right, grounding=right if truth.type == "tap" else None)
    if truth.type in ("type", "open"):
        first, other = (f"[{action.text}]" if brackets else action.text for action in (truth, predicted))
        words = [set(text.lower().split()[:1]) for text in (other, first)]
        return Verdict(True, first == other or token_f1(*words) > 0.5)
    return Verdict(True, truth.direction == predicted.direction)


def _said(action: GuiAction) -> str:
    """The text that GUI-R1 keeps as input_text."""
    return action.direction if action.type == "scroll" else action.text


def gui_r1(step: RecordedStep, predicted: GuiAction) -> Verdict:
    """GUI-R1: only steps with a point or a text count, and there the type need not be right for the step to be."""
    truth = _reference(step)
    alike = _kind(truth) == _kind(predicted)
    if truth.type in ("tap", "long_press", "hover", "double_tap"):
        right = _apart(truth.point, predicted.point) < 0.14
        return Verdict(alike, right, grounding=right)
    if truth.type in ("open", "type", "scroll", "select"):
        one, other = (set(_said(a).lower().replace("[", "").replace("]", "").split()) for a in (truth, predicted))
        right = token_f1(one, other) >= 0.5
        if len(one) == len(other) == 1:
            (first,), (last,) = one, other
            right = right or first in last or last in first
        return Verdict(alike, right)
    return Verdict(alike, False, counted=False)


def _quoted(text: str) -> str:
    """The text that HiconAgent's ``content='(.*?)'`` finds: up to an apostrophe; none where a line ends before one."""
    found = text.split("'")[0]
    return "" if "\n" in found else found


def hicon(step: RecordedStep, predicted: GuiAction) -> Verdict:
    """HiconAgent: points, cut to thousandths, within 140; texts by ``close``, cut at an apostrophe; scrolls by way."""
    truth = _reference(step)
    if _kind(truth) != _kind(predicted):
        return Verdict(False, False)
    if truth.type in _POINTS:
        ends = [[int(1000 * part) for part in point] for point in (truth.point, predicted.point) if point]
        right = len(ends) == 2 and math.dist(*ends) <= 140
        return Verdict(True, right, grounding=right)
    if truth.type in ("type", "open"):
        return Verdict(True, close(_quoted(truth.text), _quoted(predicted.text)))
    return Verdict(True, truth.direction == predicted.direction)


def odyssey(step: RecordedStep, predicted: GuiAction) -> Verdict:
    """GUI-Odyssey: in the (smallest) element's box or within 14 %; texts by ``close``; scrolls by way."""
    truth = _reference(step)
    if _kind(truth) != _kind(predicted):
        return Verdict(False, False)
    if truth.type in _POINTS:
        box = min(step.boxes, key=area, default=None)
        right = _apart(truth.point, predicted.point) <= 0.14
        right = right or bool(box and predicted.point and inside(predicted.point, box))
        return Verdict(True, right, grounding=right)
    if truth.type == "type":
        return Verdict(True, close(truth.text, predicted.text))
    return Verdict(True, truth.direction == predicted.direction)


def _hit_ui_s1(point: Point | None, boxes: tuple[Box, ...], middle: Point | None) -> bool:
    if point is None:
        return False
    for box in boxes:
        x, y, w, h = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]
        if abs(point[0] - x) <= 0.6 * w and abs(point[1] - y) <= 0.6 * h:
            return True
    return _apart(point, middle) <= 0.04


def _within(one: str, other: str) -> bool:
    one, other = one.lower().strip(), other.lower().strip()
    return one in other or other in one


def ui_s1(step: RecordedStep, predicted: GuiAction) -> Verdict:
    """UI-S1: in any box grown by 1.2 or within 4 %; texts by substring; every scroll is right; an icon's tap opens."""
    truth = _reference(step)
    alike = truth.type == predicted.type
    if truth.type in ("wait", "scroll"):
        return Verdict(alike, alike)
    if truth.type in _PRESSES:
        pressed = predicted.type in _PRESSES
        return Verdict(pressed, pressed and _kind(truth) == _kind(predicted))
    if truth.type == "open" and predicted.type == "tap":
        if not step.boxes:
            return Verdict(False, False)
        first = step.boxes[0]
        return Verdict(
            True, _hit_ui_s1(predicted.point, step.boxes, ((first[0] + first[2]) / 2, (first[1] + first[3]) / 2))
        )
    if truth.type in ("type", "open"):
        return Verdict(alike, alike and _within(truth.text, predicted.text))
    if truth.type in _POINTS:
        right = alike and _hit_ui_s1(predicted.point, step.boxes, truth.point)
        return Verdict(alike, right, grounding=right if alike else None)
    return Verdict(alike, False, counted=False)  # the original raises NotImplementedError


def _label(step: RecordedStep, predicted: GuiAction) -> str:
    """The text of the smallest element under a tap, in lower case; "" where no labels were recorded."""
    if predicted.type != "tap" or predicted.point is None or not step.texts:
        return ""
    at = smallest(step.boxes, predicted.point)
    return "" if at is None else step.texts[at].lower()


def uground(step: RecordedStep, predicted: GuiAction) -> Verdict:
    """UGround: in the smallest box that holds the reference point, nowhere without one; texts to the letter.

    A tap for open or back is right where the label of what it hits holds the app's name, or "back".
    """
    truth = _reference(step)
    alike = _kind(truth) == _kind(predicted)
    if alike and truth.type in _POINTS:
        at = smallest(step.boxes, truth.point) if truth.point else None
        right = at is not None and predicted.point is not None and inside(predicted.point, step.boxes[at])
        return Verdict(True, right, grounding=right)
    if alike:
        return Verdict(True, truth.text == predicted.text and truth.direction == predicted.direction)
    label = _label(step, predicted)
    name = {"open": truth.text.lower(), "back": "back"}.get(truth.type)
    return Verdict(False, bool(label) and name is not None and name in label)


EQUIVALENCES = ("icon opens", "back button", "submit")


def strict(step: RecordedStep, predicted: GuiAction, equivalences: Collection[str] = EQUIVALENCES) -> Verdict:
    """Ours: in the smallest box with the reference point (within 4 % where there is none), texts alike, scrolls by way.

    Texts are compared after NFKC, without regard to case and numbers of blanks. equivalences, all by default:
    "icon opens", a tap in the recorded icon's box for open; "back button", a tap on what is labelled back, for back;
    "submit", text typed with or without Enter at its end.
    """
    truth = _reference(step)
    alike = _kind(truth) == _kind(predicted)
    if not alike:
        tapped = predicted.point if predicted.type == "tap" else None
        icon = truth.type == "open" and "icon opens" in equivalences
        icon = icon and tapped is not None and any(inside(tapped, box) for box in step.boxes)
        button = truth.type == "back" and "back button" in equivalences and "back" in _label(step, predicted).split()
        return Verdict(icon or button, icon or button)
    right, grounding = True, None
    if truth.point is not None and truth.type != "scroll":
        at = smallest(step.boxes, truth.point)
        if at is None:
            grounding = _apart(truth.point, predicted.point) <= 0.04
        else:
            grounding = predicted.point is not None and inside(predicted.point, step.boxes[at])
        right = grounding
    elif truth.element:
        grounding = right = truth.element == predicted.element
    if truth.type == "drag":
        right = right and _apart(truth.point2, predicted.point2) <= 0.04
    if truth.type == "type" and "submit" not in equivalences:
        right = right and truth.submit == predicted.submit
    right = right and folded(truth.text) == folded(predicted.text) and truth.direction == predicted.direction
    return Verdict(True, right, grounding=grounding)


RULES: dict[str, Rule] = {
    "match/aitw": aitw,
    "match/os_atlas": os_atlas,
    "match/gui_r1": gui_r1,
    "match/hicon": hicon,
    "match/odyssey": odyssey,
    "match/ui_s1": ui_s1,
    "match/uground": uground,
    "match/strict": strict,
}
