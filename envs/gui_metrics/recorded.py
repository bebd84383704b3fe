"""Recorded episodes as scoring and replay need them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ethogram.simulator import check_is

from ..gui import GuiAction

Box = tuple[float, float, float, float]  # left, top, right, bottom: fractions of the screen


@dataclass(frozen=True)
class RecordedStep:
    """One step: what was done, and what else would have been right.

    reference: the action taken; None where Mind2Web records a click on an element that is no longer on the page.
    boxes: every element that holds the reference's point; for "open", the app's icon; of Mind2Web, the positives.
    texts: the boxes' labels, where they were recorded; () where not.
    screen: width and height in pixels, which codecs that write pixels need.
    instruction: what this step is to do, where somebody wrote it down.
    elements, labels: the box and the label of everything that stood on the screen, as far as the source has them; a
        box may reach beyond the screen.
    screenshot: the name of the picture, as the source has it.
    """

    reference: GuiAction | None
    boxes: tuple[Box, ...] = ()
    texts: tuple[str, ...] = ()
    screen: tuple[int, int] = (1080, 2400)
    instruction: str = ""
    elements: tuple[Box, ...] = ()
    labels: tuple[str, ...] = ()
    screenshot: str = ""

    def __post_init__(self) -> None:
        check_is("reference", self.reference, (GuiAction, type(None)), "a GuiAction, or None")
        for name, boxes in (("boxes", self.boxes), ("elements", self.elements)):
            for box in boxes:
                if not isinstance(box, tuple) or len(box) != 4:
                    raise ValueError(
                        f"one of the {name} is {box!r:.60}: expected (left, top, right, bottom), fractions"
                    )
        if self.labels and len(self.labels) != len(self.elements):
            raise ValueError(f"{len(self.labels)} labels of {len(self.elements)} elements: expected one each, or none")


@dataclass(frozen=True)
class RecordedEpisode:
    """One recorded task.

    group: the subset, split or category that macro averages go over. solved: whether who was recorded did the task;
    None where the source does not say. app: the app or website that it is about, "" where the source does not say.
    """

    id: str
    goal: str
    steps: tuple[RecordedStep, ...]
    group: str = ""
    solved: bool | None = None
    app: str = ""

    def __post_init__(self) -> None:
        check_is("id", self.id, str, "text, as predictions name the episode")
        check_is("goal", self.goal, str, "text")
        check_is("app", self.app, str, "text")
        check_is("steps", self.steps, (tuple, list), "RecordedSteps")
        for step in self.steps:
            check_is("one of the steps", step, RecordedStep, "a RecordedStep")


def area(box: Box) -> float:
    """The area of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def inside(point: tuple[float, float], box: Box) -> bool:
    """Whether a point lies in a box, its edges included."""
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def smallest(boxes: Sequence[Box], point: tuple[float, float]) -> int | None:
    """The number of the smallest box that holds a point, the first of equals; None where none does."""
    holding = [i for i, box in enumerate(boxes) if inside(point, box)]
    return min(holding, key=lambda i: area(boxes[i]), default=None)
