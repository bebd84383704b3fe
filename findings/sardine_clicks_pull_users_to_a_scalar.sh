#!/usr/bin/env bash
# SARDINE 1.0.8 (sardine-rec), ids with influence (env_omega < 1), such as sardine/SlateTopK-BoredInf-v0: a click is said
# to move the user's embedding towards the average of the clicked items' embeddings. The average is taken over all their
# numbers at once, so that it is one scalar, added alike to every topic: each click moves the user towards the same
# point, equal interest in all topics, whatever was clicked.
# Seen: the embedding after a step with clicks equals the one made with that scalar, and not the one made with the average
# embedding; the largest difference to the latter, over 20 steps with clicks, is about 0.03.
# Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gymnasium==1.4.0 numpy==2.4.6 sardine-rec==1.0.8
"$folder/venv/bin/python" - <<'PYTHON'
import gymnasium
import numpy as np
import sardine  # registers its ids

env = gymnasium.make("sardine/SlateTopK-BoredInf-v0").unwrapped
env.reset(seed=0)
slates, steps, apart = np.random.default_rng(0), 0, 0.0
unit = lambda vector: vector / np.linalg.norm(vector)
while steps < 20:
    before, slate = env.user_embedd.copy(), slates.permutation(env.num_items)[: env.slate_size]
    _, _, over, _, info = env.step(slate)
    clicked = env.item_embedd[slate[info["clicks"] > 0]]
    if len(clicked):
        scalar = unit(env.omega * before + (1 - env.omega) * clicked.mean())
        vector = unit(env.omega * before + (1 - env.omega) * clicked.mean(axis=0))
        assert np.allclose(env.user_embedd, scalar), "the user no longer moves by a scalar"
        apart, steps = max(apart, np.abs(env.user_embedd - vector).max()), steps + 1
    if over:
        env.reset()
assert apart > 0.01, f"scalar and average embedding agree to {apart}"
print(f"20 steps with clicks: as with one scalar for all topics; from the average embedding up to {apart:.3f} away")
PYTHON
