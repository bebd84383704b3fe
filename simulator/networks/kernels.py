"""The compiled CPU side of contact networks: compressed rows, and sums over them.

Indices are passed as unsigned arrays (views, no copies): numba then leaves out its test for negative ones, which
makes these memory-bound loops up to twice as fast.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

from ..kernels import INCREMENT, Array, compiled, mix

_INCREMENT = np.uint64(INCREMENT)


@compiled
def count(ends: Array, start: Array) -> None:
    """start[i + 1] = how many contacts end at i, start zeroed before; then the running sum."""
    for e in range(ends.shape[0]):
        start[ends[e] + np.uint32(1)] += 1
    for i in range(1, start.shape[0]):
        start[i] += start[i - 1]


@compiled
def place(by: Array, other: Array, weight: Array, cursor: Array, other_out: Array, weight_out: Array) -> None:
    """A stable counting sort of contacts by one end; cursor: where each row begins, moved on to where it ends."""
    weighted = weight.shape[0] > 0
    for e in range(by.shape[0]):
        at = cursor[by[e]]
        cursor[by[e]] += 1
        other_out[at] = other[e]
        if weighted:
            weight_out[at] = weight[e]


@compiled
def place_rows(start: Array, target: Array, weight: Array, cursor: Array, other_out: Array, weight_out: Array) -> None:
    """``place`` by target for contacts in compressed rows: what comes out has its rows in ascending order."""
    weighted = weight.shape[0] > 0
    for i in range(start.shape[0] - 1):
        for e in range(start[i], start[i + 1]):
            at = cursor[target[e]]
            cursor[target[e]] += 1
            other_out[at] = i
            if weighted:
                weight_out[at] = weight[e]


@compiled
def asymmetry(start: Array, target: Array, weight: Array) -> np.uint64:
    """0 if each contact runs both ways with one weight; otherwise 0 with probability 2^-64: a sum of hashes."""
    total = np.uint64(0)
    bits = np.zeros(1, np.float32)
    for i in range(start.shape[0] - 1):
        here = mix(np.uint64(i + 1) * _INCREMENT)
        for e in range(start[i], start[i + 1]):
            w = np.uint64(0)
            if weight.shape[0] > 0:
                bits[0] = weight[e]
                w = np.uint64(bits.view(np.uint32)[0]) * _INCREMENT
            j = np.uint64(target[e] + np.uint32(1))
            total += mix(here + j + w) - mix(mix(j * _INCREMENT) + np.uint64(i + 1) + w)
    return total


@compiled
def row_fault(start: Array, target: Array, weight: Array, num_targets: int) -> Any:
    """(contact, what is wrong with it): 0 nothing, 1 an end out of range, 2 a self-loop, 3 a weight, 4 a repeat.

    Rows must ascend (5).
    """
    for i in range(start.shape[0] - 1):
        for e in range(start[i], start[i + 1]):
            if target[e] >= num_targets:
                return np.int64(e), 1
            if target[e] == i:
                return np.int64(e), 2
            if weight.shape[0] > 0 and not (0 <= weight[e] < np.inf):
                return np.int64(e), 3
            if e > start[i] and target[e] <= target[e - np.uint64(1)]:
                return np.int64(e), 4 if target[e] == target[e - np.uint64(1)] else 5
    return -1, 0


@intrinsic
def prefetch(_: Any, array: Any, index: Any) -> Any:
    """Ask memory for ``array[index]`` without waiting for it; an index out of range does no harm."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, *[ir.IntType(32)] * 3])
        load, keep, memory = (ir.IntType(32)(number) for number in (0, 3, 1))  # to read, in every cache, data
        builder.call(builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind), [place, load, keep, memory])
        return context.get_dummy_value()

    return numba.types.void(array, index), generate


_SOON, _NEXT = 32, 16  # how many rows ahead memory is asked for where a row lies, and for the row


@numba.njit(inline="always")
def _ask_ahead(start: Array, target: Array, who: Array, k: Any) -> None:
    """Ask for what the rows after the ``k``-th need: one by one, each would be waited for."""
    prefetch(start, who[k + _SOON])  # type: ignore[call-arg]
    row = who[k + _NEXT]
    prefetch(target, start[row])
    prefetch(target, start[row + np.uint32(1)] - np.uint64(1))


@compiled
def push(start: Array, target: Array, weight: Array, sent: Array, before: Array, resolution: float, out: Array) -> None:
    """out[target] += message of sent - message of before, along the contacts of the sources that sent otherwise."""
    held, who = 0, np.empty(sent.shape[0] + 1 + _SOON, np.uint32)
    for i in range(sent.shape[0]):
        who[held] = i
        held += sent[i] != before[i]
    who[held : held + _SOON] = 0
    for k in range(held):
        _ask_ahead(start, target, who, k)
        _push_one(start, target, weight, who[k], sent[who[k]], before[who[k]], resolution, out)


@numba.njit(inline="always")
def _push_one(
    start: Array, target: Array, weight: Array, i: Any, new: Any, old: Any, resolution: float, out: Array
) -> None:
    if weight.shape[0] > 0:
        grid = 1 / resolution
        for e in range(start[i], start[i + np.uint32(1)]):
            w = np.float64(weight[e])
            out[target[e]] += (np.rint(np.float64(new) * w * grid) - np.rint(np.float64(old) * w * grid)) * resolution
    else:
        difference = np.float64(new) - np.float64(old)
        for e in range(start[i], start[i + np.uint32(1)]):
            out[target[e]] += difference


@compiled
def push_counts(start: Array, target: Array, sent: Array, before: Array, out: Array) -> None:
    """``push`` for messages of 0 and 1 without weights: out counts, and may be of any integer type."""
    n, held, who = sent.shape[0], 0, np.empty(sent.shape[0] + 8 + _SOON, np.uint32)
    whole = n // 8 * 8
    now, then = sent[:whole].view(np.uint64), before[:whole].view(np.uint64)  # eight who send the same are passed over
    for w in range(now.shape[0]):
        if now[w] != then[w]:
            for i in range(8 * w, 8 * w + 8):
                who[held] = i
                held += sent[i] != before[i]
    for i in range(whole, n):
        who[held] = i
        held += sent[i] != before[i]
    who[held : held + _SOON] = 0
    for k in range(held):
        _ask_ahead(start, target, who, k)
        i = who[k]
        difference = np.int64(sent[i]) - np.int64(before[i])
        for e in range(start[i], start[i + np.uint32(1)]):
            out[target[e]] += difference


# Exact sums may be reordered: several at a time give the same bits, and do not wait for one another.
@partial(compiled, fastmath={"reassoc"})
def pull(start: Array, source: Array, weight: Array, sent: Array, resolution: float, out: Array) -> None:
    """out[i] = sum of sent[source] (weight) over the contacts that reach i."""
    grid = 1 / resolution
    if weight.shape[0] > 0:
        for i in range(out.shape[0]):
            total = 0.0
            for e in range(start[i], start[i + 1]):
                total += np.rint(np.float64(sent[source[e]]) * np.float64(weight[e]) * grid)
            out[i] = total * resolution
    else:
        for i in range(out.shape[0]):
            total = 0.0
            for e in range(start[i], start[i + 1]):
                total += sent[source[e]]
            out[i] = total


@compiled
def rounded(sent: Array, resolution: float, limit: float, out: Array) -> bool:
    """out = sent in multiples of the resolution, a power of two; returns whether all are finite and within limit."""
    grid, good = 1 / resolution, True
    for i in range(sent.shape[0]):
        x = np.rint(sent[i] * grid) * resolution
        good &= abs(x) <= limit
        out[i] = x
    return good


_pulls: dict[Any, Any] = {}


def pull_of(message: Callable[..., Any], num_sent: int, num_received: int, weighted: bool) -> Any:
    """A kernel that sums ``message(*sent_j, *received_i[, weight])`` over the contacts j that reach i.

    Compiled once a process, in a fraction of a second, for its code and the constants that it reads, be they closed
    over or global: a lambda may stand where it is used.
    """
    key = (_read_by(message), num_sent, num_received, weighted)
    if key not in _pulls:
        _pulls[key] = _compile_pull(message, num_sent, num_received, weighted)
    return _pulls[key]


def _read_by(message: Any) -> tuple[Any, ...]:
    """The code of a function, and the values that it finds outside its arguments."""
    closed = [cell.cell_contents for cell in message.__closure__ or ()]
    names = [name for name in message.__code__.co_names if name in message.__globals__]
    found = [*(message.__defaults__ or ()), *closed, *(message.__globals__[name] for name in names)]
    return message.__code__, *map(_constant, found)


def _constant(value: Any) -> tuple[Any, ...]:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    number = isinstance(value, int | float | complex | np.generic)
    return type(value), value if number else id(value)  # the type, since 1, 1.0 and True are equal


def _compile_pull(message: Callable[..., Any], num_sent: int, num_received: int, weighted: bool) -> Any:
    function = numba.njit(message, error_model="numpy")
    ends = [f"sent[{k}][source[e]]" for k in range(num_sent)] + [f"here{k}" for k in range(num_received)]
    here = "".join(f"        here{k} = received[{k}][i]\n" for k in range(num_received))
    # Adding 1.5 * 2^52 rounds to a whole number, which then stands in the lower bits; sums of integers are exact and
    # need one cycle each. The upper bits stay the same for what is below 2^51, and for nothing else.
    code = (
        "def pull_message(start, source, weight, sent, received, resolution, out):\n"
        "    grid, odd, good = 1 / resolution, np.int64(0), True\n"
        "    for i in range(out.shape[0]):\n"
        f"{here}"
        "        total = np.int64(0)\n"
        "        for e in range(start[i], start[i + 1]):\n"
        f"            x = np.float64(function({', '.join(ends + ['weight[e]'] * weighted)}))\n"
        "            bits = np.float64(x * grid + MAGIC).view(np.int64)\n"
        "            total += bits\n"
        "            odd |= bits ^ MAGIC_BITS\n"
        "        total -= np.int64(start[i + 1] - start[i]) * MAGIC_BITS\n"
        "        good &= abs(total) < 2**53\n"
        "        out[i] = np.float64(total) * resolution\n"
        "    return good and (odd >> np.int64(52)) == 0\n"
    )
    magic = np.float64(1.5 * 2**52)
    scope: dict[str, Any] = {"function": function, "np": np, "MAGIC": magic, "MAGIC_BITS": magic.view(np.int64)}
    exec(code, scope)  # numba unrolls neither the tuples' indices nor a starred call in a loop
    return numba.njit(nogil=True, error_model="numpy")(scope["pull_message"])


@numba.njit(inline="always")
def _bend(key: np.uint64, half: np.uint64, mask: np.uint64) -> np.uint64:
    return (mix(key + half * _INCREMENT) >> np.uint64(20)) & mask


@compiled
def shuffled(i: np.uint64, keys: Array, low: np.uint64, masks: Array, num_people: np.uint64, forth: bool) -> np.uint64:
    """The place where a person stands in a random order of all, or (``forth`` False) who stands there.

    A Feistel network over the power of two above the number of people, walked until it falls among them (Black &
    Rogaway, CT-RSA 2002).
    """
    rounds = keys.shape[0]
    while True:
        right, left = i & masks[0], i >> low
        for r in range(rounds):
            k = r if forth else rounds - 1 - r
            if k % 2 == 0:
                left ^= _bend(keys[k], right, masks[1])
            else:
                right ^= _bend(keys[k], left, masks[0])
        i = (left << low) | right
        if i < num_people:
            return i


@compiled
def push_meetings(key: np.uint64, degree: int, bits: int, rounds: int, sent: Array, out: Array) -> None:
    """out[whom i meets] += sent[i] in each of ``degree`` random matchings; bits: that hold the number of people."""
    n, one, low = np.uint64(sent.shape[0]), np.uint64(1), np.uint64(bits // 2)
    masks = np.array([(one << low) - one, (one << (np.uint64(bits) - low)) - one], np.uint64)
    keys = np.empty(rounds, np.uint64)
    for k in range(degree):
        own = mix(key + np.uint64(k + 1) * _INCREMENT)
        for r in range(rounds):
            keys[r] = mix(own + np.uint64(r) * _INCREMENT)
        for i in range(sent.shape[0]):
            if sent[i] != 0:
                place = shuffled(np.uint64(i), keys, low, masks, n, True) ^ one
                if place < n:
                    out[shuffled(place, keys, low, masks, n, False)] += sent[i]
