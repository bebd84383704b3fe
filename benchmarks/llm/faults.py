"""Does a server that fails in every way lose a step, and does a killed run ask anything twice?

Run: python benchmarks/llm/faults.py        (a minute or two; --quick for 1,000 requests and three kills)

10,000 requests in 100 steps to a stub on loopback, of whose answers a quarter are faults, mixed: it hangs, drops the
connection in mid-answer, says 429 with Retry-After or 500, sends truncated JSON, a wrong table, an empty answer or one
of 10 MB. The run is killed with SIGKILL ten times and begun again. Exits non-zero if a step is lost, or if a request is
asked again whose answer was on disk at a kill. What was under way at a kill is asked again; that is counted too.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ethogram.agents.llm import Abilities, Cache, Endpoint, Request

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from llm_stub import FAULTS, Stub

CONCURRENCY = 32


def request(step: int, row: int) -> Request:
    return Request((("user", f"step {step}, row {row}"),))


def run(base_url: str, cache: str, steps: int, rows: int) -> None:
    """All steps; prints how many decisions were lost."""
    with Endpoint(
        "m",
        base_url,
        cache=cache,
        abilities=Abilities(),
        concurrency=CONCURRENCY,
        timeout=1.0,
        deadline=120,
        retries=9,
    ) as model:
        lost = 0
        for step in range(steps):
            replies = model.answer([request(step, row) for row in range(rows)])
            lost += sum(reply.error is not None or not reply.text for reply in replies)
        print(f"lost {lost}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(given.run[0], given.run[1], int(given.run[2]), int(given.run[3]))
        return
    steps, rows, kills = (10, 100, 3) if given.quick else (100, 100, 10)
    total, luck = steps * rows, random.Random(0)
    rates = [0.004 if fault == "huge" else 0.0351 for fault in FAULTS]

    def faults(body: dict, number: int) -> str | None:
        return luck.choices([*FAULTS, None], [*rates, 1 - sum(rates)])[0]

    asked_again, start = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Stub(faults) as stub:
        path = Path(folder) / "answers.sqlite"
        command = [sys.executable, __file__, "--run", stub.base_url, str(path), str(steps), str(rows)]
        keys = {
            f"step {step}, row {row}": request(step, row).key("m", "loopback")
            for step in range(steps)
            for row in range(rows)
        }
        for attempt in range(kills + 1):
            kept = Cache(path).get(keys.values()) if path.exists() else {}
            before = len(stub.asked)
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
                goal = before + (total * 1.3 / (kills + 1)) * luck.uniform(0.4, 1.2)
                while attempt < kills and len(stub.asked) < goal and child.poll() is None:
                    time.sleep(0.002)
                if attempt < kills:
                    child.send_signal(signal.SIGKILL)
                said = child.communicate()[0]
            asked = [body["messages"][0]["content"] for body in stub.asked[before:]]
            asked_again += sum(keys[text] in kept for text in asked)
        injected = Counter(fault for fault in stub.injected if fault)
        answered = Counter(
            body["messages"][0]["content"]
            for body, fault in zip(stub.asked, stub.injected, strict=True)
            if fault is None
        )
        twice = sum(answered.values()) - len(answered)
        kept = len(Cache(path))
    print(f"{total:,} requests, killed {kills} times, {time.monotonic() - start:.0f} s, {len(stub.asked):,} attempts")
    print(f"faults: {dict(injected)}")
    print(f"{said.strip()} of {total:,} decisions; {kept:,} answers on disk")
    print(f"asked again with an answer on disk: {asked_again}; answered and lost under way at a kill: {twice}")
    good = said.strip() == "lost 0" and kept == total and asked_again == 0 and twice <= kills * CONCURRENCY
    print("as it must be" if good else "NOT as it must be")
    sys.exit(not good)


if __name__ == "__main__":
    main()
