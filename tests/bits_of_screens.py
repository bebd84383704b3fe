"""Cases of ``test_same_bits.py``: tasks on symbolic screens."""

from functools import partial

import torch
from bits import CASES

from ethogram.agents.gui import Scripted
from ethogram.envs.gui import ELEMENTS, SymbolicGui
from ethogram.envs.gui_tasks import (
    carry,
    checklist,
    compare,
    form,
    keypad,
    multi_app,
    reactive,
    recent_action,
    search,
    termination,
    undo,
)
from ethogram.simulator import rollout

APPS = [carry(3, 2, 9), form(), undo(), search(2), checklist(2), reactive()]
APPS += [compare(3, 3, False, 2, 2, 2), compare(1, 2, True), keypad(), termination(), recent_action(3), multi_app(4, 2)]
WORDS = 108  # of the vocabulary that the recorded cases type


class Monkey:
    """Does all that could do something, by element or by point."""

    def act(self, observation, history, draws):
        luck = {name: draws.uniform(name) for name in ("type", "element", "direction", "text")}
        types = torch.tensor([1, 1, 1, 1, 6, 7, 7, 10, 11, 15, 3, 0])
        return {
            "type": types[(luck["type"] * len(types)).long()],
            "point": draws.uniform("point", 2),
            "element": ((luck["element"] * 2 * ELEMENTS).long() - ELEMENTS + 1).clamp(min=0),  # half of them by a point
            "direction": (luck["direction"] * 5).long(),
            "text": (luck["text"] * WORDS).long(),
        }


for _app in APPS:
    _steps = {"rows": 12, "horizon": 12, "seed": 5}
    for _name, _policy in (("solved", Scripted()), ("forgotten", Scripted(memory=0)), ("meddled with", Monkey())):
        CASES[f"{_app.name}, {_name}"] = partial(rollout, SymbolicGui(_app), _policy, **_steps)
