"""Cases of ``test_same_bits.py``: recorded sessions, acted on again."""

from functools import partial

from bits import CASES

from ethogram.agents.gui_baselines import AnyAction, RepeatLast
from ethogram.envs.gui import GuiAction
from ethogram.envs.gui_logs import Recording, Replay
from ethogram.envs.gui_metrics import RecordedEpisode, RecordedStep
from ethogram.simulator import rollout

ROW, LIST = (0.0, 0.25, 1.0, 0.5), (0.0, 0.125, 1.0, 1.0)
ACTIONS = [
    *(GuiAction("tap", (0.5, 0.375)), GuiAction("scroll", direction="down"), GuiAction("type", text="two words")),
    *(GuiAction("open", text="Clock"), GuiAction("back"), GuiAction("long_press", (0.25, 0.75), ms=500)),
    *(GuiAction("press", key="Enter"), GuiAction("drag", (0.25, 0.25), (0.75, 0.75)), None),
]


def step(number):
    """A step with boxes around points, and a screen of two elements every other time."""
    action = ACTIONS[number % len(ACTIONS)]
    boxes = (ROW, LIST) if action is not None and action.point == (0.5, 0.375) else ()
    elements = (ROW, LIST) if number % 2 else ()
    return RecordedStep(action, boxes, (), (1080, 2400), f"step {number}", elements, ("row", "list")[: len(elements)])


RECORDING = Recording(
    tuple(RecordedEpisode(str(i), f"errand {i}", tuple(map(step, range(i, 2 * i + 1)))) for i in range(1, 9))
)

for _policy in (RepeatLast(), AnyAction(RECORDING)):
    for _mode in ("recorded", "own", "own_patched"):
        _world = Replay(RECORDING, _mode, past=2, instructions=True)
        CASES[f"recorded sessions, {_mode}, {type(_policy).__name__}"] = partial(
            rollout, _world, _policy, rows=12, horizon=9, seed=5, record="all"
        )
CASES["recorded sessions, to the first miss"] = partial(
    rollout, Replay(RECORDING, "own", stop_on_miss=True, metric="match/aitw"), AnyAction(RECORDING), rows=12, horizon=9
)
