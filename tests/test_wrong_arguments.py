"""Wrong arguments at the doors of the public interface: refused by name, and never taken, crashed or hung on."""

import os
import pickle
import re
import signal
import warnings
from contextlib import suppress

import pytest
import torch
from wrong_arguments import Door
from wrong_arguments_of_records import OF_RECORDS
from wrong_arguments_of_rooms import OF_ROOMS
from wrong_arguments_of_simulator import OF_SIMULATOR

DOORS = OF_SIMULATOR + OF_RECORDS + OF_ROOMS
SECONDS = 20  # a case that takes longer hangs


def outcomes(door: Door, cases: list[tuple[str, object]]) -> list[tuple[str, str]]:
    """What each wrong argument of a door leads to: "refused" and the error, "accepted", "crashed" or "hung".

    They are tried in another process, and where one brings that down the rest are tried in a new one.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)  # the threads of before have not come along
        for argument, value in cases:
            signal.alarm(SECONDS)
            try:
                door.call(**{**door.good, argument: value})
                found = ("accepted", "")
            except BaseException as error:
                found = ("refused", f"{type(error).__name__}: {error}"[:1000])
            os.write(writing, pickle.dumps(found))
        os._exit(0)
    os.close(writing)
    results = []
    with os.fdopen(reading, "rb") as pipe, suppress(EOFError):
        while True:
            results.append(pickle.load(pipe))
    status = os.waitpid(child, 0)[1]
    if len(results) == len(cases):
        return results
    hung = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
    results.append(("hung" if hung else "crashed", f"status {status}"))
    return results + outcomes(door, cases[len(results) :])


def is_clear(argument: str, message: str) -> bool:
    """Whether an error names the argument and says what was expected."""
    kind = message.partition(":")[0]
    return (
        kind
        in ("TypeError", "ValueError", "LookupError", "KeyError", "IndexError", "FileNotFoundError", "RuntimeError")
        and re.search(rf"\b{argument}", message) is not None
        and "expected" in message
    )


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str, str], tuple[str, str]]:
    """(door, argument, value) -> what came of it."""
    return {
        (door.name, argument, f"{number}: {value!r:.60}"): found
        for door in DOORS
        for number, ((argument, value), found) in enumerate(
            zip(door.cases(), outcomes(door, list(door.cases())), strict=True)
        )
    }


def test_there_are_enough(found):
    assert len(found) >= 1000


def test_the_good_arguments_are_taken():
    for door in DOORS:
        if not any(value is None for value in door.good.values()):
            door.call(**door.good)


@pytest.mark.parametrize("bad", ["accepted", "crashed", "hung"])
def test_no_wrong_argument_is(found, bad):
    assert not [case for case, (how, _) in found.items() if how == bad]


def test_nearly_all_are_refused_by_name(found):
    unclear = {case: said for case, (how, said) in found.items() if how == "refused" and not is_clear(case[1], said)}
    assert len(unclear) <= 0.05 * len(found), "\n".join(f"{case}: {said}" for case, said in unclear.items())
