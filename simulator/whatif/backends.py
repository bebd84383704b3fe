"""Where the runs of an ensemble happen: here, in processes of this machine, or on Ray.

All yield the same numbers, because a run depends on its seed and on nothing of where it happens. A worker that dies
(killed, or out of memory) is replaced, and what it was running runs again.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

Run = Callable[[int], Any]  # the number of a run to its result
Done = Iterator[tuple[int, Any]]

BACKENDS = ("here", "processes", "ray")


def run_all(one: Run, numbers: Sequence[int], backend: str, workers: int | None, retries: int) -> Done:
    """(number, result) of each run, as they finish.

    workers: how many at a time; None: as many as there are processors, or as Ray has. retries: how often a
    worker may be lost, one after the other without a finished run in between, before that is an error. An exception
    in a run ends all.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}: expected one of {list(BACKENDS)}")
    if (workers is not None and workers < 1) or retries < 0:
        raise ValueError(f"workers is {workers}, retries {retries}: expected 1 or more, and 0 or more")
    if backend == "here":
        return ((number, one(number)) for number in numbers)
    if backend == "processes":
        return _in_processes(one, numbers, workers or os.cpu_count() or 1, retries)
    return _on_ray(one, numbers, workers, retries)


def _in_processes(one: Run, numbers: Sequence[int], workers: int, retries: int) -> Done:
    from concurrent.futures import BrokenExecutor, as_completed

    import cloudpickle
    from loky import ProcessPoolExecutor  # starts clean processes, and needs no `if __name__ == "__main__"`

    left, lost, payload = list(numbers), 0, cloudpickle.dumps(one)
    while left:
        pool = ProcessPoolExecutor(min(workers, len(left)), initializer=_load, initargs=(payload,))
        runs = {pool.submit(_run_loaded, number): number for number in left}
        try:
            for run in as_completed(runs):
                result = run.result()
                left.remove(runs[run])
                lost = 0
                yield runs[run], result
        except BrokenExecutor as error:
            lost += 1
            if lost > retries:
                raise _lost(retries) from error
        finally:
            pool.shutdown(wait=True, kill_workers=bool(left))  # of what was given up, nothing needs to be finished


_loaded: tuple[bytes, Run] | None = None  # in a worker: what its runs have in common, unpacked once


def _load(payload: bytes) -> None:
    import cloudpickle

    global _loaded
    torch.set_num_threads(1)  # the other processors have other runs
    _loaded = payload, cloudpickle.loads(payload)


def _run_loaded(number: int) -> Any:
    assert _loaded is not None
    return _loaded[1](number)


def _run_shipped(payload: bytes, path: list[str], number: int) -> Any:
    if _loaded is None or _loaded[0] != payload:
        sys.path.extend(folder for folder in path if folder not in sys.path)  # where the sender finds its modules
        _load(payload)
    return _run_loaded(number)


def _on_ray(one: Run, numbers: Sequence[int], workers: int | None, retries: int) -> Done:
    import cloudpickle

    try:
        import ray
    except ImportError:
        raise ImportError("backend='ray' needs Ray: pip install 'ethogram[ray]'") from None

    ours = not ray.is_initialized()
    if ours:  # a cluster's address, if there is one, stands in RAY_ADDRESS
        ray.init(num_cpus=workers if "RAY_ADDRESS" not in os.environ else None, include_dashboard=False)
    try:
        remote = ray.remote(max_retries=retries)(_run_shipped)
        shared = ray.put(cloudpickle.dumps(one))  # the world travels to each machine once
        at_once = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
        waiting = list(reversed(numbers))
        running: dict[Any, int] = {}
        while waiting or running:
            while waiting and len(running) < at_once:
                number = waiting.pop()
                running[remote.remote(shared, sys.path, number)] = number
            finished, _ = ray.wait(list(running))
            for run in finished:
                try:
                    yield running.pop(run), ray.get(run)
                except ray.exceptions.WorkerCrashedError as error:
                    raise _lost(retries) from error
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error
    finally:
        if ours:
            ray.shutdown()


def _lost(retries: int) -> RuntimeError:
    return RuntimeError(
        f"a run lost its worker {retries + 1} times: killed, or out of memory; try fewer workers, or larger retries"
    )
