#!/usr/bin/env bash
# Mesa 3.5.1, batch_run(Model, {"seed": [1, 2]}): the way in which seeds are swept up to Mesa 3.3. The parameter stays in the
# product, so that there are two runs, and is then overwritten by batch_run's own rng=None: each run has seed None,
# and results report None. No error, no warning. With rng=[1, 2] the seeds arrive.
# Seen: two runs, both with None; with rng=[1, 2] the seeds 1 and 2.
# Exits non-zero if that changes. Needs Python 3.12 or newer, as Mesa 3.5 does (PYTHON=python3.12).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mesa==3.5.1 networkx==3.6.1 numpy==2.4.6
cat > "$folder/model.py" <<'PYTHON'
import warnings

import mesa


class Town(mesa.Model):
    def __init__(self, seed=None):
        super().__init__(rng=seed)
        self.given = seed
        self.datacollector = mesa.DataCollector({"given": "given"})
        self.datacollector.collect(self)

    def step(self):
        self.datacollector.collect(self)


def seeds(parameters, **how):
    return [run["given"] for run in mesa.batch_run(Town, parameters, max_steps=1, display_progress=False, **how)]


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    swept = seeds({"seed": [1, 2]})
assert swept == [None, None], f"the seeds of the parameters arrive as {swept}"
assert not said, f"there is a warning now: {said[0].message}"
assert seeds({}, rng=[1, 2]) == [1, 2], "rng=[1, 2] gives other seeds"
print('{"seed": [1, 2]}: two runs with seed None, in silence; rng=[1, 2]: seeds 1 and 2')
PYTHON
"$folder/venv/bin/python" "$folder/model.py"
