"""What does asking through an Endpoint cost beside the bare openai client, and how fast is its cache?

Run: python benchmarks/llm/overhead.py        (a minute; --quick for a third)

Requests a second against a trivial server on loopback in a process of its own, 16 at a time: the bare asynchronous
client of openai, and an Endpoint with retries, deadlines, a budget and a cache that keeps every answer. Both in turn,
the first to go changing; ratios are medians of paired rounds. Then hits of the cache alone and of whole requests, from
the request to its reply, by CPU seconds, since others may be using the machine. Last, a process that writes is killed
with SIGKILL: every answer that it had reported kept must be there. Exits non-zero beyond 1.3 times the bare client's
time, below 50,000 hits a CPU second, or if an answer is lost.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from llm_stub import Stub

AT_ONCE = 16


def serve(pipe: Connection) -> None:
    with Stub() as stub:
        pipe.send(stub.base_url)
        pipe.recv()


def bare(base_url: str) -> Callable[[int, int], None]:
    """The openai client as its manual has it."""
    from openai import AsyncOpenAI

    loop = asyncio.new_event_loop()
    client = AsyncOpenAI(base_url=base_url, api_key="none", timeout=60)

    def ask(first: int, number: int) -> None:
        async def all_of_them() -> None:
            slots = asyncio.Semaphore(AT_ONCE)

            async def one(row: int) -> str | None:
                async with slots:
                    found = await client.chat.completions.create(
                        model="m",
                        messages=[{"role": "system", "content": RULES}, {"role": "user", "content": f"Person {row}"}],
                        max_tokens=1,
                        temperature=1,
                        top_p=1,
                        seed=0,
                        logprobs=True,
                        top_logprobs=5,
                        extra_body={"top_k": 0, "min_p": 0},
                    )
                    return found.choices[0].message.content

            assert all(await asyncio.gather(*(one(first + row) for row in range(number))))

        loop.run_until_complete(all_of_them())

    return ask


RULES = "Decide for the person. " * 12


def requests(first: int, number: int) -> list:
    from ethogram.agents.llm import Request

    texts = (f"Person {first + row}" for row in range(number))
    return [Request((("system", RULES), ("user", text)), max_tokens=1, top_logprobs=5) for text in texts]


def ours(base_url: str, cache: Path) -> Callable[[int, int], None]:
    from ethogram.agents.llm import Abilities, Endpoint

    model = Endpoint("m", base_url, cache=cache, abilities=Abilities(), concurrency=AT_ONCE)

    def ask(first: int, number: int) -> None:
        assert all(reply.text and not reply.cached for reply in model.answer(requests(first, number)))

    return ask


def pairs(base_url: str, folder: Path, rounds: int, number: int) -> tuple[float, float]:
    """The medians of ours / bare, in wall time and in CPU time."""
    sides = {"bare openai": bare(base_url), "Endpoint": ours(base_url, folder / "a.sqlite")}
    ratios, took = [], {name: [] for name in sides}
    for turn in range(-1, rounds):  # one to warm up
        for name in sorted(sides, reverse=turn % 2 == 1):
            wall, cpu = time.perf_counter(), time.process_time()
            sides[name](max(turn + 1, 0) * number, number)
            took[name].append((time.perf_counter() - wall, time.process_time() - cpu))
        ratios.append([one / other for one, other in zip(took["Endpoint"][-1], took["bare openai"][-1], strict=True)])
    for name, times in took.items():
        wall, cpu = (statistics.median(column) for column in zip(*times[1:], strict=True))
        print(f"{name:12} {number / wall:6.0f} requests a second, {cpu / number * 1e6:6.0f} CPU us a request")
    wall, cpu = (statistics.median(column) for column in zip(*ratios[1:], strict=True))
    return wall, cpu


def hits(folder: Path, rounds: int, number: int) -> float:
    """Hits a CPU second of the cache, median over rounds."""
    from ethogram.agents.llm import Abilities, Cache, Endpoint, Reply

    cache = Cache(folder / "hits.sqlite")
    asked = requests(0, number)
    keys = [request.key("m", "loopback") for request in asked]
    logprobs = (dict.fromkeys("ABCDE", -1.5),)
    start = time.process_time()
    for key, request in zip(keys, asked, strict=True):
        cache.put(key, request, Reply("A", "length", logprobs, 147, 1))
    print(f"cache: {number / (time.process_time() - start):,.0f} answers kept a CPU second, one by one")
    model = Endpoint("m", "http://127.0.0.1:9/v1", cache=cache, abilities=Abilities())
    alone, whole = [], []
    for _ in range(rounds):
        start = time.process_time()
        assert len(cache.get(keys)) == number
        alone.append(number / (time.process_time() - start))
        start = time.process_time()
        assert all(reply.cached for reply in model.answer(asked))
        whole.append(number / (time.process_time() - start))
    print(
        f"cache: {statistics.median(alone):,.0f} hits a CPU second; {statistics.median(whole):,.0f} with their requests"
    )
    return statistics.median(alone)


WRITER = """
import sys
from ethogram.agents.llm import Cache, Reply, Request
cache = Cache(sys.argv[1])
for row in range(10**9):
    request = Request((("user", str(row)),))
    cache.put(request.key("m", "loopback"), request, Reply("A"))
    print(row, flush=True)
"""


def survives(folder: Path, kills: int) -> bool:
    from ethogram.agents.llm import Cache, Request

    path = folder / "killed.sqlite"
    for _ in range(kills):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            last = [writer.stdout.readline() for _ in range(2000)][-1]
            writer.kill()
            last = ([line for line in writer.stdout if line.endswith("\n")] or [last])[-1]
        keys = [Request((("user", str(row)),)).key("m", "loopback") for row in range(int(last) + 1)]
        missing = len(keys) - len(Cache(path).get(keys))
        print(f"killed after {len(keys):,} answers: {missing} missing")
        if missing:
            return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(there,))
    server.start()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            wall, cpu = pairs(here.recv(), folder, 4 if quick else 12, 400)
        finally:
            here.send("end")
            server.join()
        print(f"Endpoint / bare openai: {wall:.2f} times the time, {cpu:.2f} times the CPU time (bar: 1.3)")
        rate = hits(folder, 3 if quick else 7, 20_000 if quick else 60_000)
        good = survives(folder, 1 if quick else 3)
    sys.exit(not (wall <= 1.3 and rate >= 50_000 and good))


if __name__ == "__main__":
    main()
