"""The screens of a history as a graph: where each stands in a picture, and each episode's way beside the shortest."""

from collections.abc import Iterable
from itertools import groupby, pairwise
from typing import Any

import networkx

from ..history import History
from .film import Json

MOST_SCREENS = 120  # of a picture


def screen_graph(film: Json, history: History, world: Any = None) -> Json:
    """Nodes with places, edges, and a "way" for every episode, in JSON's terms; {} for what is no graph of screens.

    history: what was filmed. Nodes are the screens' names. The graph is what ``world.graph()`` gives, a networkx graph
    of the numbers of screens, and every move of the history; without one, the moves alone. The shortest ways are those
    of ``world.shortest(history)``, or else between the same ends. Screens stand in columns, by how many moves they are
    away from the first.
    """
    screens = film.get("screens", [])
    if not screens or "is" in screens[0]:
        return {}
    graph: Any = networkx.DiGraph()
    visits = [[screens[at]["name"] for at in _places(episode)] for episode in film["episodes"]]
    if hasattr(world, "graph"):
        known = networkx.relabel_nodes(world.graph(), str)
        if known.nodes >= set().union(*visits):  # else these are screens without numbers
            graph.update(known.edges, known.nodes)
    for visited in visits:
        graph.add_nodes_from(visited)
        graph.add_edges_from((a, b) for a, b in pairwise(visited) if a != b)
    if not 1 < len(graph) <= MOST_SCREENS:
        return {}
    known = world.shortest(history) if hasattr(world, "shortest") else [None] * len(visits)
    for visited, episode, best in zip(visits, film["episodes"], known, strict=True):
        if best is not None:
            networkx.add_path(graph, _moved(map(str, best)))
        episode["way"] = _way(graph, _moved(visited), None if best is None else _moved(map(str, best)))
    return {"nodes": _layout(graph, visits[0][0]), "edges": [list(edge) for edge in graph.edges]}


def _places(episode: Json) -> list[int]:
    """The numbers of the screens of an episode, from the first to where it ended."""
    return [*(step["screen"] for step in episode["steps"]), episode["last"]]


def _moved(screens: Iterable[str]) -> list[str]:
    """The screens of a way, without those that are the same as the one before."""
    return [screen for screen, _ in groupby(screens)]


def _way(graph: Any, taken: list[str], best: list[str] | None) -> Json:
    """A way beside the best, or where that is not known the shortest between its ends: returns, and screens off it."""
    start, end = taken[0], taken[-1]
    if best is None:
        shortest = networkx.shortest_path(graph, start, end)
        away = networkx.single_source_shortest_path_length(graph, start)
        left = networkx.single_source_shortest_path_length(graph.reverse(copy=False), end)
        on = {screen for screen in taken if away[screen] + left.get(screen, len(graph)) == len(shortest) - 1}
    else:
        shortest, on = best, set(best)
    return {
        "taken": taken,
        "shortest": shortest,
        "to": "do the task" if best is not None else "the same end",
        "revisits": len(taken) - len(set(taken)),
        "detours": sorted(set(taken) - on),
    }


def _layout(graph: Any, first: str) -> dict[str, list[float]]:
    """Places (x, y), 0 to 1: columns by the moves from the first screen, those that cannot be reached in the last.

    In a column, screens stand in the order of where those that lead to them stand.
    """
    away = networkx.single_source_shortest_path_length(graph, first)
    farthest = max(away.values()) + (len(away) < len(graph))
    columns: list[list[str]] = [[] for _ in range(farthest + 1)]
    for node in graph:
        columns[away.get(node, farthest)].append(node)
    most, places = max(len(column) for column in columns), dict[str, list[float]]()

    def before(node: str) -> float:
        heights = [places[other][1] for other in graph.predecessors(node) if other in places]
        return sum(heights) / len(heights) if heights else 0.5

    for x, column in enumerate(columns):
        for k, node in enumerate(sorted(column, key=before)):
            y = 0.5 + (k - (len(column) - 1) / 2) / max(most - 1, 1)
            places[node] = [round(x / max(farthest, 1), 4), round(y, 4)]
    return places
