"""Reports hold what a history holds: screens, actions, verdicts, ways, groups; and nothing of it becomes markup."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recorded import ODD, Words, action, judged, on_screens
from scipy.stats import binomtest

from ethogram.agents.simple import Fixed
from ethogram.envs.gui import GuiAction, GuiActions
from ethogram.envs.gui_logs import Recording, Replay
from ethogram.envs.gui_metrics import RecordedEpisode, RecordedStep
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import History, rollout
from ethogram.simulator.report import report, totals
from ethogram.simulator.report.film import film, told
from ethogram.simulator.report.graph import screen_graph

NAMES = Words.names


class Always:
    """Does the same at every step."""

    def __init__(self, action):
        self.action = action

    def act(self, observation, history, draws):
        return self.action


BOXES = np.array([[0.1, 0.1, 0.9, 0.3], [0.1, 0.1, 0.3, 0.2]])


def done(kind, **parts):
    return {name: column[0, 0].numpy() for name, column in action(kind, 1, 1, **parts).items()}


def filmed(page):
    """What the films of a page are made from."""
    text = page.read_text()
    return [json.loads(found) for found in re.findall(r'<script type="application/json">(.*?)</script>', text)]


def test_actions_are_told_in_words_and_places():
    texts = ["Go", "Stop"]
    tap = told(NAMES, done("tap", element=1), BOXES, texts)
    assert (tap["words"], tap["box"]) == ("tap on 'Go'", [0.1, 0.1, 0.9, 0.3])
    inside = told(NAMES, done("tap", point=(0.2, 0.15)), BOXES, texts)
    assert (inside["words"], inside["at"]) == ("tap on 'Stop'", [0.2, 0.15])  # the smallest box with the point
    assert told(NAMES, done("tap", point=(0.95, 0.95)), BOXES, texts)["words"] == "tap at (0.95, 0.95)"
    assert told(NAMES, done("type", text=3, element=2), BOXES, texts)["words"] == "type 'kuta' on 'Stop'"
    scroll = told(NAMES, done("scroll", direction=2, point=(0.7, 0.7)), BOXES, texts)
    assert (scroll["words"], scroll["finger"]) == ("scroll down at (0.70, 0.70)", "up")
    drag = told(NAMES, done("drag", point=(0.5, 0.5), point2=(0.5, 0.9)), BOXES, texts)
    assert drag["to"] == [0.5, 0.9]
    assert told(NAMES, done("noop", point=(0.2, 0.2), element=1, text=3), BOXES, texts)["words"] == "noop"
    assert told({}, done("tap", element=1), BOXES, texts)["words"] == "type 1 on 'Go'"  # numbers where no words are


def test_each_screen_is_kept_once_and_pixels_as_a_picture():
    shown = film(on_screens(), NAMES)
    assert [step["screen"] for step in shown["episodes"][0]["steps"]] == [0, 1, 2, 0]
    assert shown["episodes"][0]["last"] == 1
    assert shown["screens"][0]["elements"][0] == [0.1, 0.1, 0.9, 0.3, "button", "Go"]
    assert len(shown["screens"][0]["elements"]) == 2  # the empty place is none
    assert shown["episodes"][0]["goal"] == f"Find {ODD}"
    pixels = torch.randint(256, (1, 4, 20, 10, 3), dtype=torch.uint8)
    pixels[:, 3] = pixels[:, 0]
    seen = film(History.of(action=torch.zeros(1, 3), reward=torch.zeros(1, 3), observation=pixels), {})
    assert len(seen["screens"]) == 3
    assert seen["screens"][0]["ratio"] == 0.5
    assert seen["screens"][0]["pixels"].startswith("data:image/png;base64,iVBOR")


def test_what_stands_in_an_input_is_drawn_and_is_not_its_name():
    box = torch.tensor([[0.1, 0.1, 0.9, 0.3]]).expand(1, 2, 1, 4)
    texts = {"text": np.array([["user", "user"]], dtype=object), "value": np.array([["", "kira"]], dtype=object)}
    did = action("tap", 1, 1, element=1)
    shown = film(History.of(action=did, reward=torch.zeros(1, 1), observation={"box": box, **texts}), NAMES)
    assert [screen["elements"][0][-1] for screen in shown["screens"]] == ["user", "user kira"]
    assert shown["episodes"][0]["steps"][0]["words"] == "tap on 'user'"


def test_texts_may_be_labels_or_lines_and_a_screen_may_be_a_size():
    history = on_screens()
    lines = np.full((2, 5), "Go\nnot yet", dtype=object)
    seen = {**history.observation, "text": lines, "screen": torch.tensor([1080, 2400]).expand(2, 5, 2)}
    shown = film(History.of(action=history.action, reward=history.reward, observation=seen), NAMES)
    assert [element[5] for element in shown["screens"][0]["elements"]] == ["Go", "not yet"]
    assert shown["screens"][0]["ratio"] == 0.45
    seen["label"] = seen.pop("text") == ""
    seen["label"] = torch.tensor([0, 1, 0]).expand(2, 5, 3)
    shown = film(History.of(action=history.action, reward=history.reward, observation=seen), {"label": ("", "Yes")})
    assert [element[5] for element in shown["screens"][0]["elements"]] == ["", "Yes"]


def test_reference_verdicts_chances_and_the_history_seen_stand_at_each_step(tmp_path):
    (shown,) = filmed(report(judged(), tmp_path / "a.html", world=Words()))
    steps = shown["episodes"][0]["steps"]
    assert steps[1]["reference"]["words"] == f"tap on '{ODD}'"
    assert [step["verdicts"]["match/strict"] for step in steps] == [True, False, True, False]
    assert [step["verdicts"]["match/loose"] for step in steps] == [None, True, True, True]
    assert steps[0]["sites"] == {"chances": [0.25, 0.75], "said": ODD}
    assert [step["saw"] for step in steps] == [[], [[0, 0]], [[0, 1]], [[0, 0], [2, 2]]]
    assert [step["reward"] for step in steps] == [0, 0, 0, 1]


def test_a_policy_with_a_memory_saw_its_last_steps():
    steps = film(on_screens(), NAMES, SimpleNamespace(memory=2))["episodes"][0]["steps"]
    assert [step["saw"] for step in steps] == [[], [[0, 0]], [[0, 1]], [[1, 2]]]
    assert "saw" not in film(on_screens(), NAMES, object())["episodes"][0]["steps"][1]


def test_a_past_in_the_observation_is_told_as_the_policy_saw_it():
    history = on_screens()
    past = {name: column[:, :1, None].expand(2, 5, 2, *column.shape[2:]) for name, column in history.action.items()}
    past["text"] = {str(k): np.full((2, 5), "kuta", dtype=object) for k in range(2)}
    past |= {"whose": torch.tensor([[0, 0], [0, 2], [2, 1], [1, 1], [1, 1]]).expand(2, 5, 2)}
    seen = {**history.observation, "past": past}
    names = {**NAMES, "whose": ("", "reference", "own")}
    shown = film(History.of(action=history.action, reward=history.reward, observation=seen), names)
    steps = shown["episodes"][0]["steps"]
    assert [step["saw"] for step in steps] == [[], [[0, 0]], [[0, 1]], [[1, 2]]]
    assert steps[2]["past"] == ["tap on element 1 (own)", "tap on element 1 (reference)"]


def test_a_world_may_know_what_would_have_been_right(tmp_path):
    world = Words()
    world.reference = lambda history: action("scroll", len(history), history.num_steps, direction=1)
    page = report(on_screens(), tmp_path / "a.html", world=world)
    (shown,) = filmed(page)
    assert shown["episodes"][0]["steps"][0]["reference"]["words"] == "scroll up"
    assert "Types of action" in page.read_text()


@pytest.mark.parametrize(
    ("screens", "moves", "shortest", "revisits", "detours"),
    [
        ((0, 1, 2, 3), 3, ["0", "2", "3"], 0, ["1"]),
        ((0, 2, 2, 3), 2, ["0", "2", "3"], 0, []),
        ((0, 2, 3, 0, 2), 4, ["0", "2"], 2, ["3"]),
        ((0, 1, 0, 1), 3, ["0", "1"], 2, []),
    ],
)
def test_the_way_is_compared_with_the_shortest(screens, moves, shortest, revisits, detours):
    history = on_screens(screens)
    shown = film(history, NAMES)
    graph = screen_graph(shown, history, Words())
    way = shown["episodes"][0]["way"]
    assert (len(way["taken"]) - 1, way["shortest"]) == (moves, shortest)
    assert (way["revisits"], way["detours"]) == (revisits, detours)
    assert set(graph["nodes"]) == {"0", "1", "2", "3"}
    assert all(0 <= part <= 1 for place in graph["nodes"].values() for part in place)


def test_a_world_may_know_the_shortest_way_to_do_the_task():
    history, world = on_screens((0, 2, 0, 2, 3)), Words()
    world.shortest = lambda history: [[0, 0, 1, 2, 2], None]
    shown = film(history, NAMES)
    screen_graph(shown, history, world)
    known, unknown = (episode["way"] for episode in shown["episodes"])
    assert (known["shortest"], known["to"], known["detours"]) == (["0", "1", "2"], "do the task", ["3"])
    assert (unknown["shortest"], unknown["to"], unknown["detours"]) == (["0", "2", "3"], "the same end", [])


def test_a_replay_tells_its_references_and_words(tmp_path):
    right = (GuiAction("tap", (0.5, 0.25)), GuiAction("type", text=ODD), GuiAction("scroll", direction="down"))
    elements = {"elements": ((0.2, 0.2, 0.8, 0.3),), "labels": (ODD,)}
    boxes = (((0.0, 0.0, 1.0, 1.0), (0.25, 0.25, 0.75, 0.5)), (), ())
    steps = tuple(RecordedStep(action, box, **elements) for action, box in zip(right, boxes, strict=True))
    recording = Recording([RecordedEpisode("a", "Look", steps)])
    world, column = Replay(recording, "own"), GuiActions.of([GuiAction("back")])._asdict()
    history = rollout(world, Always(column), rows=1, horizon=3, record="all")
    (shown,) = filmed(report(history, tmp_path / "a.html", world=world))
    steps = shown["episodes"][0]["steps"]
    assert [step["reference"]["words"] for step in steps] == [f"tap on '{ODD}'", f"type '{ODD}'", "scroll down"]
    assert [step["reference"].get("box") for step in steps] == [[0.25, 0.25, 0.75, 0.5], None, None]
    assert [step["words"] for step in steps] == ["back"] * 3
    assert steps[2]["past"] == ["back (own)", "back (own)"]
    assert steps[0]["verdicts"]["match/strict"] is False
    assert shown["screens"][0]["elements"][0][5] == ODD


def test_lists_are_screens_with_clicks_as_taps(tmp_path):
    history = rollout(CascadingSession(trap()), Fixed([0, 1]), rows=5, horizon=6, seed=0, record=["click"])
    (shown,) = filmed(report(history, tmp_path / "a.html"))
    assert [element[5] for element in shown["screens"][0]["elements"]] == ["item 0", "item 1"]
    for row, episode in enumerate(shown["episodes"]):
        for t, step in enumerate(episode["steps"]):
            click = int(history.sites["click"][row, t])
            assert step["words"] == (f"click on item {click}" if click < 2 else "no click")
            assert step["state"] == int(history.observation[row, t])
            assert ("box" in step) == (click < 2)


def test_other_histories_become_a_panel_a_step_of_shares_and_means(tmp_path):
    torch.manual_seed(0)
    ill, length = torch.rand(50, 5) < 0.4, torch.randint(1, 6, (50,))
    valid = torch.arange(5) < length[:, None]
    history = History.of(
        action=torch.zeros(50, 5),
        reward=torch.rand(50, 5) * valid,
        observation=torch.rand(50, 6),
        sites={"ill": ill},
        length=length,
    )
    world = SimpleNamespace(names={"ill": ("well", "ill")})
    (shown,) = filmed(report(history, tmp_path / "a.html", world=world))
    (everyone,) = shown["episodes"]
    for t, step in enumerate(everyone["steps"]):
        share = ill[valid[:, t], t].double().mean().item()
        widths = {
            e[5].split(":")[0]: (e[2] - e[0]) / 0.96 for e in shown["screens"][t]["elements"] if e[4] != "caption"
        }
        assert widths.get("ill", 0) == pytest.approx(share, abs=2e-4)
        assert sum(widths.values()) == pytest.approx(1, abs=4e-4)
        assert step["sites"]["mean of observation"] == pytest.approx(
            history.observation[valid[:, t], t].mean().item(), abs=1e-5
        )
    assert everyone["return"] == pytest.approx(history.reward.sum(1).mean().item(), rel=1e-5)


@pytest.mark.parametrize(("hits", "count"), [(0, 7), (3, 7), (7, 7), (499, 1000)])
def test_intervals_of_shares_are_wilsons(hits, count):
    exact = binomtest(hits, count).proportion_ci(0.95, "wilson")
    assert totals.wilson(hits, count) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_groups_verdicts_and_types_count_every_row():
    history = judged()
    success = totals.successes(history)
    by = totals.groups(history, NAMES, {"distance": torch.tensor([1, 2])}, success)
    assert [(row["distance"], row["success"][:5]) for row in by["distance"]] == [("1", "100.0"), ("2", "0.0 %")]
    rows = {row["metric"]: row for row in totals.verdicts(history)}
    assert rows["match/strict"]["right"].startswith("50.0 %")
    assert (rows["match/loose"]["steps counted"], rows["match/loose"]["left out"]) == (6, 2)
    assert rows["match/strict"]["right"] == "50.0 % ± 0.0"  # two of four in both episodes
    right = torch.tensor([[1.0, 1, 1, 0], [0, 0, torch.nan, torch.nan]])
    (row,) = totals.verdicts(on_screens(**{"match/a": right}))
    hits, counts, share = np.array([3, 0]), np.array([4, 2]), 0.5
    error = (2 * ((hits - share * counts) ** 2).sum()) ** 0.5 / 6
    assert row["right"] == f"50.0 % ± {100 * error:.1f}"
    table = totals.confusion(history, NAMES)
    assert re.findall(r">(\d*)</td>", table) == ["6", "", "2", ""]  # tap as tap; typing never done
    assert totals.confusion(on_screens(), NAMES) == ""
    many = on_screens(rows=40)
    grouped = totals.groups(many, NAMES, {"luck": torch.arange(40) ** 2}, None)["luck"]
    assert sum(row["episodes"] for row in grouped) == 40
    assert len(grouped) == 6


def test_success_is_what_is_given_or_recorded_or_a_return(tmp_path):
    history = on_screens()
    said = torch.zeros(2, 4, dtype=torch.bool)
    said[1, 3] = True
    assert totals.successes(history).tolist() == [True, False]
    assert totals.successes(history.with_site("success", said)).tolist() == [False, True]
    assert totals.successes(history, [1.0, 1.0]).tolist() == [True, True]
    assert totals.successes(History.of(action=torch.zeros(2, 3), reward=torch.zeros(2, 3))) is None
    (shown,) = filmed(report(history, tmp_path / "a.html", success=torch.tensor([0, 1])))
    assert [episode["success"] for episode in shown["episodes"]] == [False, True]


def test_text_of_a_history_stays_text_and_the_same_history_gives_the_same_page(tmp_path):
    pages = [report(judged(), tmp_path / f"{k}.html", world=Words(), title=ODD, about={ODD: ODD}) for k in range(2)]
    page = pages[0].read_text()
    assert page == pages[1].read_text()
    assert "<b>&" not in page.replace('html("b"', "")
    assert page.count("</script>") == 2  # of the data and of the viewer
    assert not re.search(r'(src|href)="(?!data:)', page.split("<script>")[0])
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)


def test_the_page_does_not_depend_on_how_python_hashes_text(tmp_path):
    write = "from recorded import *; from ethogram.simulator.report import report; "
    write += "report(on_screens((0, 5, 0, 7, 0, 4, 9, 0, 6)), 'page.html', world=object())"
    pages = set()
    for seed in "12":
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", write], env=environment, cwd=tmp_path, check=True)
        pages.add((tmp_path / "page.html").read_text())
    assert len(pages) == 1


def test_sites_with_a_slash_that_are_no_verdicts_are_shown_as_they_are(tmp_path):
    sites = {"time/ms": torch.full((2, 4), 250.0), "said/raw": np.full((2, 4), ODD, dtype=object)}
    history = on_screens(**sites, **{"part/of": {"a": torch.zeros(2, 4)}})
    page = report(history, tmp_path / "a.html", world=Words())
    step = filmed(page)[0]["episodes"][0]["steps"][0]
    assert step["sites"] == {"time/ms": 250.0, "said/raw": ODD, "part/of": {"a": 0.0}}
    assert step["verdicts"] == {}
    assert "Verdicts" not in page.read_text()


def test_only_the_first_episodes_are_filmed_and_all_are_counted(tmp_path):
    page = report(on_screens(rows=7), tmp_path / "a.html", world=Words(), episodes=3)
    (shown,) = filmed(page)
    assert [episode["row"] for episode in shown["episodes"]] == [0, 1, 2]
    assert "the first 3 of 7 episodes" in page.read_text()
    assert "85.7 %" in page.read_text()


def test_histories_without_rows_steps_or_columns_have_a_page(tmp_path):
    for history in (
        on_screens()[:0],
        on_screens()[:, :0],
        History.of(action=torch.zeros(0, 3), reward=torch.zeros(0, 3)),
    ):
        assert "rows" in report(history, tmp_path / "a.html", world=Words()).read_text()
