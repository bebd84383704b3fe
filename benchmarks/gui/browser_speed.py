"""What does a step on a real page cost, beside MiniWoB++'s own Selenium environment?

Run: python benchmarks/gui/browser_speed.py --selenium /path/to/venv/bin/python        (two minutes)

email-inbox and click-test-2: a tap in the middle of the page and a look at its elements, with and without pixels; a
reset every tenth step, timed apart. CPU is that of a side's whole process tree (Python, browser, driver), from
/proc; wall time beside it. Our side and Selenium's take turns, in rounds; medians of the rounds, lowest and highest.
Bars: at most 5 ms of CPU a step without pixels, 20 ms with; at least 8 times less than Selenium without.

The interpreter for Selenium's side has miniwob==1.1.0 and selenium; chromium and chromedriver are found on the PATH.
Without it that row is skipped.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

TASKS = ("email-inbox", "click-test-2")
TICKS = os.sysconf("SC_CLK_TCK")
Side = tuple[Callable[[str], None], list[int], Callable[[], None]]
BARS = {"ours": 5.0, "ours, pixels": 20.0}
LESS = 8.0

SELENIUM = """
import json, os, sys
import gymnasium, miniwob
from miniwob.action import ActionTypes
gymnasium.register_envs(miniwob)
env = gymnasium.make(f"miniwob/{sys.argv[1]}-v1", disable_env_checker=True)
inner = env.unwrapped
env.reset(seed=0)
inner.instance.record_screenshots = sys.argv[2] == "pixels"
inner.instance.driver.execute_script("core.EPISODE_MAX_TIME = 1e9;")
action = inner.create_action(ActionTypes.CLICK_COORDS, coords=[80.0, 205.0])
print("ready", flush=True)
for line in sys.stdin:
    what = line.strip()
    if what == "reset":
        env.reset(seed=0)
    elif what == "step":
        env.step(action)
    else:
        break
    print("done", flush=True)
env.close()
"""


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents.setdefault(int(_stat(int(folder.name))[1]), []).append(int(folder.name))
        except OSError:
            continue
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += parents.get(found[-1], [])
    return found


def _stat(process: int) -> list[str]:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def cpu_ms(roots: list[int]) -> float:
    """CPU of process trees so far, with that of children which have ended."""
    total = 0
    for process in [one for root in roots for one in tree(root)]:
        try:
            total += sum(map(int, _stat(process)[11:15]))
        except OSError:
            continue
    return 1000 * total / TICKS


def ours(task: str, pixels: bool, pages: Path | None, browser: str | None) -> Side:
    """Our environment: what does a step or a reset, the processes that do it, and what closes it."""
    import gymnasium

    import ethogram.envs  # noqa: F401  (registers the id)

    how = {"task": task, "pages": pages, "browser": browser, "pixels": pixels, "time_limit": 2e9, "horizon": 10**6}
    env = gymnasium.make("ethogram/MiniWoB-v0", disable_env_checker=True, **how)
    env.reset(seed=0)
    action = env.action_space.sample() | {"type": 1, "element": 0}
    action["point"][:] = 0.5, 205 / 210

    def do(what: str) -> None:
        if what == "reset":
            env.reset(seed=0)
        else:
            env.step(action)

    return do, [env.unwrapped.world.pool.browser.process], env.close


def selenium(task: str, pixels: bool, python: str) -> Side:
    """MiniWoB++'s environment, in an interpreter that has it."""
    programs = {"MINIWOB_CHROME_BINARY": shutil.which("chromium"), "MINIWOB_CHROMEDRIVER": shutil.which("chromedriver")}
    child = subprocess.Popen(
        [python, "-c", SELENIUM, task, "pixels" if pixels else "without"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {name: path for name, path in programs.items() if path},
    )
    if child.stdout.readline().strip() != "ready":
        child.kill()
        raise RuntimeError("MiniWoB++'s environment did not begin")

    def do(what: str) -> None:
        child.stdin.write(what + "\n")
        child.stdin.flush()
        child.stdout.readline()

    def close() -> None:
        child.stdin.write("end\n")
        child.stdin.flush()
        child.wait(30)

    return do, [child.pid], close


def measured(do: Callable[[str], None], roots: list[int], steps: int) -> dict[str, float]:
    """Milliseconds a step and a reset, of CPU and of wall time."""
    found = {"step": [0.0, 0.0], "reset": [0.0, 0.0]}
    for _ in range(steps // 10):
        for what, times in (("reset", 1), ("step", 9)):
            theirs = cpu_ms(roots)  # which takes milliseconds itself: this process's own CPU is read inside of it
            own, wall = time.process_time(), time.monotonic()
            for _ in range(times):
                do(what)
            found[what][1] += 1000 * (time.monotonic() - wall)
            found[what][0] += 1000 * (time.process_time() - own) + cpu_ms(roots) - theirs
    return {
        f"{what} {unit}": found[what][k] / (steps // 10 * times)
        for what, times in (("step", 9), ("reset", 1))
        for k, unit in enumerate(("cpu", "wall"))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--selenium", metavar="PYTHON", help="an interpreter with miniwob==1.1.0 and selenium")
    parser.add_argument("--pages", type=Path, help="the wheel of miniwob, or its folder html")
    parser.add_argument("--browser", help="a Chromium (default: the first found)")
    parser.add_argument("--steps", type=int, default=200, help="steps a round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':34}{'CPU ms a step':>24}{'wall':>8}{'CPU ms a reset':>24}{'wall':>8}")
    for task in TASKS:
        sides: dict[str, Side] = {}
        try:
            for pixels in (False, True):
                name = ", pixels" if pixels else ""
                try:
                    sides[f"ours{name}"] = ours(task, pixels, given.pages, given.browser)
                except FileNotFoundError as error:
                    sys.exit(f"skipped: {error}")
                if given.selenium:
                    sides[f"Selenium{name}"] = selenium(task, pixels, given.selenium)
            rounds = [
                {name: measured(do, roots, given.steps) for name, (do, roots, _) in sides.items()}
                for _ in range(given.rounds)
            ]
        finally:
            for *_, close in sides.values():
                close()
        tell(task, sides, rounds)
    if not given.selenium:
        print("Selenium's side skipped: python -m venv there && there/bin/pip install miniwob==1.1.0 selenium, then")
        print("    --selenium there/bin/python, with chromium and chromedriver on the PATH")


def tell(task: str, sides: dict[str, Side], rounds: list[dict[str, dict[str, float]]]) -> None:
    """Print what was found for a task, beside the bars."""
    for name in sides:
        line = f"{task + ', ' + name:34}"
        for what in ("step", "reset"):
            values = [one[name][f"{what} cpu"] for one in rounds]
            told = f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"
            line += f"{told:>24}{statistics.median(one[name][f'{what} wall'] for one in rounds):8.1f}"
        print(line + (f"   bar: {BARS[name]:g}" if name in BARS else ""))
    for pixels in ("", ", pixels"):
        if f"Selenium{pixels}" in sides:
            ratios = [one[f"Selenium{pixels}"]["step cpu"] / one[f"ours{pixels}"]["step cpu"] for one in rounds]
            bar = f"; bar: {LESS:g}" if not pixels else ""
            print(f"{'':6}Selenium{pixels}: {statistics.median(ratios):.1f} times the CPU a step{bar}")


if __name__ == "__main__":
    main()
