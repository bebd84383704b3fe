"""The compiled CPU side of the epidemics: days of SEIR, then parts of a day in a city; the callers have torch forms."""

from typing import Any

import numpy as np

from ethogram.simulator.kernels import INCREMENT, Array, compiled, mix, unit

_INCREMENT = np.uint64(INCREMENT)


@compiled
def _begin_day(stage: Array, out: Array, total: Array, after: Array, reward: Array, may: Array) -> bool:
    """Nothing has happened yet; may: the exposed, the infectious, and the susceptible whom something reaches."""
    for i in range(stage.shape[0]):
        after[i] = stage[i]
    for i in range(stage.shape[0]):
        reward[i] = np.float32(0)
    for i in range(stage.shape[0]):
        may[i] = (stage[i] == 1) | (stage[i] == 2) | ((stage[i] == 0) & out[i] & (total[i] > 0))
    anybody = np.uint64(0)
    for eight in may.view(np.uint64):
        anybody |= eight
    return anybody != 0


@compiled
def _draw_by_stage(keys: Array, stage: Array, ids: Array, draw: Array) -> None:
    """Each person's draw for what may happen in their stage."""
    infected, onset, recovers = keys[0], keys[1], keys[2]
    for i in range(stage.shape[0]):
        key = infected if stage[i] == 0 else (onset if stage[i] == 1 else recovers)
        draw[i] = unit(mix(key + np.uint64(ids[i]) * _INCREMENT))


@compiled
def _to_whom(draw: Array, stage: Array, total: Array, chances: Array, slope: np.float32, may: Array, who: Array) -> Any:
    """How many of those to whom something may happen draw less than the most that its chance can be; who they are."""
    onset, recovers = chances[1], chances[2]
    for i in range(stage.shape[0]):
        most = slope * np.float32(total[i]) if stage[i] == 0 else (onset if stage[i] == 1 else recovers)
        may[i] = (draw[i] < most) & (may[i] != 0)
    count, by_eight = np.uint64(0), may.view(np.uint64)
    for eight in range(by_eight.shape[0]):
        if by_eight[eight] != 0:
            for i in range(8 * eight, 8 * eight + 8):
                who[count] = i
                count += np.uint64(may[i])
    return count


@compiled
def seir_day(
    keys: Array,
    chances: Array,
    transmission: float,
    ids: Array,
    stage: Array,
    out: Array,
    total: Array,
    after: Array,
    reward: Array,
) -> None:
    """Move each person on by a day of ``SEIR``, where nobody records or changes what lies in between.

    keys (3,) uint64 and chances (3,) float32: of infection (its chance is not used), onset and recovery. total: what
    reaches each person, of any type. after, reward: to be filled.
    """
    block = 1024  # which the caches hold, for passes without branches: what happens to whom cannot be predicted
    draw, may, who = np.empty(block, np.float32), np.zeros(block, np.uint8), np.empty(block + 8, np.uint32)
    slope = np.float32(transmission * (1 + 1e-6))  # no chance of infection is above slope * total, however rounded
    for first in range(0, stage.shape[0], block):
        here = slice(first, min(first + block, stage.shape[0]))
        s, o, t, a, r = stage[here], out[here], total[here], after[here], reward[here]
        may[s.shape[0] :] = 0
        if not _begin_day(s, o, t, a, r, may):
            continue
        _draw_by_stage(keys, s, ids[here], draw)
        for k in range(_to_whom(draw, s, t, chances, slope, may, who)):
            i = who[k]
            if s[i] > 0:
                a[i], r[i] = s[i] + 1, np.float32(0)
                continue
            u, hazard = np.float64(draw[i]), transmission * np.float64(t[i])
            if u < hazard * (1 - hazard / 2) * (1 - 1e-12) or u < -np.expm1(-hazard):  # most are below the lower bound
                a[i], r[i] = 1, -1


# ---- a day in a city, whose readable form is ``Epidemic.step``


@compiled
def decided(action: Array, alive: Array, isolates: Array, wants: Array) -> bool:
    """Who isolates and who wants a job, (n,) bool each, by their actions (n, 2); whether these are all 0 or 1."""
    good = True
    for i in range(alive.shape[0]):
        stays, works = action[i, 0] != 0, action[i, 1] != 0
        isolates[i], wants[i] = stays & alive[i], works
        good &= (action[i, 0] == stays) & (action[i, 1] == works)
    return good


@compiled
def attending(
    alive: Array,
    isolates: Array,
    confirmed_on: Array,
    employed: Array,
    first: int,
    out: Array,
    home: Array,
    work: Array,
) -> None:
    """(n,) float32 each: what people keep of contacts at large, in the household, and at work.

    first: who was confirmed on this day or later is in quarantine.
    """
    for i in range(alive.shape[0]):
        free = alive[i] & (not (isolates[i] | (confirmed_on[i] >= first)))
        out[i], home[i], work[i] = free, alive[i], free & employed[i]


@compiled
def shed(stage: Array, infected_on: Array, shedding: Array, day: int, who: Array, sheds: Array) -> np.int64:
    """The exposed and the infectious: how many; who (n + 1,) uint32: their places; sheds: how much each does."""
    count, last = np.uint64(0), shedding.shape[1] - 1
    for i in range(stage.shape[0]):  # without a branch, for who is ill is not predictable
        who[count] = i
        count += np.uint64((stage[i] == 1) | (stage[i] == 2))
    for k in range(count):
        i = who[k]
        sheds[k] = shedding[stage[i], min(np.int64(day - infected_on[i]), last)]
    return np.int64(count)


@compiled
def reach(
    start: Array,
    target: Array,
    weight: Array,
    who: Array,
    sheds: Array,
    attends: Array,
    resolution: float,
    limit: float,
    scale: float,
    add: bool,
    total: Array,
    pressure: Array,
) -> int:
    """The sum over contacts of what they shed where they attend, sheds * attends, all (n,).

    total: float64 zeros, becomes the sum. With ``add``, ``pressure += scale * total * attends`` is done with it,
    for attends of 0 and 1, and total is zeros again.

    start, target, weight: as of ``Contacts``, unsigned; weight is empty for contacts that all count 1. who, sheds: (k,)
    who sheds, and how much. The sum is exact, as is that of ``sum_over_contacts``. Returns 1 if any is not 0, 0 if
    all are, and -1, with nothing done, for what is not finite or beyond the limit.
    """
    grid, good, some, block, touched = 1 / resolution, True, False, 64, np.uint32(0)
    sent = np.empty(who.shape[0], np.float64)
    for k in range(who.shape[0]):
        sent[k] = np.float32(np.rint(np.float64(sheds[k] * attends[who[k]]) * grid) * resolution)
        good &= abs(sent[k]) <= limit
        some |= sent[k] != 0
    if not good or not some:
        return -1 if not good else 0
    for first in range(0, who.shape[0], block):
        last = min(first + block, who.shape[0])
        for k in range(first, last):  # one row after the other would wait for memory; asked for together, they come so
            if start[who[k]] < start[who[k] + np.uint32(1)]:
                touched += target[start[who[k]]]
        for k in range(first, last):
            if sent[k] == 0:
                continue
            for e in range(start[who[k]], start[who[k] + np.uint32(1)]):
                if weight.shape[0] > 0:
                    total[target[e]] += np.rint(sent[k] * np.float64(weight[e]) * grid) * resolution
                else:
                    total[target[e]] += sent[k]
    if add:
        for i in range(total.shape[0]):
            if attends[i] != 0:
                pressure[i] += scale * total[i]
            total[i] = 0
    return 1 if touched >= 0 else 2  # it is 1; the loop that asks for memory is left out if nobody reads what it makes


@compiled
def hazards(
    vaccinated_on: Array,
    susceptibility: Array,
    importation: float,
    latest: int,
    never: int,
    less: np.float32,
    pressure: Array,
) -> None:
    """pressure becomes the hazard; who was vaccinated on the day ``latest`` or before, ever, has ``less`` of it."""
    for i in range(pressure.shape[0]):
        protected = (vaccinated_on[i] <= latest) & (vaccinated_on[i] != never)
        share = np.float64(less) if protected else 1.0
        pressure[i] = (pressure[i] * np.float64(susceptibility[i]) + importation) * share


@compiled
def events(
    keys: Array,
    ids: Array,
    stage: Array,
    until: Array,
    vaccinated_on: Array,
    hazard: Array,
    fatality: Array,
    days: Array,
    less: np.float32,
    infected: Array,
    onset: Array,
    died: Array,
    recovered: Array,
) -> bool:
    """Who is infected, falls ill, dies and recovers, each (n,) bool; returns whether all hazards are 0 or more.

    keys: (2,) uint64 of infection and death. days: today, the latest of vaccination that protects, and NEVER.
    """
    today, latest, never, good = days[0], days[1], days[2], True
    for i in range(stage.shape[0]):
        h = hazard[i] * np.float64(stage[i] == 0)
        good &= h >= 0  # False of NaN
        infected[i] = False
        if h > 0:
            u = np.float64(unit(mix(keys[0] + np.uint64(ids[i]) * _INCREMENT)))
            infected[i] = u < h and u < -np.expm1(-h)
        due = until[i] <= today
        onset[i] = (stage[i] == 1) & due
        ends = (stage[i] == 2) & due
        died[i] = False
        if ends:
            protected = (vaccinated_on[i] <= latest) & (vaccinated_on[i] != never)
            risk = fatality[i] * less if protected else fatality[i]
            died[i] = unit(mix(keys[1] + np.uint64(ids[i]) * _INCREMENT)) < risk
        recovered[i] = ends & (not died[i])
    return good


@compiled
def some_of(key: np.uint64, ids: Array, rate: Array, among: Array, out: Array) -> None:
    """out: whether a draw is below the rate, (n,) or (1,) for all, for those among whom one is drawn."""
    for i in range(out.shape[0]):
        out[i] = among[i] and unit(mix(key + np.uint64(ids[i]) * _INCREMENT)) < rate[min(i, rate.shape[0] - 1)]


@compiled
def _duration(key: np.uint64, person: int, cumulative: Array) -> int:
    """A number of days, from 1."""
    u, days = unit(mix(key + np.uint64(person) * _INCREMENT)), 1
    for k in range(cumulative.shape[0] - 1):
        days += u >= cumulative[k]
    return days


@compiled
def move_on(
    keys: Array,
    ids: Array,
    today: int,
    exposed_days: Array,
    infectious_days: Array,
    infected: Array,
    onset: Array,
    died: Array,
    recovered: Array,
    stage: Array,
    infected_on: Array,
    until: Array,
) -> None:
    """Stages and days of infections after the events of a day, written over copies of those before.

    keys: (2,) uint64 of how long the two stages last, whose probabilities are given as running sums.
    """
    for i in range(stage.shape[0]):
        stage[i] += infected[i] + onset[i] + recovered[i] + 2 * died[i]
        if infected[i]:
            infected_on[i], until[i] = today, today + _duration(keys[0], ids[i], exposed_days)
        if onset[i]:
            until[i] = today + _duration(keys[1], ids[i], infectious_days)


@compiled
def tell(
    stage: Array,
    first: int,
    confirmed_on: Array,
    infected: Array,
    died: Array,
    isolates: Array,
    jobless: Array,
    ill: Array,
    quarantined: Array,
    reward: Array,
) -> None:
    """Tell people what they know of themselves tomorrow, int8, and the reward of today; first: see ``attending``."""
    one, idle = np.float32(0.02), np.float32(0.03)
    for i in range(stage.shape[0]):
        ill[i], quarantined[i] = stage[i] == 2, confirmed_on[i] >= first
        value = np.float32(infected[i]) + np.float32(100 * died[i])
        reward[i] = -(value + one * np.float32(isolates[i]) + idle * np.float32(jobless[i]))


@compiled
def announce(announced: Array, today: Array, residents: Array, ends: bool, out: Array) -> None:
    """out: the figures (areas, 5) that people see with today's cases, (areas,) int64; ends: whether a period does."""
    for a in range(announced.shape[0]):
        now = announced[a, 0] + np.float32(1000 * today[a]) / max(residents[a], np.float32(1))
        out[a, 0], out[a, 1] = (np.float32(0), now) if ends else (now, announced[a, 1])
        for k in range(2, 5):
            out[a, k] = announced[a, k - 1] if ends else announced[a, k]


@compiled
def read(announced: Array, area: Array, cases: Array, change: Array) -> None:
    """Look up the cases of each person's area, and how these changed against the mean of three periods before."""
    known = np.empty((announced.shape[0], 2), np.float32)
    for a in range(announced.shape[0]):
        before = (announced[a, 2] + announced[a, 3] + announced[a, 4]) / np.float32(3)
        known[a, 0], known[a, 1] = announced[a, 1], announced[a, 1] - before
    for i in range(area.shape[0]):
        cases[i], change[i] = known[area[i], 0], known[area[i], 1]
