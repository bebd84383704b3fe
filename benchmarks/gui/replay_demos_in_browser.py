"""Human MiniWoB++ demonstrations done again in a real browser: how many succeed, by the pages' own reward.

Run: python benchmarks/gui/replay_demos_in_browser.py        (six minutes)

Bar: at least 80 exact successes (on a seed of the same goal) over the 59 tasks, 4 demonstrations a task. Needs a
Chromium, MiniWoB++'s pages (`make data`) and miniwob_demos_actions.jsonl.gz (where ETHOGRAM_DATA names, or --demos).
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from ethogram.envs.browser import load_demos, replay_demos


def chosen(demos, each, tasks):
    """So many successful demonstrations a task, evenly spread over those there are."""
    by_task = {}
    for demo in demos:
        if demo.raw_reward == 1 and demo.steps and (not tasks or demo.task in tasks):
            by_task.setdefault(demo.task, []).append(demo)
    return [found[k * len(found) // each] for _, found in sorted(by_task.items()) for k in range(min(each, len(found)))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demos", type=Path, help="recorded episodes (default: where ETHOGRAM_DATA names, or data)")
    parser.add_argument("--pages", type=Path, help="the wheel of miniwob, or its folder html")
    parser.add_argument("--browser", help="a Chromium (default: the first found)")
    parser.add_argument("--each", type=int, default=4, help="demonstrations a task")
    parser.add_argument("--tries", type=int, default=800, help="seeds looked through for one with the same goal")
    parser.add_argument("tasks", nargs="*", help="tasks (default: all there are)")
    given = parser.parse_args()
    try:
        demos = chosen(load_demos(given.demos), given.each, given.tasks)
        began = time.monotonic()
        played = []
        for one in replay_demos(demos, tries=given.tries, pages=given.pages, browser=given.browser):
            played.append(one)
            if one.reward != 1:
                print(f"  {one.demo.task}, {one.how}: reward {one.reward:g}; {one.problem:.90}", flush=True)
    except FileNotFoundError as error:
        sys.exit(f"skipped: {error}")
    count, won = Counter(one.how for one in played), Counter(one.how for one in played if one.reward == 1)
    tasks = {one.demo.task for one in played if one.reward == 1}
    print(f"{len(played)} demonstrations of {len({one.demo.task for one in played})} tasks")
    print(f"a seed with the same goal: {count['exact']}, of which {won['exact']} succeed (bar: 80)")
    print(f"transferred to another goal: {count['transferred']}, of which {won['transferred']} succeed")
    print(f"tasks with a success: {len(tasks)}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
