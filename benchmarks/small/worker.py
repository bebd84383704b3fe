"""What ``small_runs.py`` measures, in the build of ethogram that lies on PYTHONPATH.

One process for each build and group of lines: python benchmarks/small/worker.py GROUP. It sets the group up, says which
build it found, and then measures all lines once for each line that it reads, answering in JSON: lines by name. Numbers
are CPU seconds for one unit of work unless the group says otherwise; "a / b" is what b takes to do what a does.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import populations
import sessions
import torch
from timing import Timed

import ethogram.envs  # registers the ids
import ethogram.simulator

GROUPS = {
    "ending": sessions.ending,
    "vector": populations.vector,
    "env": populations.env,
    "tabular": sessions.tabular,
    "rollout": sessions.rolled,
    "seir": populations.seir,
    "cores": populations.cores,
    "list": sessions.lists,
    "episodes": sessions.online,
    "late": sessions.late,
    "history": populations.history,
    "import": populations.imports,
    "readme": populations.readme,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--peers", action="store_true", help="measure what needs no ethogram, too")
    parser.add_argument("--budget", type=float, default=0.1, help="CPU seconds a line and measurement (default 0.1)")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    jobs = GROUPS[arguments.group](arguments.peers)
    print(json.dumps(str(Path(ethogram.simulator.__file__).resolve().parents[1])), flush=True)
    for _ in sys.stdin:
        found: dict[str, float] = {}
        for name, job in jobs.items():
            found |= {name: job(arguments.budget)} if isinstance(job, Timed) else job()
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
