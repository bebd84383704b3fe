"""The closed forms of policies that forget, against a search for better ones: gradient ascent over all of them."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from ethogram.envs.gui import TYPES, VOCABULARY, SymbolicGui, motion
from ethogram.envs.gui_tasks import compare, keypad, recent_action, termination
from ethogram.simulator import Draws, Sites


def beginnings(app, values):
    """First states, with so many values in the place of 64; names, layout and what is like them are fixed."""
    variables = app.variables.clone()
    variables[:, 1] = torch.where(variables[:, 1] == 64, values, variables[:, 1])
    draws = sorted({(int(group), int(count)) for _, count, group, *_ in variables if 1 < count < 16})
    found = []
    for picks in product(*(range(count) for _, count in draws)):

        class Chosen(Draws):
            def uniform(self, site, *shape, picks=picks):
                luck = torch.zeros(1, *shape)
                if site == "task":
                    for (group, count), pick in zip(draws, picks, strict=True):
                        luck[:, group] = (pick + 0.5) / count
                return luck if shape else luck.view(1)

        found.append(motion.begin(replace(app, variables=variables), Chosen(0, torch.arange(1)))[0])
    return torch.stack(found)


def graph_of(app, values):
    """What a policy that forgets can do: for each state its view; for each action the state after, and the reward."""
    world, start = SymbolicGui(app), beginnings(app, values)
    kinds = [("tap", e) for e in range(1, 9)] + [("back", 0), ("home", 0), ("done", 0), ("done", 1)]
    actions = {
        "type": torch.tensor([TYPES.index(kind) for kind, _ in kinds]),
        "element": torch.tensor([e if kind == "tap" else 0 for kind, e in kinds]),
        "direction": torch.zeros(len(kinds), dtype=torch.int64),
        "point": torch.zeros(len(kinds), 2),
        "text": torch.tensor([VOCABULARY.index("infeasible") if (kind, e) == ("done", 1) else 0 for kind, e in kinds]),
    }
    known, views, view_of, after, reward = {}, {}, [], [], []

    def number(state):
        return known.setdefault(tuple(state.tolist()), len(known))

    first = [number(state) for state in start]
    queue = [torch.tensor(key) for key in known]
    for state in queue:  # which grows
        step = world.step(state.expand(len(kinds), -1), actions, Draws(0, torch.arange(len(kinds))), Sites())
        seen = motion.show(app, *world._skins, state[None])
        view_of.append(
            views.setdefault(str([seen[k].tolist() for k in ("screen", "kind", "text", "goal")]), len(views))
        )
        there = []
        for k in range(len(kinds)):
            if step.terminated[k]:
                there.append(-1)
                continue
            key = tuple(step.state[k].tolist())
            if key not in known:
                queue.append(step.state[k])
            there.append(number(step.state[k]))
        after.append(there)
        reward.append(step.reward.tolist())
    return torch.tensor(first), torch.tensor(view_of), torch.tensor(after), torch.tensor(reward)


def best_found(app, starts=12, rounds=250):
    """The highest chance of success that gradient ascent finds from random policies, one over views."""
    first, view, after, reward = graph_of(app, 4 if app.name.startswith("compare") else 2)
    torch.manual_seed(0)
    logits = (2 * torch.randn(starts, int(view.max()) + 1, after.shape[1])).requires_grad_()
    ascent = torch.optim.Adam([logits], lr=0.2)
    best = 0.0
    for _ in range(rounds):
        policy = logits.softmax(2)[:, view]  # (starts, S, A)
        value = torch.zeros(starts, len(view) + 1)
        for _ in range(app.horizon):
            value = torch.cat([(policy * (reward + value[:, after])).sum(2), torch.zeros(starts, 1)], 1)
        success = value[:, first].mean(1)
        best = max(best, success.max().item())
        ascent.zero_grad()
        (-success.sum()).backward()
        ascent.step()
    return best


APPS = [recent_action(1, 2, 0), recent_action(2, 2, 0), recent_action(3, 2, 0), keypad(1, 1, 2), keypad(1, 2, 2)]
APPS += [*(termination(1, sends, 0) for sends in (1, 2, 3)), compare(1, 2, True, 0)]


@pytest.mark.parametrize("app", APPS, ids=lambda app: f"{app.name}, {app.num_variables} variables")
def test_no_policy_that_forgets_does_better_than_the_closed_form(app):
    """And the best comes within one in fifty of it."""
    found = best_found(app)
    assert found <= app.memoryless + 1e-4
    assert found > 0.98 * app.memoryless
