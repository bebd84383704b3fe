"""The compiled CPU side of archetypes: people packed into groups, groups made coarser, and decisions drawn."""

import numpy as np

from ethogram.simulator.kernels import INCREMENT, Array, compiled, mix, unit

_INCREMENT = np.uint64(INCREMENT)


@compiled
def pack_whole(column: Array, low: int, size: int, code: Array) -> None:
    """Append a digit of base ``size`` to each code, (n,) int32: the whole number of a column, (n,), above ``low``."""
    for i in range(code.shape[0]):
        code[i] = np.int32(np.int64(code[i]) * size + (np.int64(column[i]) - low))


@compiled
def pack_binned(column: Array, edges: Array, code: Array) -> bool:
    """Append the number of ``edges``, (k,) ascending float64, that are <= a column; whether no number is NaN."""
    size, good = edges.shape[0] + 1, True
    for i in range(code.shape[0]):
        x = np.float64(column[i])
        good &= x == x
        level = 0
        for k in range(edges.shape[0]):
            level += edges[k] <= x
        code[i] = np.int32(code[i] * size + level)
    return good


@compiled
def count_codes(code: Array, people: Array) -> None:
    """Add how many people have each code: code (n,) int32, people (size,) int64."""
    for i in range(code.shape[0]):
        people[code[i]] += 1


@compiled
def num_asked(codes: Array, people: Array, sizes: Array, rare: int, node: Array, left: Array) -> int:
    """How many questions there are if groups of fewer than ``rare`` people are answered as their parents.

    codes: (G,) int64 ascending, mixed radix of ``sizes``. people: (G,) int64. node, left: (G,) int64, overwritten: the
    groups of a level, and how many of their people are not answered for yet.
    """
    asked, nodes = 0, codes.shape[0]
    for i in range(nodes):
        node[i], left[i] = codes[i], people[i]
    for level in range(sizes.shape[0] - 1, -1, -1):
        parents = 0
        for i in range(nodes):
            rest = left[i]
            if rest >= rare:
                asked, rest = asked + 1, 0
            parent = node[i] // sizes[level]
            if parents > 0 and node[parents - 1] == parent:
                left[parents - 1] += rest
            else:
                node[parents], left[parents] = parent, rest
                parents += 1
        nodes = parents
    return asked + (left[0] > 0)


@compiled
def draw_decisions(
    keys: Array, ids: Array, others: Array, code: Array, slot: Array, chance: Array, action: Array
) -> None:
    """[isolate, work] of each person, (n, 2) int8, by the chances, (K, 2) float64, of the slot that their code has.

    keys (2,) uint64, ids and others (n,) int64: of the draws of the two decisions. code (n,) int32, slot (size,) int32.
    """
    for i in range(code.shape[0]):
        row = slot[code[i]]
        isolate = unit(mix(keys[0] + np.uint64(ids[i]) * _INCREMENT))
        work = unit(mix(keys[1] + np.uint64(others[i]) * _INCREMENT))
        action[i, 0] = np.float64(isolate) < chance[row, 0]
        action[i, 1] = np.float64(work) < chance[row, 1]
