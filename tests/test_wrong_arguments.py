"""Wrong arguments at the doors of the public interface: refused by name, and never taken, crashed or hung on."""

import os
import pickle
import re
import signal
import warnings

import pytest
from wrong_arguments import Door
from wrong_arguments_of_records import OF_RECORDS
from wrong_arguments_of_rooms import OF_ROOMS
from wrong_arguments_of_simulator import OF_SIMULATOR

DOORS = OF_SIMULATOR + OF_RECORDS + OF_ROOMS
SECONDS = 20  # a case that takes longer hangs


def outcome(door: Door, argument: str, value: object) -> tuple[str, str]:
    """What a wrong argument leads to, in a process of its own: "refused", "accepted", "crashed", "hung"; the error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                door.call(**{**door.good, argument: value})
                found = ("accepted", "")
            except BaseException as error:
                found = ("refused", f"{type(error).__name__}: {error}")
        os.write(writing, pickle.dumps(found)[:60000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return ("hung" if os.WTERMSIG(status) == signal.SIGALRM else "crashed"), f"signal {os.WTERMSIG(status)}"
    return pickle.loads(said)


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
        (door.name, argument, repr(value)[:60]): outcome(door, argument, value)
        for door in DOORS
        for argument, value in door.cases()
    }


def test_there_are_enough(found):
    assert len(found) >= 300


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
