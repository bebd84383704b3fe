#!/usr/bin/env bash
# Stable-Baselines3 2.9.2 with Gymnasium 1.4.0: make_vec_env of an id adds render_mode="rgb_array" to the constructor's
# keywords, which gymnasium.make does not, and takes it back only where the constructor answers with a TypeError. A
# constructor that collects its settings (**settings) is handed a setting that nobody gave: if it checks them and raises
# ValueError, the id cannot be made; if it does not, the setting is silently there.
# Seen: the same id and the same keywords work in gymnasium.make, and in make_vec_env raise the constructor's ValueError
# about render_mode; with env_kwargs={"render_mode": None} it still is a setting.
# Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gymnasium==1.4.0 numpy==2.4.6 stable-baselines3==2.9.2 torch==2.13.0 \
    --extra-index-url https://download.pytorch.org/whl/cpu
"$folder/venv/bin/python" - <<'PYTHON'
import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env


class Tank(gymnasium.Env):
    """An environment of named parameters."""

    observation_space, action_space = spaces.Box(0, 1, (1,), np.float32), spaces.Discrete(2)

    def __init__(self, **settings):
        if unknown := set(settings) - {"volume", "flow"}:
            raise ValueError(f"no parameters {sorted(unknown)}")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}


gymnasium.register("Tank-v0", entry_point=Tank)
gymnasium.make("Tank-v0", volume=2).reset()
for given in ({"volume": 2}, {"volume": 2, "render_mode": None}):
    try:
        make_vec_env("Tank-v0", n_envs=1, env_kwargs=given)
    except ValueError as error:
        assert "no parameters ['render_mode']" in str(error), error
        print(f"gymnasium.make works; make_vec_env(env_kwargs={given}): ValueError: {error}")
    else:
        raise SystemExit("make_vec_env no longer adds render_mode to what the constructor is given")
PYTHON
