"""Mind2Web's step metrics: the element, the operation's words, and both (Deng et al., NeurIPS 2023)."""

from ..gui import GuiAction
from .match import Rule, Verdict
from .recorded import RecordedStep, inside
from .texts import token_f1

_WORDS = {
    "tap": "CLICK",
    "hover": "CLICK",
    "press": "CLICK",
    "type": "TYPE",
    "select": "SELECT",
}  # as its files map them


def _operation(action: GuiAction | None) -> set[str]:
    """The words of "OP value"; a click where the element is gone, which is what such steps are."""
    if action is None:
        return {"CLICK"}
    return {_WORDS.get(action.type, action.type.upper()), *action.text.split()}


def op_f1(step: RecordedStep, predicted: GuiAction) -> Verdict:
    """F1 of the sets of words of "OP value", case and all, 0 to 1."""
    return Verdict(_alike(step, predicted), token_f1(_operation(predicted), _operation(step.reference)))


def element(step: RecordedStep, predicted: GuiAction) -> Verdict:
    """The point is in a positive's box. No step without a positive is ever right."""
    right = predicted.point is not None and any(inside(predicted.point, box) for box in step.boxes)
    return Verdict(_alike(step, predicted), right, grounding=right if step.boxes else None)


def _alike(step: RecordedStep, predicted: GuiAction) -> bool:
    truth = "tap" if step.reference is None else step.reference.type
    return _WORDS.get(predicted.type) == _WORDS.get(truth)


def whole_step(step: RecordedStep, predicted: GuiAction) -> Verdict:
    """The element is right, and the operation's F1 is 1."""
    found = element(step, predicted)
    return found._replace(step=found.step * (op_f1(step, predicted).step == 1))


MIND2WEB_RULES: dict[str, Rule] = {
    "mind2web/element": element,
    "mind2web/op_f1": op_f1,
    "mind2web/step": whole_step,
}
