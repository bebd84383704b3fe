"""HiconAgent's rewards by rule of answers in text (arXiv:2512.01763 and its released code)."""

import math
import re

from ethogram.envs.gui.actions import GuiAction
from ethogram.envs.gui_codecs.calls import Calls
from ethogram.envs.gui_codecs.units import ParseError
from ethogram.envs.gui_metrics.texts import close

FORM = re.compile(r"<think>.*</think>\s*<action>.*</action>", re.DOTALL)
ACTION = re.compile(r"<action>(.*?)</action>", re.DOTALL)
RIGHT = 1.86  # of type and value: from there a step counts as right, for a click within 140 of 1000


def called(text: str) -> str:
    """The call of an answer: what stands between its first <action> and </action>, else all of it."""
    found = ACTION.search(text)
    return found[1] if found else text


def action_of(text: str, calls: Calls) -> GuiAction:
    """The action of an answer; one that cannot be read, or not be written in this dialect, does nothing."""
    try:
        action = calls.decode(called(text))
        calls.encode(action)  # as later prompts tell it
    except ValueError:
        return GuiAction("noop")
    return action


def graded(text: str, truth: GuiAction, calls: Calls) -> tuple[float, bool]:
    """The reward of an answer, form + type + value, 3 at best, and whether the step is right.

    calls: the grammar, with the size of the picture that the answer's points are on. The type is what stands before
    the call's bracket. A click is worth 1 - d / 1000, d being the distance in thousandths of the screen, cut to ints;
    a text 1 where ``close`` says so; a scroll 1 in the right direction; another action 1. A call that cannot be read
    has no value: the released code takes a place from anywhere in the answer, which is left out here.
    """
    call = called(text)
    form = float(FORM.fullmatch(text) is not None)
    if call.split("(")[0].strip() != calls.encode(truth).split("(")[0]:
        return form, False
    value = _value(call, truth, calls)
    return form + 1 + value, 1 + value > RIGHT


def _value(call: str, truth: GuiAction, calls: Calls) -> float:
    """The value of a call whose type is right."""
    try:
        did = calls.decode(call)
    except ParseError:
        return 0.0
    if truth.type in ("type", "open"):
        return float(close(did.text, truth.text))
    if truth.type == "scroll":
        return float(did.direction == truth.direction)
    if truth.type in ("tap", "double_tap", "long_press", "hover"):
        ends = [[int(1000 * part) for part in point] for point in (did.point, truth.point) if point]
        return 1 - math.dist(*ends) / 1000
    return 1.0
