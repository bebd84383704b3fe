"""The rules on arrays say what the rules say, step by step."""

import math

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ethogram.envs.gui import GuiAction, GuiActions
from ethogram.envs.gui_logs import Recording, Replay
from ethogram.envs.gui_metrics import METRICS, RecordedEpisode, RecordedStep
from ethogram.simulator import rollout

parts = st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.53, 0.625, 0.75, 1.0])  # so that points meet, and edges are met
points = st.tuples(parts, parts)
words = st.sampled_from(["", "a", "A", "two words", "two", "[x] y", "it's", "back", "Clock", "down", "ａ"])


def boxes(draw):
    corners = [sorted((draw(parts), draw(parts))) for _ in range(2)]
    return corners[0][0], corners[1][0], corners[0][1], corners[1][1]


@st.composite
def actions(draw):
    kind = draw(st.sampled_from(["tap", "long_press", "hover", "drag", "scroll", "type", "select", "press", "other"]))
    kind = draw(st.sampled_from(["back", "home", "open", "wait", "noop", "done"])) if kind == "other" else kind
    if kind in ("tap", "long_press", "hover"):
        return GuiAction(kind, draw(points))
    if kind == "drag":
        return GuiAction("drag", draw(points), draw(points))
    if kind == "scroll":
        return GuiAction("scroll", direction=draw(st.sampled_from(["none", "up", "down", "left", "right"])))
    if kind in ("type", "select"):
        point = draw(points.filter(any) | st.none())
        return GuiAction(kind, point, text=draw(words), submit=kind == "type" and draw(st.booleans()))
    if kind == "press":
        return GuiAction("press", key=draw(st.sampled_from(["Enter", "Tab"])))
    more = {"open": {"text": draw(words)}, "done": {"status": draw(st.sampled_from(["success", "infeasible"]))}}
    return GuiAction(kind, **more.get(kind, {}))


@st.composite
def recorded(draw):
    some = tuple(boxes(draw) for _ in range(draw(st.integers(0, 3))))
    texts = tuple(draw(words) for _ in some) if draw(st.booleans()) else ()
    elements = tuple(boxes(draw) for _ in range(draw(st.integers(0, 2))))
    reference = draw(actions() | st.none()) if draw(st.integers(0, 4)) == 0 else draw(actions())
    return single(RecordedStep(reference, some, texts, elements=elements, labels=("",) * len(elements)))


def single(step):
    """The step with coordinates as arrays hold them, in float32."""

    def rounded(boxes):
        return tuple(tuple(float(np.float32(part)) for part in box) for box in boxes)

    action = step.reference and GuiActions.of([step.reference]).row(0)
    if action is not None and step.reference.point == (0, 0):
        action = step.reference
    return RecordedStep(action, rounded(step.boxes), step.texts, elements=rounded(step.elements), labels=step.labels)


@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(st.lists(st.tuples(recorded(), actions()), min_size=20, max_size=40))
def test_arrays_give_the_verdicts_of_the_rules(pairs):
    recording = Recording(tuple(RecordedEpisode(str(i), "", (step,)) for i, (step, _) in enumerate(pairs)))
    acts = GuiActions.of([action for _, action in pairs])
    history = rollout(Replay(recording), Does(acts), rows=len(pairs), horizon=1, record="all")
    for i, (step, _) in enumerate(pairs):
        action = acts.row(i)
        for name, rule in METRICS.items():
            right = history.sites[name][i, 0].item()
            if step.reference is None and name.startswith("match"):
                assert math.isnan(right)
                continue
            said = rule(step, action)
            expected = pytest.approx(float(said.step)) if said.counted else pytest.approx(math.nan, nan_ok=True)
            assert right == expected, (name, step, action)


class Does:
    """Given actions."""

    def __init__(self, acts):
        self.acts = acts

    def act(self, seen, history, draws):
        return self.acts._asdict()


def test_a_reward_that_does_not_count_is_none():
    back = Recording((RecordedEpisode("a", "", (RecordedStep(GuiAction("back")),)),))
    world = Replay(back, metric="match/gui_r1")
    acts = GuiActions.of([GuiAction("wait")])
    history = rollout(world, Does(acts), rows=1, horizon=1, record=["match/gui_r1", "missed"])
    assert history.reward.item() == 0
    assert torch.isnan(history.sites["match/gui_r1"]).all()
    assert not history.sites["missed"].any()
