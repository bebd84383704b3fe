"""Every world and path gives the bits that it gave when ``same_bits.json`` was recorded.

The file holds a digest of each array of each case: of its dtype, shape and bytes, as the public accessors show it. A
change that is to be faster, shorter or tidier leaves all of them as they are. ``python tests/test_same_bits.py``
records them anew, which is right in one case only: bits are to change, and CHANGELOG.md says which and why.
"""

import json
import tempfile
from functools import partial
from pathlib import Path

import bits_of_populations  # noqa: F401  its cases
import bits_of_recordings  # noqa: F401
import bits_of_screens  # noqa: F401
import bits_of_sessions  # noqa: F401
import by_hand
import gymnasium
import numpy as np
import pytest
import torch
from bits import CASES, SAME_AS, arrays_of, case, digests, rough
from gymnasium.vector import AutoresetMode

import ethogram.envs  # noqa: F401  registers the ids
from ethogram.agents.simple import Fixed, UniformSlates
from ethogram.envs.adoption import Adoption
from ethogram.simulator.draws import Draws
from ethogram.simulator.gym import FromGym, WorldEnv, WorldVectorEnv
from ethogram.simulator.rollout import rollout

RECORDED = Path(__file__).with_name("same_bits.json")


# ---- shells of Gymnasium


def upright(env):
    return rough(rollout(FromGym(env), by_hand.Upright(), rows=3, horizon=30, seed=5))


def slid():
    return rollout(FromGym("FrozenLake-v1"), Fixed(1), rows=3, horizon=25, seed=5)


CASES |= {"a foreign CartPole": partial(upright, "CartPole-v1"), "a foreign FrozenLake": slid}


def pressed(space, n, step):
    """Actions by a formula, for n rows."""
    luck = Draws(9, torch.arange(n), step)
    if isinstance(space, gymnasium.spaces.Dict):
        return {"push": luck.uniform("push").numpy(), "kind": (torch.arange(n) + step).numpy() % 3}
    if type(space).__name__ == "Slates":
        return UniformSlates(space.num_items, space.length).act(None, None, luck).numpy()
    size = torch.Size(space.shape).numel()
    values = luck.uniform("press", size).reshape(n, *space.shape)
    return (values if space.dtype == np.float32 else values < 0.4).numpy().astype(space.dtype)


def stacked(steps):
    """Name -> array with steps first."""
    names = ("observation", "reward", "terminated", "truncated")
    parts = [arrays_of(dict(zip(names, step, strict=True))) for step in steps]
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def vector_played(envs, steps=14):
    """What a vector environment shows, and the last observations where it resets in the same step."""
    n, seen, last = envs.num_envs, [], []
    first, _ = envs.reset(seed=5)
    for t in range(steps):
        *step, info = envs.step(pressed(envs.single_action_space, n, t))
        seen.append(step)
        done = step[2] | step[3]
        last += [list(arrays_of(row).values()) for row in info.get("final_obs", ()) if row is not None]
        if envs.autoreset_mode is AutoresetMode.DISABLED and done.any():
            seen.append([envs.reset(options={"reset_mask": done})[0], *step[1:]])
    texts = np.array([repr([part.tolist() for part in row]) for row in last], dtype=object)
    return {"first": arrays_of(first), "steps": stacked(seen), "final": texts}


def single_played(env, steps=14):
    """Episode after episode of one environment."""
    seen = [(env.reset(seed=5)[0], 0.0, False, False)]
    for t in range(steps):
        action = pressed(env.action_space, 1, t)
        action = {key: part[0] for key, part in action.items()} if isinstance(action, dict) else action[0]
        seen.append(env.step(action)[:4])
        if seen[-1][2] or seen[-1][3]:
            seen.append((env.reset()[0], 0.0, False, False))
    return stacked(seen)


def ids():
    """Id -> its arguments, where no file is needed."""
    return {
        "CascadingSession": {},
        "Adoption": {"world": Adoption(by_hand.weighted(30), churn=0.2, initial=0.3), "horizon": 5},
        "Epidemic": {"world": by_hand.city(30), "horizon": 5},
        "EpidemicPlanner": {"world": by_hand.city(30), "horizon": 3},
    }


def made(name, many=None, **settings):
    """An environment by its id; many: how many rows."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "MovieLensSession":
            path = by_hand.write_release(Path(folder))
            settings |= {"path": path, "num_items": 6, "num_states": 3, "length": 2, "horizon": 4}
        else:
            settings |= ids()[name]
        name = f"ethogram/{name}-v0"
        return gymnasium.make(name, **settings) if many is None else gymnasium.make_vec(name, many, **settings)


def readers(many, mode):
    return vector_played(WorldVectorEnv(by_hand.Reading(), many, 4, mode))


def one_played(name):
    return rough(single_played(made(name)), "reward")


def many_played(name, many, mode):
    return rough(vector_played(made(name, many, autoreset_mode=mode), 8), "reward")


for _mode in AutoresetMode:
    for _many in (1, 3, 8):
        CASES[f"{_many} readers, {_mode.value}"] = partial(readers, _many, _mode)
for _name in ("CascadingSession", "MovieLensSession", "Adoption", "Epidemic", "EpidemicPlanner"):
    CASES[f"one {_name}"] = partial(one_played, _name)
    for _many, _mode in ((1, "NextStep"), (3, "NextStep"), (3, "SameStep"), (3, "Disabled"), (8, "NextStep")):
        CASES[f"{_many} rows of {_name}, {_mode}"] = partial(many_played, _name, _many, _mode)


@case
def one_reader():
    return single_played(WorldEnv(by_hand.Reading(), 4))


@case
def flat_sessions():
    return vector_played(made("CascadingSession", 3, flat=True, autoreset_mode="SameStep"))


# ---- the tests


def differing(found, recorded):
    return sorted(name for name in found.keys() | recorded.keys() if found.get(name) != recorded.get(name))


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORDED.read_text())


@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_the_bits_that_it_gave(name, recorded):
    changed = differing(digests(CASES[name]), recorded.get(name, {}))
    assert not changed, f"case '{name}': other bits in {changed} than those recorded; see the top of this file"


@pytest.mark.parametrize("name", SAME_AS)
def test_another_path_gives_the_same_bits(name, recorded):
    other, function = SAME_AS[name]
    found = digests(function)
    changed = differing(found, recorded[other])
    assert not changed, f"case '{name}': other bits in {changed} than those recorded of '{other}'"


def test_nothing_is_recorded_of_cases_that_are_gone(recorded):
    assert recorded.keys() == CASES.keys()


if __name__ == "__main__":
    torch.set_num_threads(1)
    everything = {name: digests(function) for name, function in CASES.items()}
    RECORDED.write_text(json.dumps(everything, indent=1) + "\n")
