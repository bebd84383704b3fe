#!/usr/bin/env bash
# Mesa 3.5.1, batch_run of a model whose DataCollector has agent reporters and no model reporters: an empty list. The
# collector has all the values (get_agent_vars_dataframe shows them), but it notes its steps only where there are model
# reporters, and batch_run goes by those notes. Mesa 3.3.1 and 3.4.2 give a row for each agent.
# Seen: 3 agents over 2 steps are 9 rows in the collector, and [] from batch_run; with a model reporter beside, 3 rows.
# Exits non-zero if that changes. Needs Python 3.12 or newer, as Mesa 3.5 does (PYTHON=python3.12).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mesa==3.5.1 networkx==3.6.1 numpy==2.4.6
cat > "$folder/model.py" <<'PYTHON'
import mesa


class Town(mesa.Model):
    def __init__(self, of_model=False, rng=None):
        super().__init__(rng=rng)
        mesa.Agent.create_agents(self, 3)
        reporters = {"count": lambda model: len(model.agents)} if of_model else None
        self.datacollector = mesa.DataCollector(reporters, agent_reporters={"id": lambda agent: agent.unique_id})
        self.datacollector.collect(self)

    def step(self):
        self.datacollector.collect(self)


def rows(of_model):
    return mesa.batch_run(Town, {"of_model": of_model}, max_steps=2, display_progress=False)


town = Town()
town.step()
town.step()
collected = len(town.datacollector.get_agent_vars_dataframe())
assert collected == 9, f"the collector has {collected} rows"
assert rows(False) == [], "batch_run gives rows of agents without model reporters"
assert len(rows(True)) == 3, "batch_run gives other rows beside a model reporter"
print("agent reporters alone: 9 rows collected, none from batch_run; with a model reporter beside: 3")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/model.py"
