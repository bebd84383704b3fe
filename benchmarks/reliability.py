"""Does a damaged file ever give a wrong result, and a killed run another one?

Run: python benchmarks/reliability.py        (some minutes on two CPU cores; POSIX)

Checkpoints, Parquet and .npz files are damaged at random: a bit, a byte or a block changed, cut off, cut out, doubled.
Each must be refused, or give the same to the bit. Runs of every kind that takes a checkpoint are killed with SIGKILL at
random moments, gone on from, and killed again; every one that ends must give what an uninterrupted one without a
checkpoint gives. Each try is a process of its own.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from ethogram.agents import CascadingVI, Heuristic, UniformSlates
from ethogram.agents.cascading import learn_in
from ethogram.envs.epidemics import Epidemic
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Do, Draws, History, Setup, contrast, ensemble, rollout
from ethogram.simulator.calibrate import fit_by_gradient, fit_by_search
from ethogram.simulator.checkpoints import Checkpoint, fingerprint
from ethogram.simulator.populations import shards

PEOPLE, PROCESSES = 301, 2
SESSION = CascadingSession(trap())
SLATES = UniformSlates(6, 2)


class Wandering:
    """A policy with memory of its own: where it stopped."""

    def __init__(self) -> None:
        self.at = torch.zeros(1, dtype=torch.int64)

    def act(self, observation: torch.Tensor, history: History, draws: Draws) -> torch.Tensor:
        """The next two items."""
        self.at = (self.at + 1 + observation.sum()) % 6
        return torch.stack([self.at, (self.at + 1) % 6], 1).expand(len(observation), -1)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What it remembers."""
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from there."""
        self.at = state["at"]


def fading(parameters: Any, seed: int) -> torch.Tensor:
    """A curve that fades, and noise."""
    noise = torch.special.ndtri(Draws(seed, torch.arange(10)).uniform("noise").double())
    return parameters["height"] * (-parameters["decay"] * torch.arange(10)).exp() + 0.2 * noise


def total(history: History) -> torch.Tensor:
    """The rewards of each step."""
    return history.reward.sum(0)


def learnt(history: History) -> torch.Tensor:
    """The regret of CascadingVI over 40 episodes."""
    mdp = trap()
    agent = CascadingVI(mdp.reward, mdp.length, mdp.horizon, 40)
    return learn_in(mdp, agent, 40, seed=history.seed).regret


def city(run: Callable[..., History], **how: Any) -> Any:
    """Twenty days of a small city."""
    people = synthetic_city(PEOPLE, seed=2)
    world = Epidemic(city_layers(people, daily=2), people["age"], people["area"], initial=0.05)
    closed = [Do("attends_school", 0.0, start=3)]
    history = run(world, Heuristic(), rows=PEOPLE, horizon=20, seed=4, interventions=closed, record=["infected"], **how)
    return history.columns


FIT = {"observed": fading({"height": 3.0, "decay": 0.3}, 5), "bounds": {"height": (0.0, 10.0), "decay": (0.0, 1.0)}}
ONE = Setup(SESSION, SLATES, rows=20, horizon=4)
MADE: dict[str, Callable[..., Any]] = {  # kind -> what runs it, given checkpoint= and checkpoint_every=, or neither
    "rollout": lambda **how: rollout(SESSION, SLATES, rows=50, horizon=60, record="all", **how).columns,
    "rollout, policy with memory": lambda **how: rollout(SESSION, Wandering(), rows=5, horizon=60, **how).columns,
    "rollout of a city": partial(city, rollout),
    "ensemble": lambda **how: ensemble(ONE, outcome=total, seeds=range(40), **how).values,
    "contrast": lambda **how: contrast(ONE, [Do("reward", 2.0)], outcome=total, seeds=range(20), **how).difference,
    "fit_by_search": lambda **how: fit_by_search(fading, **FIT, simulations=400, progress=False, **how).sample,
    "fit_by_gradient": lambda **how: fit_by_gradient(fading, **FIT, steps=40, progress=False, **how).sample,
    "CascadingVI learns": lambda **how: ensemble(ONE, outcome=learnt, seeds=range(20), **how).values,
    "shards": partial(city, shards.rollout),
}


def child(work: Callable[[], None]) -> int:
    """The id of a process of its own group that does some work."""
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # of a part of shards whose other part was killed
    try:
        work()
        os._exit(0)
    except BaseException:
        os._exit(1)


def run_kind(kind: str, folder: Path, rank: int = 0) -> None:
    """Run a kind with a checkpoint in a folder, and leave the fingerprint of what it gives."""
    if kind == "shards":
        dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=PROCESSES)
    found = fingerprint(MADE[kind](checkpoint=folder / "run", checkpoint_every=0))
    if rank == 0:
        (folder / "found").write_text(found)


def attempt(kind: str, folder: Path, kill_after: float | None) -> None:
    """Run a kind, or go on with it, until it ends or is killed."""
    (folder / "meeting").unlink(missing_ok=True)
    pids = [child(partial(run_kind, kind, folder, rank)) for rank in range(PROCESSES if kind == "shards" else 1)]
    if kill_after is not None:
        time.sleep(kill_after)
        for pid in pids:  # of shards all, since a part waits for the others
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


def kill_and_go_on(kind: str, kills: int, chance: random.Random) -> Counter[str]:
    """Kill runs of a kind so many times in all, and count what came of those that ended."""
    seen: Counter[str] = Counter()
    whole = fingerprint(MADE["rollout of a city" if kind == "shards" else kind]())
    longest = 0.0  # seconds of a run that nobody kills, the first
    while seen["killed"] < kills:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            while not (folder / "found").exists():
                spared, started = not longest or seen["killed"] == kills, time.monotonic()
                attempt(kind, folder, None if spared else chance.random() * longest)
                longest = longest or time.monotonic() - started
                if not (folder / "found").exists():
                    seen["DID NOT GO ON" if spared else "killed"] += 1
                    if spared:
                        break
            else:
                seen["ended"] += 1
                seen["the same" if (folder / "found").read_text() == whole else "ANOTHER RESULT"] += 1
                seen["LEFT A FILE"] += len({path.name for path in folder.iterdir()} - {"found", "meeting"})
    return +seen


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """A file with one thing wrong."""
    at, size = chance.randrange(len(whole)), chance.choice([1, 16, 512])
    before, block, after = whole[:at], whole[at : at + size], whole[at + size :]
    other = chance.randrange(len(whole))
    return chance.choice(
        [
            before + bytes([block[0] ^ 1 << chance.randrange(8)]) + block[1:] + after,
            before + chance.randbytes(len(block)) + after,
            before + bytes(len(block)) + after,
            before,
            before + after,
            before + block + block + after,
            before + whole[other : other + size] + after,
        ]
    )


def read(path: Path) -> Any:
    """What a file gives: a History, or what a run that goes on from it comes to."""
    if path.suffix == ".pt":
        return rollout(SESSION, SLATES, rows=30, horizon=9, record="all", checkpoint=path).columns
    return History.load(path).columns


class Kept(Checkpoint):
    """A checkpoint that stays where its run is complete."""

    def remove(self) -> None:
        """Not now."""


def write(path: Path, found: Path) -> None:
    """A good file of a kind, and the fingerprint of what it gives."""
    kept = partial(Kept, path) if path.suffix == ".pt" else None
    history = rollout(SESSION, SLATES, rows=30, horizon=9, record="all", checkpoint=kept, checkpoint_every=0)
    if kept is None:
        history.save(path)
    whole = path.read_bytes()
    found.write_text(fingerprint(read(path)))
    path.write_bytes(whole)


def check(path: Path, whole: str) -> None:
    """Exit with 3 where a file is refused, with 4 where it gives something else."""
    try:
        found = fingerprint(read(path))
    except ValueError:
        os._exit(3)
    os._exit(0 if found == whole else 4)


def damage(suffix: str, tries: int, chance: random.Random) -> Counter[str]:
    """Damage a kind of file so many times, and count what came of it."""
    seen: Counter[str] = Counter()
    means = {0: "the same", 3: "refused", 4: "ANOTHER RESULT"}
    with tempfile.TemporaryDirectory() as name:
        path, found = Path(name) / f"file{suffix}", Path(name) / "found"
        os.waitpid(child(partial(write, path, found)), 0)
        whole = path.read_bytes()
        for _ in range(tries):
            content = damaged(whole, chance)
            path.write_bytes(content)
            status = os.waitpid(child(partial(check, path, found.read_text())), 0)[1]
            code = os.waitstatus_to_exitcode(status)
            seen["not damaged" if content == whole else means.get(code, f"DIED ({code})")] += 1
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500, help="damaged files in all (default 500)")
    parser.add_argument("--kills", type=int, default=100, help="kills in all (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of what is damaged and when is killed (default 0)")
    options = parser.parse_args()
    torch.set_num_threads(1)  # a process that forks must have no other threads
    chance, wrong = random.Random(options.seed), 0
    work = {f"{suffix} damaged": (damage, suffix, options.files, 3) for suffix in (".pt", ".parquet", ".npz")}
    work |= {kind: (kill_and_go_on, kind, options.kills, len(MADE)) for kind in MADE}
    for number, (name, (do, kind, tries, parts)) in enumerate(work.items()):
        share = tries // parts + (number % parts < tries % parts)
        seen = do(kind, share, chance) if share else Counter[str]()
        wrong += sum(count for outcome, count in seen.items() if outcome.isupper() or outcome.startswith("DIED"))
        print(f"{name:28}", ", ".join(f"{count} {outcome}" for outcome, count in sorted(seen.items())), flush=True)
    print(f"{wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
