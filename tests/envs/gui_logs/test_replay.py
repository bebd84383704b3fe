"""The world in which recorded sessions are acted on again."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import ethogram.envs  # noqa: F401  (registers the id)
from ethogram.agents.gui_baselines import AfterLast, AnyAction, CopyReference, RepeatLast
from ethogram.envs.gui import TYPES, GuiAction, GuiActions
from ethogram.envs.gui_logs import Recording, Replay, progress, success
from ethogram.envs.gui_metrics import METRICS, RecordedEpisode, RecordedStep
from ethogram.simulator import Do, rollout
from ethogram.simulator.checks import check_world

TAP, OTHER, BACK = GuiAction("tap", (0.25, 0.5)), GuiAction("tap", (0.75, 0.5)), GuiAction("back")
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
ONE = RecordedStep(TAP, (LEFT,), ("Wi-Fi",), (1080, 2400), "tap Wi-Fi", (LEFT, RIGHT), ("Wi-Fi", "Clock"))
GONE = RecordedStep(None)


def typed(text):
    return RecordedStep(GuiAction("type", text=text))


LONG = RecordedEpisode("long", "turn it on", (ONE, typed("hello"), RecordedStep(BACK), ONE))
SHORT = RecordedEpisode("short", "go back", (RecordedStep(BACK), GONE))
SMALL = Recording((LONG, SHORT))


class Script:
    """So many actions, one after the other, in every row."""

    def __init__(self, *actions):
        self.actions = actions

    def act(self, seen, history, draws):
        return GuiActions.of([self.actions[draws.step]] * len(draws.ids))._asdict()


SCRIPT = Script(TAP, OTHER, BACK, TAP)  # the second is wrong in LONG


def past(history, step):
    """The types and owners of what LONG's policy saw of its past."""
    seen = history.observation["past"]
    return [
        (TYPES[kind], whose)
        for kind, whose in zip(seen["type"][0, step].tolist(), seen["whose"][0, step].tolist(), strict=True)
        if whose
    ]


@pytest.mark.parametrize(
    ("mode", "third"),
    [
        ("recorded", [("tap", 1), ("type", 1)]),
        ("own", [("tap", 2), ("tap", 2)]),
        ("own_patched", [("tap", 2), ("type", 1)]),
    ],
)
def test_the_past_is_the_references_or_the_policys_own_by_mode(mode, third):
    history = rollout(Replay(SMALL, mode, past=3), SCRIPT, rows=2, horizon=4, record="all")
    assert past(history, 0) == []
    assert past(history, 2) == third
    texts = history.observation["past"]["text"]
    assert texts["2"][0, 2] == ("" if mode == "own" else "hello")
    assert history.reward[0].tolist() == [1, 0, 1, 1]
    assert history.sites["missed"][0].tolist() == [False, True, False, False]
    assert history.length.tolist() == [4, 2]
    assert history.terminated[0].tolist() == [False, False, False, True]


def test_recorded_screens_follow_whatever_is_done():
    shown = [rollout(Replay(SMALL, mode), SCRIPT, rows=2, horizon=4).observation for mode in ("recorded", "own")]
    for name in ("episode", "step", "screen", "box", "label"):
        assert torch.equal(shown[0][name], shown[1][name])
    assert shown[0]["step"].tolist() == [[0, 1, 2, 3, 3], [0, 1, 1, 1, 1]]
    assert shown[0]["goal"][:, 0].tolist() == ["turn it on", "go back"]
    assert set(shown[0]["instruction"].ravel()) == {""}
    told = rollout(Replay(SMALL, instructions=True), SCRIPT, rows=2, horizon=4).observation["instruction"]
    assert told[0].tolist() == ["tap Wi-Fi", "", "", "tap Wi-Fi", "tap Wi-Fi"]
    assert [SMALL.arrays.strings[i] for i in shown[0]["label"][0, 0]] == ["Wi-Fi", "Clock"]


def test_stop_on_miss_ends_with_the_first_miss():
    history = rollout(Replay(SMALL, "own", stop_on_miss=True), SCRIPT, rows=2, horizon=4, record=["match/strict"])
    assert history.length.tolist() == [2, 1]
    assert history.terminated[0].tolist() == [False, True, True, True][:2]
    assert progress(history, SMALL, "match/strict").tolist() == [0.25, 0.0]
    right = rollout(Replay(SMALL, "own", stop_on_miss=True), CopyReference(SMALL), rows=2, horizon=4, record="all")
    assert success(right, SMALL, "match/strict").tolist() == [1, 1]
    with pytest.raises(ValueError, match="never patches"):
        Replay(SMALL, "own_patched", stop_on_miss=True)


def test_every_metric_is_a_site_and_any_is_the_reward():
    history = rollout(Replay(SMALL, metric="match/aitw"), SCRIPT, rows=2, horizon=4, record="all")
    assert set(METRICS) < set(history.sites)
    verdict = history.sites["match/aitw"]
    assert torch.equal(verdict[0], history.reward[0])
    assert verdict[1, 1].isnan()  # no reference
    assert history.reward[1, 1] == 0
    assert not history.sites["missed"][1, 1]
    assert history.sites["mind2web/op_f1"][1, 1] == 1  # a click where the element is gone


def test_an_element_that_is_not_there_is_a_miss():
    one = Recording((RecordedEpisode("a", "", (ONE, RecordedStep(TAP, (LEFT,)))),))
    history = rollout(Replay(one), Script(*[GuiAction("tap", element=1)] * 2), rows=1, horizon=2)
    assert history.reward.tolist() == [[1, 0]]


def test_an_element_stands_for_the_middle_of_its_box():
    for element, right in ((1, 1), (2, 0)):
        script = Script(GuiAction("tap", element=element))
        assert rollout(Replay(SMALL), script, rows=1, horizon=1).reward.item() == right


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"point": torch.full((2, 2), 1.5)}, r"row 0 \(episode long, step 0\) has point .* give pixels to a codec"),
        ({"point": torch.full((2, 2), torch.nan)}, "has point"),
        ({"element": torch.tensor([3, 0])}, r"row 0 \(episode long, step 0\) has element 3: expected 0 for none to 2"),
        ({"element": torch.tensor([0, -1])}, r"row 1 \(episode short, step 0\) has element -1"),
        ({"key": torch.tensor([0, 900])}, "row 1 .* has key 900: expected 0 to"),
        ({"type": torch.tensor([16, 0])}, "has type 16: expected 0 to 15"),
        ({"ms": torch.tensor([-1.0, 0])}, "has ms"),
        ({"text": np.array(["", 3], object)}, "row 1 .* has text 3: expected a str"),
        ({"another": torch.zeros(2)}, "expected a dict of"),
        ({"point": torch.zeros(2)}, r"point of actions is float32 \(2,\): expected floats \(2, 2\)"),
        ({"type": torch.zeros(2)}, r"type of actions is float32 \(2,\): expected ints \(2,\)"),
        ({"text": torch.zeros(2)}, "text of actions is float32"),
    ],
)
def test_an_action_that_is_none_is_refused_with_its_record(change, message):
    class Wrong:
        def act(self, seen, history, draws):
            return {**GuiActions.of([TAP] * 2)._asdict(), **change}

    with pytest.raises(ValueError, match=message):
        rollout(Replay(SMALL), Wrong(), rows=2, horizon=1)


def test_what_is_asked_for_must_be_there():
    with pytest.raises(ValueError, match="history is 'mine'"):
        Replay(SMALL, "mine")
    with pytest.raises(LookupError, match="no metric named 'match'"):
        Replay(SMALL, metric="match")
    with pytest.raises(TypeError, match="recording is"):
        Replay("a path")
    for name in ("stop_on_miss", "instructions"):
        with pytest.raises(TypeError, match=f"{name} is a int: expected True or False"):
            Replay(SMALL, **{name: 1})
    with pytest.raises(TypeError, match="source is a int"):
        Recording(SMALL.episodes, 3)


def test_it_keeps_the_contract_of_worlds():
    sites = ["missed", "match/strict", "match/ui_s1"]  # a swapped action may fall on an element that is not there
    check_world(Replay(SMALL, "own_patched"), AnyAction(SMALL), rows=4, horizon=4, intervene=sites)
    check_world(Replay(SMALL, "own", stop_on_miss=True), AfterLast(SMALL), rows=4, horizon=4, intervene=sites)


def test_what_is_seen_of_the_past_can_be_changed():
    def forgotten(seen):
        return {**seen, "past": {**seen["past"], "whose": torch.zeros_like(seen["past"]["whose"])}}

    do = [Do("observation", forgotten)]
    lost = rollout(Replay(SMALL), RepeatLast(), rows=1, horizon=3, interventions=do)
    kept = rollout(Replay(SMALL), RepeatLast(), rows=1, horizon=3)
    assert lost.action["type"][0].tolist() == [TYPES.index("tap")] * 3
    assert kept.action["type"][0].tolist() == [TYPES.index(name) for name in ("tap", "tap", "type")]


def test_a_patch_can_be_forced():
    do = [Do("missed", True)]
    history = rollout(Replay(SMALL, "own_patched"), CopyReference(SMALL), rows=1, horizon=4, interventions=do)
    assert history.observation["past"]["whose"][0, 3].tolist() == [0, 1, 1, 1]


def test_the_id_makes_one_and_many():
    env = gymnasium.make("ethogram/GuiReplay-v0", path=SMALL, past=2, history="own", render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=True)
    seen, _ = env.reset(seed=3)
    assert seen["goal"] in ("turn it on", "go back")
    action = {name: part[0] for name, part in GuiActions.of([TAP])._asdict().items()}
    action = {name: part if name == "text" else part.numpy() for name, part in action.items()}
    _, _, over, _, _ = env.step(action)
    assert not over
    assert env.render().ndim == 3
    many = gymnasium.make_vec("ethogram/GuiReplay-v0", 3, path=SMALL, past=2, history="own")
    first, _ = many.reset(seed=[3, 4, 5])
    assert first["goal"][0] == seen["goal"]
    for _ in range(6):
        many.step(many.action_space.sample())
    with pytest.raises(ValueError, match="source is 'aitv'"):
        gymnasium.make("ethogram/GuiReplay-v0", source="aitv")
    with pytest.raises(ValueError, match="path is missing"):
        gymnasium.make("ethogram/GuiReplay-v0", source="odyssey")
