"""The graph of an app and shortest ways, against networkx on what the world does; path efficiency of histories."""

from itertools import pairwise

import networkx
import pytest
import torch
from bits_of_screens import Monkey

from ethogram.agents.gui import Scripted
from ethogram.envs.gui import (
    ELEMENTS,
    TYPES,
    VOCABULARY,
    App,
    Element,
    SymbolicGui,
    Variable,
    begun,
    made,
    path_efficiency,
    shortest,
    shown,
)
from ethogram.envs.gui.motion import VALUES
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
from ethogram.simulator import Draws, Sites, rollout

MAKERS = (carry, form, undo, search, checklist, compare, keypad, termination, recent_action, multi_app)
SMALL = [carry(1), carry(1, 1, 8), carry(2, 1, 0, 4, 2), undo(2, 2, 1), form(1, 2), search(1, 2), search(2, 2)]
SMALL += [compare(1), compare(0, 3), compare(1, 2, True, 0, 1, 2), keypad(1, 2, 3), keypad(0, 1, 2), reactive(2)]
SMALL += [
    termination(1, 1, 0),
    termination(0, 2, 0),
    recent_action(1, 2, 0),
    recent_action(2, 2, 1),
    multi_app(1, 1, 2),
]
ids = {"ids": lambda app: f"{app.name}, {app.num_screens} screens"}


def moves(app, values):
    """Every action worth a try: all elements tapped, filled in with all that stands anywhere, and the keys."""
    words = sorted({0, *values.tolist()})
    for kind in ("back", "home"):
        yield kind, 0, 0, 0
    for direction in (1, 2):
        yield "scroll", 0, direction, 0
    for element in range(1, ELEMENTS + 1):
        yield "tap", element, 0, 0
        for word in words:
            yield "type", element, 0, word
    for word in words:
        yield "done", 0, 0, word


def way_by_networkx(app, values, most):
    """Steps to a reward, by networkx in the graph of the world's own states, as far as so many steps."""
    world, actions = SymbolicGui(app), list(moves(app, values))
    start = torch.cat([torch.zeros(VALUES, dtype=torch.int64), values])
    graph, front, seen = networkx.DiGraph(), [start], {tuple(start.tolist())}
    columns = {
        "type": torch.tensor([TYPES.index(a[0]) for a in actions]),
        "point": torch.zeros(len(actions), 2),
        **{name: torch.tensor([a[i] for a in actions]) for i, name in ((1, "element"), (2, "direction"), (3, "text"))},
    }
    for _ in range(most):
        fresh = []
        for state in front:
            after = world.step(state.expand(len(actions), -1), columns, Draws(0, torch.arange(len(actions))), Sites())
            for there, reward, over in zip(after.state, after.reward, after.terminated, strict=True):
                key = "right" if reward > 0 else tuple(there.tolist())
                if reward > 0 or not over:
                    graph.add_edge(tuple(state.tolist()), key)
                if not over and key not in seen:
                    seen.add(key)
                    fresh.append(there)
        if "right" in graph:
            break
        front = fresh
    return networkx.shortest_path_length(graph, tuple(start.tolist()), "right")


@pytest.mark.parametrize("app", SMALL, **ids)
def test_shortest_way_is_that_of_networkx_in_the_worlds_states(app):
    history = rollout(SymbolicGui(app), Scripted(), rows=4, horizon=app.horizon, seed=1)
    for values in begun(app, history).unique(dim=0)[:2]:
        way = shortest(app, values)
        assert len(way) == way_by_networkx(app, values, len(way))
        graph = app.graph()
        assert all(a == b or graph.has_edge(a, b) for a, b in pairwise(way))


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
@pytest.mark.parametrize("distance", [0, 2, 5])
def test_nobody_is_quicker_than_the_shortest_way_and_efficiency_says_how_much_slower(maker, distance):
    app = maker(distance)
    history = rollout(SymbolicGui(app), Scripted(), rows=30, horizon=app.horizon, seed=2)
    efficiency = path_efficiency(app, history)
    assert (efficiency > 0).all()
    assert (efficiency <= 1).all()
    for row in range(3):
        way = shortest(app, begun(app, history)[row])
        assert efficiency[row].item() == pytest.approx(len(way) / int(history.length[row]))
    if maker in (carry, form, undo, compare, keypad):  # where there is one way, and who remembers takes it
        assert (efficiency == 1).all()
    forgets = rollout(SymbolicGui(app), Scripted(memory=0), rows=30, horizon=app.horizon, seed=2)
    failed = forgets.reward.sum(1) == 0
    assert (path_efficiency(app, forgets)[failed] == 0).all()


@pytest.mark.parametrize("app", [carry(3, 1, 8, 3, 1), compare(2), checklist(2), multi_app(3), keypad(2)], **ids)
def test_what_is_shown_next_is_a_neighbour_in_the_graph(app):
    """Whatever a monkey does; and each screen that can be reached is a node with what stands there."""
    graph = app.graph()
    history = rollout(SymbolicGui(app), Monkey(), rows=400, horizon=25, seed=3)
    screens, going = history.observation["screen"], history.valid
    for before, after in set(zip(screens[:, :-1][going].tolist(), screens[:, 1:][going].tolist(), strict=True)):
        assert before == after or graph.has_edge(before, after)
    assert set(graph) == set(range(app.num_screens))
    elements = [sum(kind > 0 for kind in screen) for screen in app.elements[..., 0].tolist()]
    assert [len(graph.nodes[s]["elements"]) for s in range(app.num_screens)] == elements


def test_distances_in_the_graph_are_memory_distances():
    for distance in range(1, 10):
        graph = carry(distance).graph()
        forward = networkx.DiGraph((a, b) for a, b, of in graph.edges.data("actions") if of[0][0] == "tap")
        assert networkx.shortest_path_length(forward, 0, distance) == distance
    graph = compare(1, popups=1).graph()
    assert [graph.nodes[s]["over"] for s in (4, 5, 6)] == [0, 1, 2]  # two pop-ups, and the question
    assert graph[0][1]["actions"] == [("tap", 2)]
    assert ("back", -1) in graph[1][0]["actions"]


def test_a_way_that_is_not_there_is_an_error():
    never = made("never", [[Element(1, 1)]], [Variable(1), Variable(2)], [], [(0, 1)], [], horizon=9, memoryless=0.0)
    with pytest.raises(ValueError, match="no way to do the task of never"):
        shortest(never, torch.tensor([1, 2]))
    with pytest.raises(ValueError, match=r"values is torch.int64 \(3,\): expected int64 \(2,\)"):
        shortest(never, torch.tensor([1, 2, 3]))
    with pytest.raises(TypeError, match="history is a str"):
        path_efficiency(never, "history")
    assert isinstance(never, App)
    assert shown(0) == -1
    assert VOCABULARY[1] == "0"
