"""Places where the runs of an ensemble happen: here, in processes of this machine, or on Ray.

All yield the same numbers, because a run depends on its seed and on nothing of where it happens. A worker that dies
(killed, or out of memory) is replaced, and what it was running runs again.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from ..arguments import checked_int

Job = Callable[[int], Any]  # the number of a run to its result
Done = Iterator[tuple[int, Any]]  # (number, result) of each run, as they finish


@runtime_checkable
class Backend(Protocol):
    """Somewhere for runs to happen."""

    def run_all(self, job: Job, numbers: Sequence[int]) -> Done:
        """(number, result) of each run, as they finish; an exception in a run ends all."""
        ...


@dataclass(frozen=True)
class Processes:
    """Runs in processes of this machine.

    workers: how many at a time; None: as many as there are processors. retries: how often a worker may be lost, one
    after the other without a finished run in between, before that is a RuntimeError.
    """

    workers: int | None = None
    retries: int = 2

    def __post_init__(self) -> None:
        _check(self.workers, self.retries)

    def run_all(self, job: Job, numbers: Sequence[int]) -> Done:
        """(number, result) of each run, as they finish."""
        return _in_processes(job, numbers, self.workers or os.cpu_count() or 1, self.retries)


@dataclass(frozen=True)
class Ray:
    """Runs on the cluster of RAY_ADDRESS or of a ``ray.init`` before, else on this machine.

    workers: how many at a time; None: as many as Ray has processors. retries: how often a run may lose its worker
    before that is a RuntimeError.
    """

    workers: int | None = None
    retries: int = 2

    def __post_init__(self) -> None:
        _check(self.workers, self.retries)

    def run_all(self, job: Job, numbers: Sequence[int]) -> Done:
        """(number, result) of each run, as they finish."""
        return _on_ray(job, numbers, self.workers, self.retries)


def run_all(job: Job, numbers: Sequence[int], backend: Backend | None) -> Done:
    """(number, result) of each run, as they finish: here and one after the other where ``backend`` is None."""
    if backend is None:
        return ((number, job(number)) for number in numbers)
    if isinstance(backend, type) or not isinstance(backend, Backend):
        raise TypeError(f"backend is {backend!r}: expected Processes(), Ray(), or None for here")
    return backend.run_all(job, numbers)


def _check(workers: int | None, retries: int) -> None:
    if workers is not None:
        checked_int("workers", workers, 1)
    checked_int("retries", retries, 0)


def _in_processes(job: Job, numbers: Sequence[int], workers: int, retries: int) -> Done:
    from concurrent.futures import BrokenExecutor, as_completed

    import cloudpickle
    from loky import ProcessPoolExecutor  # starts clean processes, and needs no `if __name__ == "__main__"`

    left, lost, payload = list(numbers), 0, cloudpickle.dumps(job)
    while left:
        pool = ProcessPoolExecutor(min(workers, len(left)), initializer=_begin, initargs=(payload, os.getpid()))
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


_loaded: tuple[bytes, Job] | None = None  # in a worker: what its runs have in common, unpacked once


def _begin(payload: bytes, parent: int) -> None:
    """A worker's first act. It goes when its parent has gone: killed, that cannot tell it to."""

    def leave() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
    _load(payload)


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


def _on_ray(job: Job, numbers: Sequence[int], workers: int | None, retries: int) -> Done:
    import cloudpickle

    try:
        import ray
    except ImportError:
        raise ImportError("Ray() needs Ray: pip install 'ethogram[ray]'") from None

    ours = not ray.is_initialized()
    if ours:  # a cluster's address, if there is one, stands in RAY_ADDRESS
        ray.init(num_cpus=workers if "RAY_ADDRESS" not in os.environ else None, include_dashboard=False)
    try:
        remote = ray.remote(max_retries=retries)(_run_shipped)
        shared = ray.put(cloudpickle.dumps(job))  # the world travels to each machine once
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
