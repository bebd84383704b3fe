"""What do small runs cost, beside an earlier build and beside the same jobs by hand?

Run: python benchmarks/small_runs.py --earlier CHECKOUT            (some ten minutes; --quick for about half)
     python benchmarks/small_runs.py --only env rollout            (this build and its peers alone)

CHECKOUT is a folder with an earlier commit, for example from ``git worktree add CHECKOUT COMMIT``. Both builds run in
processes of their own, on one thread (but for the lines about a second core), and take turns, the first to go changing
from repeat to repeat. CPU time unless a line says wall. Medians over repeats; ratios are medians of paired repeats:

    earlier / this   how many times faster this build is
    this / it        on a line "/ peer": how many times this build takes what the peer takes

A target is either a multiple of a peer, or of the earlier build, or a time. Times were set beside what the earlier
build took on another machine: with --earlier, "here" is the target divided by how much faster that build runs on this
one, the stricter reading on a faster machine. Peers by hand are in ``benchmarks/small/by_hand.py``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
UNITS = {"ns": (1e9, 0), "µs": (1e6, 2), "ms": (1e3, 3), "s": (1, 4), "bytes": (1, 2)}


@dataclass(frozen=True)
class Target:
    """At most ``limit`` seconds (or bytes), or so many times what the peer takes, or what the earlier build takes."""

    limit: float
    beside: str | None = None  # the peer's name, or "earlier"
    then: float | None = None  # what the earlier build took where the limit was set


@dataclass(frozen=True)
class Group:
    """Lines that are measured together."""

    title: str
    unit: str  # of UNITS, or "… /s" for a rate
    targets: dict[str, Target] = field(default_factory=dict)
    threads: int = 1


BARE, LOOP, TENTH = Target(1.5, "its bare step"), "the step in a plain loop", Target(0.1, "earlier")
FIFTEEN = {"cold": Target(6, then=11.7), "warm": Target(3.5, then=5.1)}
GROUPS = {
    "ending": Group(
        "World whose rows end at different steps, through WorldVectorEnv: an env step",
        "µs",
        {f"{n} envs": BARE for n in ("8", "256", "4,096")},
    ),
    "vector": Group(
        "make_vec of populations of 1,000 people: env steps in all",
        "/s",
        {f"{name}, 32 envs": TENTH for name in ("Epidemic-v0", "EpidemicPlanner-v0")},
    ),
    "env": Group(
        "A step of a gymnasium.Env (Adoption and Epidemic: 100 people; a planner's decision: 1,000)",
        "µs",
        {
            "CascadingSession-v0": Target(40e-6, then=204e-6),
            "Adoption-v0": Target(0.15e-3, then=0.64e-3),
            "Epidemic-v0": Target(0.4e-3, then=2.95e-3),
            "EpidemicPlanner-v0": Target(3e-3, then=17.5e-3),
        },
    ),
    "tabular": Group(
        "make_vec of CascadingSession-v0: a row step",
        "ns",
        {
            "8 rows": Target(3000e-9, then=14_839e-9),
            "256 rows": Target(200e-9, then=774e-9),
            "4,096 rows": Target(80e-9, then=121e-9),
        },
    ),
    "rollout": Group(
        "rollout of a session world: a step of all rows",
        "µs",
        {n: Target(1.5, LOOP) for n in ("1 row", "1,000 rows")}
        | {f'{n}, record="all"': Target(2.5, LOOP) for n in ("1 row", "1,000 rows")},
    ),
    "seir": Group(
        "SEIR, 16 contacts each, 100 days",
        "s",
        {
            "10,000 people": Target(0.008, then=0.036),
            "100,000 people": Target(0.05, then=0.103),
            "1,000,000 people": Target(0.5, then=0.89),
        },
    ),
    "cores": Group(
        "SEIR, 1,000,000 people, torch set to two threads",
        "s",
        {"wall, 2 threads": Target(0.6, "one thread"), "CPU, 2 threads": Target(1.15, "one thread")},
        threads=2,
    ),
    "list": Group(
        "Best list of up to 3 of 20 items",
        "µs",
        {"one state": Target(5e-6, then=19.5e-6), "batch of 1,000, a state": Target(0.15e-6, then=0.34e-6)},
    ),
    "episodes": Group(
        "episodes() with CascadingVI: an episode",
        "µs",
        {
            "TRAP, H = 3": Target(0.3e-3, then=2.1e-3),
            "20 states, 20 items, H = 3": Target(0.3e-3, then=2.1e-3),
        },
    ),
    "late": Group(
        "CascadingVI after 10,000 episodes, 25 items: an episode of learn_in",
        "µs",
        {"S = 20, H = 12": Target(4, "S = 20, H = 3")},
    ),
    "history": Group("History as kept by default: a person and day", "bytes", {"SEIR": Target(5)}),
    "import": Group(
        "Importing simulator, envs and agents, torch being imported", "s", {"wall": Target(0.5), "CPU": Target(0.5)}
    ),
    "readme": Group(
        "The fifteen lines of the README, a whole process",
        "s",
        {f"{run}, {clock}": limit for run, limit in FIFTEEN.items() for clock in ("wall", "CPU")},
    ),
}


class Side:
    """One build's process for one group."""

    def __init__(self, checkout: Path, name: str, peers: bool, budget: float) -> None:
        threads = str(GROUPS[name].threads)
        environment = os.environ | {
            "PYTHONPATH": str(checkout / ".types"),
            "OMP_NUM_THREADS": threads,
            "NUMBA_NUM_THREADS": threads,
        }
        command = [sys.executable, str(ROOT / "benchmarks" / "small" / "worker.py"), name, "--budget", str(budget)]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed by end)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command + ["--peers"] * peers, stdin=pipe, stdout=pipe, stderr=self.errors, text=True, env=environment
        )
        self.checkout = checkout

    def wait(self) -> None:
        """Until the process has set the group up."""
        if Path(found := self._line()) != self.checkout:
            self.end()
            raise RuntimeError(f"the build in use is {found}: expected {self.checkout}, whose .types is on PYTHONPATH")

    def measure(self) -> dict[str, float]:
        """All lines, once."""
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)
        return self._line()

    def end(self) -> None:
        """End the process."""
        self.process.communicate()
        self.errors.close()

    def _line(self) -> Any:
        assert self.process.stdout is not None
        if line := self.process.stdout.readline():
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines() or [f"exit status {self.process.returncode}"]
        raise RuntimeError(said[-1])


def compare(name: str, earlier: Path | None, repeats: int, budget: float) -> None:
    """One group of the table."""
    group, runs = GROUPS[name], {"this": [], "earlier": []}
    print(f"\n{group.title}{'' if group.unit == '/s' else ', ' + group.unit}   [{name}]")
    checkouts = {"this": ROOT} | ({"earlier": earlier} if earlier else {})
    sides = {label: Side(checkout, name, label == "this", budget) for label, checkout in checkouts.items()}
    for label in list(sides):  # both set up at once
        try:
            sides[label].wait()
        except RuntimeError as error:
            print(f"  {label} build left out: {error}")
            del sides[label]
    try:
        for repeat in range(repeats):
            for label in sorted(sides, reverse=bool(repeat % 2)):
                runs[label].append(sides[label].measure())
    except RuntimeError as error:
        print(f"  left out, a process ended: {error}")
        return
    for side in sides.values():
        side.end()
    for line in runs["this"][0] if runs["this"] else ():
        print(printed(line, group, runs))


def printed(line: str, group: Group, runs: dict[str, list[dict[str, float]]]) -> str:
    """One line of the table."""
    ours, _, peer = line.partition(" / ")
    this, earlier = ([run[line] for run in runs[label] if line in run] for label in ("this", "earlier"))
    faster = f"{paired(earlier, this):.2f}" if earlier else ""
    cells = f"{shown(earlier, group.unit):>10} {shown(this, group.unit):>10} {faster:>9}"
    if peer:
        beside = paired([run[ours] for run in runs["this"]], this)
        return f"    {'/ ' + peer:<34} {cells} {beside:>8.2f}"
    said = verdict(group, line, this, earlier, runs["this"]) if line in group.targets else ""
    return f"  {line:<36} {cells} {'':>8}  {said}".rstrip()


def verdict(group: Group, line: str, this: list[float], earlier: list[float], runs: list[dict[str, float]]) -> str:
    """A target, and whether it is met."""
    target = group.targets[line]
    if target.beside == "earlier":
        wanted = f">= {1 / target.limit:g}x earlier"
        return f"{wanted}: {met(paired(this, earlier) <= target.limit)}" if earlier else wanted
    if target.beside is not None:
        ratio = paired(this, [run[f"{line} / {target.beside}"] for run in runs])
        return f"<= {target.limit:g}x {target.beside}: {met(ratio <= target.limit)}"
    value, limit = statistics.median(this), target.limit
    said = f"<= {shown([limit], group.unit)}: {met(value <= limit)}"
    if earlier and target.then is not None:
        limit *= statistics.median(earlier) / target.then
        said += f"; here <= {shown([limit], group.unit)}: {met(value <= limit)}"
    return said


def met(good: bool) -> str:
    return "met" if good else "MISSED"


def paired(above: list[float], below: list[float]) -> float:
    """The median of the ratios of paired repeats."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def shown(values: list[float], unit: str) -> str:
    """The median in its unit."""
    if not values:
        return "–"
    value = statistics.median(values)
    if unit == "/s":
        return f"{1 / value:,.0f}"
    factor, digits = UNITS[unit]
    return f"{value * factor:,.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--earlier", type=Path, metavar="CHECKOUT", help="folder with an earlier commit")
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, default=list(GROUPS), metavar="NAME", help=", ".join(GROUPS)
    )
    parser.add_argument("--repeats", type=int, default=5, help="paired repeats (default 5)")
    parser.add_argument("--quick", action="store_true", help="3 repeats, a third of the time for each")
    arguments = parser.parse_args()
    earlier = arguments.earlier and arguments.earlier.resolve()
    if earlier is not None and not (earlier / ".types").is_dir():
        parser.error(f"{earlier} has no folder .types: expected a checkout of ethogram")
    repeats, budget = (3, 0.03) if arguments.quick else (arguments.repeats, 0.1)
    print(f"{'':<38} {'earlier':>10} {'this':>10} {'earlier /':>9} {'this /':>8}")
    print(f"{'medians of ' + str(repeats) + ' repeats':<38} {'build':>10} {'build':>10} {'this':>9} {'it':>8}  target")
    for name in arguments.only:
        compare(name, earlier, repeats, budget)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
