"""One policy in every world: symbolic screens, recorded sessions, pages in a browser, and a world of one's own."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import ethogram.envs  # noqa: F401  (registers the ids)
from ethogram.agents.gui import Scripted
from ethogram.agents.gui_baselines import CopyReference
from ethogram.agents.gui_learning import (
    DID,
    GuiPolicy,
    Imitation,
    Steps,
    episodes_of,
    parsed,
    rewards,
    screens,
    steps_of,
    successes,
    symbols,
    written,
)
from ethogram.agents.har import hybrid_reward
from ethogram.agents.learning import load_weights, save_weights, train
from ethogram.envs import gui_tasks
from ethogram.envs.browser import BrowserError, BrowserGui, find_browser, html_page
from ethogram.envs.gui import TYPES, VOCABULARY, GuiAction, GuiActions, SymbolicGui, action_space
from ethogram.envs.gui_logs import Recording, Replay
from ethogram.envs.gui_metrics import RecordedEpisode, RecordedStep
from ethogram.simulator import Draws, FromGym, Transition, check_world, rollout

INFEASIBLE = VOCABULARY.index("infeasible")
GOALS = ("type cat in the box", 'open "Blue Maps" and wait', "tell me the price of a lamp")
DONE_THEN = (
    (GuiAction("tap", (0.5, 0.1)), GuiAction("type", text="cat"), GuiAction("press", key="Enter")),
    (GuiAction("open", text="blue maps"), GuiAction("wait"), GuiAction("scroll", direction="down")),
    (
        GuiAction("tap", (0.2, 0.9)),
        GuiAction("done", status="success", text="Lamp"),
        GuiAction("done", status="infeasible"),
    ),
)
BOXES, LABELS = ((0.4, 0.0, 0.6, 0.2), (0.1, 0.8, 0.3, 1.0)), ("Search box", "Lamp")


def recorded(number, goal, actions):
    steps = [RecordedStep(a, elements=BOXES, labels=LABELS) for a in actions]
    return RecordedEpisode(f"e{number}", goal, tuple(steps))


RECORDING = Recording(tuple(recorded(i, *pair) for i, pair in enumerate(zip(GOALS, DONE_THEN, strict=True))))


def reader(memory=2, seed=0, past="screens"):
    torch.manual_seed(seed)
    return GuiPolicy(
        memory, past=past, width=16, layers=1, heads=2, hidden=32, texts=True, labels=RECORDING.arrays.strings
    )


def people(recording=RECORDING):
    """People's sessions as a history: what was recorded is what is done."""
    return rollout(Replay(recording), CopyReference(recording), rows=len(recording), horizon=3)


def browser():
    try:
        find_browser()
    except BrowserError as error:
        pytest.skip(str(error))


PAGE = """<button style="position:absolute;left:10px;top:20px" onclick="chose('left')">left</button>
<button style="position:absolute;left:200px;top:20px" onclick="chose('right')">right</button>
<script>
  let side = 'left', won = 0;
  const chose = which => { won = which === side ? 1 : 0; window.ethogram.done = true; };
  window.ethogram = {
    reset(seed) { side = seed % 2 ? 'left' : 'right'; won = 0; this.done = false; },
    get goal() { return `choose ${side}`; },
    get reward() { return won; },
    done: false,
  };
</script>"""


def settings(name, tmp_path):
    """What an id needs to be made here."""
    if name == "ethogram/GuiReplay-v0":
        return {"path": RECORDING}
    if name == "ethogram/GuiPage-v0":
        browser()
        (tmp_path / "page.html").write_text(PAGE)
        return {"path": tmp_path / "page.html", "elements": 8}
    return {}


IDS = sorted(name for name in gymnasium.registry if name.startswith("ethogram/Gui"))


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("past", ["screens", "sentences"])
def test_it_acts_in_every_world_of_screens_that_gymnasium_makes(name, past, tmp_path):
    given = settings(name, tmp_path)
    world = FromGym(lambda: gymnasium.make(name, **given))
    history = rollout(world, reader(past=past), rows=2, horizon=3)
    assert history.length.min() >= 1
    steps = steps_of(history, 2, RECORDING.arrays.strings)
    assert successes(reader(), steps).shape == steps.row.shape


def test_the_ids_are_those_that_are_meant():
    assert {"ethogram/GuiReplay-v0", "ethogram/GuiPage-v0", "ethogram/GuiTermination-v0"} < set(IDS)


@pytest.mark.parametrize("mode", ["recorded", "own", "own_patched"])
def test_its_past_in_a_replay_is_what_the_world_says(mode):
    """Whatever it does itself, and whatever the history holds: a wait is a miss but where one was recorded."""
    history = rollout(Replay(RECORDING, history=mode), Waits(), rows=3, horizon=3)
    steps = steps_of(history, 2, RECORDING.arrays.strings)
    last = steps.prompts.tokens[(steps.step == 2)][:, (steps.prompts.part == DID) & (steps.prompts.age == 1)][..., 0]
    own, there = symbols.FIRST_TYPE + TYPES.index("wait"), symbols.FIRST_TYPE
    told = [there + TYPES.index(actions[1].type) for actions in DONE_THEN]
    assert last[:, 0].tolist() == (told if mode != "own" else [own] * 3)
    assert steps.truth["type"].unique().tolist() == [TYPES.index("wait")]
    policy = reader()
    seen = {name: column for name, column in history.observation.items() if name != "past"}
    now = {name: column[:, 2] for name, column in seen.items()} | {"past": at(history.observation["past"], 2)}
    acting = policy.prompts(now, history[:, :2])
    assert torch.equal(acting.tokens, steps.prompts.rows(steps.step == 2).tokens)
    assert torch.equal(acting.present, steps.prompts.rows(steps.step == 2).present)


class Waits:
    def act(self, observation, history, draws):
        return GuiActions.of([GuiAction("wait")] * len(draws.ids))._asdict()


def at(column, step):
    return {n: at(c, step) for n, c in column.items()} if isinstance(column, dict) else column[:, step]


def test_more_past_than_the_world_tells_is_refused():
    with pytest.raises(ValueError, match="tells 4 past actions: expected 5"):
        steps_of(people(), 5, RECORDING.arrays.strings)
    with pytest.raises(ValueError, match="tells 4 past actions: expected 5"):
        rollout(Replay(RECORDING), reader(memory=5), rows=1, horizon=1)


def test_what_people_did_can_be_written_learnt_and_done_again():
    """Every kind of answer there and back: a text is found in the goal or on the screen, a key and a status by name."""
    history = people()
    steps, policy = steps_of(history, 2, RECORDING.arrays.strings), reader()
    train(Imitation(policy, steps, batch=9, shorten=False), 250, rate=1e-2, progress=False)
    assert successes(policy, steps).mean() == 1
    again = rollout(Replay(RECORDING), policy, rows=3, horizon=3)
    did = GuiActions(**again.action)
    for row, actions in enumerate(DONE_THEN):
        for step, truth in enumerate(actions):
            found = did.row(row, step)
            assert (found.type, found.text.casefold(), found.key, found.status, found.direction) == (
                truth.type, truth.text.casefold(), truth.key, truth.status, truth.direction
            )  # fmt: skip
    assert again.reward.sum() >= 8  # a point is the middle of its cell
    assert episodes_of(history, RECORDING.arrays.strings).sentences[2, 0, 0] == symbols.FIRST_TYPE + TYPES.index("tap")


class Writes:
    """What an expert did, written as answers, read back, and done again."""

    def __init__(self, history):
        did = screens.deeds(history.action, {name: seen[:, :-1] for name, seen in history.observation.items()})
        answers = written({name: column.flatten(0, 1) for name, column in did.items()})
        self.again = {
            name: column.unflatten(0, history.reward.shape) for name, column in parsed(answers).action().items()
        }

    def act(self, observation, history, draws):
        return {name: column[:, history.num_steps] for name, column in self.again.items()}


@pytest.mark.parametrize("family", ["carry", "form", "undo", "search", "checklist", "compare", "keypad", "termination",
                                    "recent_action", "multi_app", "reactive"])  # fmt: skip
def test_all_that_solves_a_family_can_be_written(family):
    """Also how a task ends: that it cannot be done is a word of done."""
    app = getattr(gui_tasks, family)()
    history = rollout(SymbolicGui(app), Scripted(), rows=30, horizon=app.horizon)
    again = rollout(SymbolicGui(app), Writes(history), rows=30, horizon=app.horizon)
    assert again.reward.sum(1).tolist() == [1.0] * 30
    steps = steps_of(history, 1)
    over = steps.truth["type"] == TYPES.index("done")
    assert (family == "termination") == bool((steps.truth["text"][over] > 0).any())
    assert rewards.success(parsed(written(steps.truth)), steps.truth).all()
    other = {**steps.truth, "text": torch.where(over, INFEASIBLE - steps.truth["text"], steps.truth["text"])}
    assert not rewards.success(parsed(written(other)), steps.truth)[over].any()
    assert (rewards.reward(parsed(written(other)), steps.truth)[over] == 2).all()  # form and type, and no value
    assert (hybrid_reward(parsed(written(other)), steps.truth, torch.zeros(1))[over] == 0).all()


def test_a_trained_policy_is_saved_and_acts_as_before(tmp_path):
    policy, other = reader(seed=1), reader(seed=2)
    save_weights(policy, tmp_path / "policy.npz")
    load_weights(other, tmp_path / "policy.npz")
    one, two = (rollout(Replay(RECORDING, history="own"), p, rows=3, horizon=3) for p in (policy, other))
    assert all((np.asarray(one.action[name]) == np.asarray(two.action[name])).all() for name in one.action)


def test_it_learns_a_page_in_a_browser(tmp_path):
    browser()
    (tmp_path / "page.html").write_text(PAGE)
    world = BrowserGui(html_page(tmp_path / "page.html", 300, 100), elements=8)
    history = rollout(world, Chooses(), rows=16, horizon=1)
    assert history.reward.mean() == 1
    policy = reader(memory=0)
    before = rollout(world, policy, rows=16, horizon=1, seed=1).reward.mean()
    train(Imitation(policy, steps_of(history, 0), batch=16), 60, rate=1e-2, progress=False)
    after = rollout(world, policy, rows=16, horizon=1, seed=1).reward.mean()
    world.close()
    assert before <= 0.5
    assert after == 1  # of a choice between two


class Chooses:
    """Who taps what the goal names."""

    def act(self, observation, history, draws):
        named = [goal.split()[-1] for goal in observation["goal"]]
        places = [str(text).split("\n").index(name) for text, name in zip(observation["text"], named, strict=True)]
        return GuiActions.of([GuiAction("tap", element=1 + place) for place in places])._asdict()


LETTERS = "abcdefghijklmnopqrstuvwxyz \n"


@dataclass(frozen=True)
class Bells:
    """A user's own world: one of three bells is to be rung, which the goal names. With ids, words are numbers."""

    ids: bool = False

    observation_space = spaces.Dict({
        "box": spaces.Box(0, 1, (3, 4), np.float32),
        "kind": spaces.MultiDiscrete([15] * 3),
        "flags": spaces.MultiBinary([3, 6]),
        "text": spaces.Text(100, charset=LETTERS),
        "goal": spaces.Text(100, charset=LETTERS),
    })  # fmt: skip
    action_space = action_space(3)

    def reset(self, draws, site):
        wanted = (draws.uniform("wanted") * 3).long()
        return wanted, self.seen(wanted)

    def seen(self, wanted):
        names, n = ("low", "middle", "high"), len(wanted)
        left = torch.tensor([[0.0, 0, 0.2, 0.2], [0.4, 0, 0.6, 0.2], [0.8, 0, 1, 0.2]])
        seen = {
            "box": left.expand(n, 3, 4),
            "kind": torch.full((n, 3), 2),
            "flags": torch.ones(n, 3, 6, dtype=torch.int8),
        }
        if self.ids:
            words = torch.arange(1, 4)
            return {
                **seen,
                "flags": seen["flags"][..., :3],
                "text": words.expand(n, 3)[..., None].repeat(1, 1, 2),
                "goal": wanted[:, None] + 1,
            }
        lines = np.array(["\n".join(names)] * n, object)
        return {**seen, "text": lines, "goal": np.array([f"ring the {names[k]} bell" for k in wanted], object)}

    def step(self, state, action, draws, site):
        rung = (action["point"][:, 0] / 0.4).long()
        right = (action["type"] == 1) & (rung == state)
        return Transition(state, self.seen(state), right.float(), torch.ones_like(right))


@pytest.mark.parametrize("ids", [False, True])
def test_it_learns_a_world_of_ones_own(ids):
    world = Bells(ids)
    if not ids:
        check_world(world)
    policy = reader(memory=1)
    history = rollout(world, Rings(), rows=30, horizon=1)
    train(Imitation(policy, steps_of(history, 1), batch=30), 60, rate=1e-2, progress=False)
    assert rollout(world, policy, rows=30, horizon=1, seed=1).reward.mean() == 1


class Rings:
    def act(self, observation, history, draws):
        goal = observation["goal"]
        if isinstance(goal, torch.Tensor):
            place = goal[:, 0] - 1
        else:
            place = torch.tensor([("low", "middle", "high").index(text.split()[2]) for text in goal])
        point = torch.stack([0.1 + 0.4 * place, torch.full((len(place),), 0.1)], 1)
        taps = GuiActions.of([GuiAction("tap", (0.5, 0.5))] * len(place))._asdict()
        short = ("type", "point", "element", "direction", "text")
        ids = {"text": torch.zeros_like(place)} if isinstance(goal, torch.Tensor) else {}
        return {**{name: taps[name] for name in (short if ids else taps)}, "point": point, **ids}


def test_what_an_observation_lacks_is_named():
    world = Bells()
    _, seen = world.reset(Draws(0, torch.arange(2)), None)
    nothing = rollout(world, Rings(), rows=2, horizon=1)[:, :0]
    for name in screens.NEEDED:
        less = {key: column for key, column in seen.items() if key != name}
        with pytest.raises(ValueError, match=r"expected \['box', 'kind', 'flags', 'text', 'goal'\]"):
            reader().act(less, nothing, Draws(0, torch.arange(2)))
    with pytest.raises(ValueError, match=r"expected GuiPolicy\(texts=True\)"):
        GuiPolicy(0, width=16, layers=1, heads=2).act(seen, nothing, Draws(0, torch.arange(2)))
    with pytest.raises(ValueError, match=r"expected GuiPolicy\(texts=True\)"):
        successes(GuiPolicy(2, width=16, layers=1, heads=2), steps_of(people(), 2, RECORDING.arrays.strings))
    with pytest.raises(ValueError, match=r"expected labels=recording.arrays.strings"):
        steps_of(people(), 2)


def test_a_text_is_found_where_it_stands_and_nowhere_else():
    sources = ['Search for "Blue  Maps", then type Cat.', "Lamp", "a b c d e f g h i"]
    for text in ("blue maps", "cat", "Search for", "lamp", "b c d e f g h i"):
        found = screens.text_of(symbols.word_of(text), sources)
        assert " ".join(found.casefold().split()) == text.casefold()
    assert screens.text_of(symbols.word_of("dog"), sources) == ""


def crowded(count, goal, texts):
    n = len(texts)
    return {
        "box": torch.rand(1, count, 4),
        "kind": (torch.arange(count) < n).long()[None] * 14,
        "flags": torch.zeros(1, count, 6, dtype=torch.int8),
        "text": np.array(["\n".join(texts)], object),
        "goal": np.array([goal], object),
    }


def test_of_many_elements_those_stay_that_matter_and_the_page_says_that_there_are_more():
    """Those with a word of the goal, then those with a text, in their order."""
    texts = [""] * 30 + [f"thing {k}" for k in range(30)] + ["", "the wanted one"]
    seen = crowded(70, "find what is wanted", texts)
    told = screens.as_symbols(seen)
    assert told["more"].item()
    assert told["kind"].shape == (1, screens.ELEMENTS)
    first = [symbols.word_of(text.split()[0] if text else "container") for text in texts]
    assert told["text"][0, :, 0].tolist() == first[:9] + first[30:60] + [first[61]]
    assert torch.equal(told["box"][0, 9:39], seen["box"][0, 30:60])
    few = screens.as_symbols(crowded(70, "find", texts[:20]))
    assert not few["more"].item()
    assert (few["kind"] > 0).sum() == 20


def test_long_goals_end_in_a_sign_that_there_is_more():
    told = screens.as_symbols(crowded(5, " ".join(f"w{k}" for k in range(100)), ["a"]))["goal"][0]
    assert told.shape == (screens.GOAL_WORDS, screens.SPANS)
    assert told[-1].tolist() == [symbols.word_of("…"), 0, 0]
    assert told[0].tolist() == [symbols.word_of(text) for text in ("w0", "w0 w1", "w0 w1 w2")]


def test_answers_whose_text_stands_nowhere_are_in_the_record_as_empty_texts():
    history = people()
    steps, policy = steps_of(history, 2, RECORDING.arrays.strings), reader()
    other = {
        **steps.truth,
        "type": torch.full_like(steps.row, TYPES.index("open")),
        "text": torch.full_like(steps.row, symbols.word_of("elsewhere")),
    }
    train(Imitation(policy, Steps(steps.prompts, other, steps.row, steps.step), batch=9), 60, rate=1e-2, progress=False)
    did = rollout(Replay(RECORDING), policy, rows=3, horizon=3).action
    assert (did["type"] == TYPES.index("open")).all()
    assert (did["text"] == "").all()
