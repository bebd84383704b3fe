"""Cases of ``test_same_bits.py``: tasks on symbolic screens."""

from functools import partial

import torch
from bits import CASES

from ethogram.agents.gui import Scripted
from ethogram.envs.gui import ELEMENTS, VOCABULARY, SymbolicGui, carry, checklist, form, reactive, search, undo
from ethogram.simulator import rollout

APPS = [carry(3, 2, 9), form(), undo(), search(2), checklist(2), reactive()]


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
            "text": (luck["text"] * len(VOCABULARY)).long(),
        }


for _app in APPS:
    for _name, _policy in (("solved", Scripted()), ("forgotten", Scripted(memory=0)), ("meddled with", Monkey())):
        CASES[f"{_app.name}, {_name}"] = partial(rollout, SymbolicGui(_app), _policy, rows=12, horizon=12, seed=5)
