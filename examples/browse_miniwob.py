"""How far does a reader of goals get on real web pages?

Run: python examples/browse_miniwob.py        (a minute; needs a Chromium and MiniWoB++'s pages, and says so without)

Ten of MiniWoB++'s tasks in a headless browser, four pages side by side. One policy reads the goal: it types what
stands in quotes into the fields, chooses and ticks what is named, taps what the goal names and then the button that
submits; it knows nothing of any task. The other taps anything. The pages' own rewards say who succeeds, and the screens
of one episode are drawn in a strip.
"""

import argparse
import re
from pathlib import Path

import torch

from ethogram.envs.browser import KINDS, BrowserGui, find_browser, miniwob, texts
from ethogram.envs.gui import GuiAction, GuiActions
from ethogram.simulator import rollout
from ethogram.simulator.report import plots

TASKS = (
    *("click-test-2", "click-button", "click-link", "click-button-sequence", "click-checkboxes"),
    *("choose-list", "enter-text", "enter-password", "login-user", "click-tab"),
)
SHOWN = "login-user"
SUBMITS = ("submit", "login", "ok", "search", "book")


class ReadsTheGoal:
    """Does what the goal names, in the order in which it names it."""

    def act(self, observation, history, draws):
        """An action a row."""
        rows = [{name: part[i] for name, part in observation.items()} for i in range(len(draws.ids))]
        return GuiActions.of([self.one(row, int(draws.step)) for row in rows])._asdict()

    def one(self, seen, step):
        """The next action on a screen."""
        goal, names, values = seen["goal"], texts(seen), texts(seen, "value")
        kinds = [KINDS[kind] for kind in seen["kind"][: len(names)].tolist()]
        checked = seen["flags"][:, 4].tolist()
        quoted = re.findall(r'"([^"]+)"', goal)
        fields = [k for k, kind in enumerate(kinds) if kind == "input"]
        for k, wanted in zip(fields, quoted if len(quoted) >= len(fields) else quoted * len(fields), strict=False):
            if values[k] != wanted:
                return GuiAction("type", element=k + 1, text=wanted, clear=True)
        for k, kind in enumerate(kinds):
            named = [name for name in names[k].split(" | ") if named_in(goal, name)] if kind == "select" else []
            if named and values[k] != max(named, key=len):
                return GuiAction("select", element=k + 1, text=max(named, key=len))
            label = names[k + 1] if k + 1 < len(names) else ""
            if kind in ("checkbox", "radio") and not checked[k] and named_in(goal, label):
                return GuiAction("tap", element=k + 1)
        submits = [k for k, name in enumerate(names) if kinds[k] == "button" and name.lower() in SUBMITS]
        if submits and (fields or {"select", "checkbox", "radio"} & set(kinds)):
            return GuiAction("tap", element=submits[0] + 1)
        found = [k for k, name in enumerate(names) if named_in(goal, name) and kinds[k] != "container"]
        if not found:
            return GuiAction("tap", element=1)
        most = max(len(names[k]) for k in found)
        ordered = sorted((k for k in found if len(names[k]) == most), key=lambda k: goal.find(names[k]))
        return GuiAction("tap", element=ordered[min(step, len(ordered) - 1)] + 1)


def named_in(goal, name):
    """Whether a goal names it, in words of its own."""
    return bool(name) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", goal) is not None


class TapsAnything:
    """Taps an element of the screen, any of them."""

    def act(self, observation, history, draws):
        """An action a row."""
        there = observation["count"].clamp(1, observation["kind"].shape[1])
        chosen = (draws.uniform("element") * there).long() + 1
        return GuiActions.of([GuiAction("tap", element=int(k)) for k in chosen])._asdict()


def success(task, policy, episodes):
    """The share of episodes that the page rewards with 1."""
    world = BrowserGui(miniwob(task))
    done = 0
    for seed in range(episodes // 4):
        history = rollout(world, policy, rows=4, horizon=10, seed=seed)
        done += int((history.reward.sum(1) == 1).sum())
    world.close()
    return done / (episodes // 4 * 4)


def strip(file):
    """Draw the screens of an episode side by side."""
    world = BrowserGui(miniwob(SHOWN), pixels=True)
    history = rollout(world, ReadsTheGoal(), rows=1, horizon=10, seed=0)
    world.close()
    screens = history.observation["pixels"][0, : int(history.length) + 1].numpy()
    axes = plots.panels(len(screens), columns=len(screens), size=(1.9, 2.5))
    for t, (ax, screen) in enumerate(zip(axes, screens, strict=True)):
        ax.imshow(screen)
        won = f", reward {history.reward[0, t - 1]:g}" if t else ""
        ax.set(title=f"step {t}{won}" if t else "at first", xticks=[], yticks=[])
        ax.grid(visible=False)
    return plots.save(axes, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=20, help="of each policy in each task (default 20)")
    parser.add_argument("--quick", action="store_true", help="four episodes of three tasks, in seconds")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default outputs)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    try:
        find_browser(), miniwob(TASKS[0])
    except FileNotFoundError as error:
        print(f"Nothing to show without a browser and pages: {error}.")
        return
    episodes, tasks = (4, TASKS[:3]) if given.quick else (max(4, given.episodes), TASKS)
    reads, anything = [], []
    print(f"{'success in %':24}{'reads the goal':>16}{'taps anything':>16}")
    for task in tasks:
        reads.append(100 * success(task, ReadsTheGoal(), episodes))
        anything.append(100 * success(task, TapsAnything(), episodes))
        print(f"{task:24}{reads[-1]:16.0f}{anything[-1]:16.0f}")
    print(f"{'mean':24}{sum(reads) / len(reads):16.0f}{sum(anything) / len(anything):16.0f}")
    given.out.mkdir(parents=True, exist_ok=True)
    print(f"\nPicture: {strip(given.out / 'browse_miniwob.png')}")


if __name__ == "__main__":
    main()
