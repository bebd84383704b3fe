#!/usr/bin/env bash
# Gymnasium 1.4.0: the time limit of an id is the business of gymnasium.make, which wraps the environment in TimeLimit and
# never shows the limit to the environment's constructor. gymnasium.make_vec of an id with a vector_entry_point instead
# hands it to that constructor as a keyword, max_episode_steps, whether it was registered or given by the caller. So an
# id whose single environments are made without fault fails as a vector, unless its vector class knows the keyword.
# Seen: make gives an environment that is truncated after 3 steps; make_vec raises TypeError, "unexpected keyword argument
# 'max_episode_steps'", with the limit in register and with the limit in the call.
# Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gymnasium==1.4.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class One(gymnasium.Env):
    observation_space = action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.int64(0), {}

    def step(self, action):
        return np.int64(0), 0.0, False, False, {}


class Many(VectorEnv):
    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
    single_observation_space = single_action_space = spaces.Discrete(2)

    def __init__(self, num_envs):
        self.num_envs = num_envs
        self.observation_space = self.action_space = batch_space(spaces.Discrete(2), num_envs)


gymnasium.register("With-v0", entry_point=One, vector_entry_point=Many, max_episode_steps=3)
gymnasium.register("Without-v0", entry_point=One, vector_entry_point=Many)
for name, limit in (("With-v0", {}), ("Without-v0", {"max_episode_steps": 3})):
    env = gymnasium.make(name, **limit)
    env.reset()
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]
    try:
        gymnasium.make_vec(name, num_envs=2, **limit)
    except TypeError as error:
        assert "unexpected keyword argument 'max_episode_steps'" in str(error), error
        print(f"{name} {limit}: make ends after 3 steps; make_vec: TypeError: {error}")
    else:
        raise SystemExit(f"{name}: make_vec no longer hands on the limit")
gymnasium.make_vec("Without-v0", num_envs=2)
PYTHON
