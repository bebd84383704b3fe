"""The ids of the families: Gymnasium's checker, vector and single shells, seeds, time limits, free text."""

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from bits_of_screens import Monkey
from gymnasium.utils.env_checker import check_env

import ethogram.envs  # noqa: F401  registers the ids
from ethogram.envs.gui import TYPES, VOCABULARY
from ethogram.simulator import Draws

NAMES = sorted(id for id, spec in gymnasium.registry.items() if "gui_tasks" in str(spec.kwargs.get("maker")))


def test_every_family_has_an_id():
    names = "Carry Checklist Compare Form Keypad MultiApp Reactive RecentAction Search Termination Undo"
    assert [f"ethogram/Gui{name}-v0" for name in names.split()] == NAMES


@pytest.mark.parametrize("free", [False, True], ids=["indices", "free text"])
@pytest.mark.parametrize("name", NAMES)
def test_shell_passes_gymnasiums_checker_and_draws(name, free):
    env = gymnasium.make(name, render_mode="rgb_array", free_text=free)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.reset(seed=1)
    env.step({**env.action_space.sample(), "type": 1})
    picture = env.render()
    assert picture.dtype == np.uint8
    assert picture.std() > 5


@pytest.mark.parametrize("name", NAMES)
def test_vector_shell_equals_single_shells(name):
    """Rows end at different times, so that they are at different steps."""
    many, rows = gymnasium.make_vec(name, 5, autoreset_mode="SameStep"), range(5)
    singles = [gymnasium.make(name) for _ in rows]
    monkey = Monkey()
    seen = many.reset(seed=7)[0]
    alone = [env.reset(seed=7 + i)[0] for i, env in enumerate(singles)]
    ends = 0
    for t in range(40):
        action = {k: v.numpy() for k, v in monkey.act(None, None, Draws(1, torch.arange(5), t)).items()}
        for i in rows:
            assert all(np.array_equal(seen[k][i], alone[i][k]) for k in alone[i])
        seen, reward, over, late, _ = many.step(action)
        for i, env in enumerate(singles):
            alone[i], r, o, c, _ = env.step({k: v[i] for k, v in action.items()})
            assert (r, o, c) == (reward[i], over[i], late[i])
            if o or c:
                ends += 1
                alone[i] = env.reset()[0]
    assert ends > 5


@pytest.mark.parametrize("name", NAMES)
def test_time_limit_of_make_vec_is_taken(name):
    """Gymnasium hands ``max_episode_steps`` to the constructor of a vector environment, and wraps a single one."""
    envs = gymnasium.make_vec(name, 2, max_episode_steps=3)
    assert envs.spec.max_episode_steps == 3
    envs.reset(seed=0)
    idle = {name: np.zeros((2, *(space.shape or ())), space.dtype) for name, space in envs.single_action_space.items()}
    late = [envs.step(idle)[3].tolist() for _ in range(3)]
    assert late == [[False, False], [False, False], [True, True]]


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_screens(name):
    """Whatever was played before; and other seeds show other screens."""
    one, other = gymnasium.make(name), gymnasium.make(name)
    one.reset(seed=5)
    one.step({**one.action_space.sample(), "type": TYPES.index("tap")})
    monkey = Monkey()
    seen = [env.reset(seed=3)[0] for env in (one, other)]
    for t in range(6):
        assert all(np.array_equal(seen[0][k], seen[1][k]) for k in seen[0])
        action = {k: v[0].numpy() for k, v in monkey.act(None, None, Draws(1, torch.arange(1), t)).items()}
        steps = [env.step(action) for env in (one, other)]
        assert steps[0][1:4] == steps[1][1:4]
        if steps[0][2] or steps[0][3]:
            break
        seen = [step[0] for step in steps]
    first = [other.reset(seed=seed)[0]["box"].tobytes() for seed in range(20)]
    assert len(set(first)) > 10


@pytest.mark.parametrize("name", NAMES)
def test_free_text_does_what_its_index_does(name):
    """In one row and in many; words with a space too, which Gymnasium's own Text refuses by default."""
    by_index, by_word = gymnasium.make(name), gymnasium.make(name, free_text=True)
    many = gymnasium.make_vec(name, 2, free_text=True, autoreset_mode="Disabled")
    assert "Open each" in by_word.action_space["text"]
    assert "Open each" not in gymnasium.spaces.Text(9)
    many.reset(seed=0)
    by_index.reset(seed=0), by_word.reset(seed=0)
    for element in range(1, 9):
        idle = {"point": np.zeros(2, np.float32), "direction": 0, "element": element, "type": TYPES.index("type")}
        word = ("Open each", "bara", "")[element % 3]
        seen = by_index.step({**idle, "text": VOCABULARY.index(word)})
        assert str(by_word.step({**idle, "text": word})) == str(seen)
        twice = {k: np.stack([np.asarray(v)] * 2) for k, v in idle.items()}
        assert np.array_equal(many.step({**twice, "text": (word, word)})[0]["text"][0], seen[0]["text"])
        if seen[3]:
            break


def test_what_is_no_word_is_refused_by_name():
    env = gymnasium.make("ethogram/GuiCarry-v0", free_text=True).unwrapped
    env.reset(seed=0)
    idle = {"point": np.zeros(2, np.float32), "direction": 0, "element": 1, "type": 7}
    for wrong in ("Bara", "bara ", "bara dera", 7):
        with pytest.raises(ValueError, match=rf"action\['text'\] of row 0 is {wrong}: expected an element of Words"):
            env.step({**idle, "text": wrong})
    with pytest.raises(ValueError, match=r"action\['element'\] of row 0 is 50: expected an element of Discrete\(9\)"):
        env.step({**idle, "text": "bara", "element": 50})
    with pytest.raises(ValueError, match=r"action is a dict with keys \[.*'wait'\]: expected a dict with keys \["):
        env.step({**idle, "text": "bara", "wait": 1})
    with pytest.raises(ValueError, match="mask or probability is given"):
        env.action_space["text"].sample(mask=(3, None))
    with pytest.raises(TypeError, match="unknown keyword 'distanse': expected some of distance, facts"):
        gymnasium.make("ethogram/GuiCarry-v0", distanse=3)
    with pytest.raises(TypeError, match="free_text is a str: expected True or False"):
        gymnasium.make("ethogram/GuiCarry-v0", free_text="yes")
