"""A synthetic city: households, schools, workplaces and areas, and the contacts that they bring.

Designed here: shares and sizes are round numbers of the order of a North American city's, no census. For real people
use ``from_table`` or ``from_marginals`` and give ``city_layers`` their columns.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, check_is, checked_int
from ethogram.simulator.networks import Network, RandomMeetings, Timetable, within_groups
from ethogram.simulator.populations import checked_contacts

from .population import Population

HOUSEHOLD_SIZES = (0.28, 0.34, 0.15, 0.13, 0.07, 0.03)  # share of the households with 1, 2, … people
SCHOOL_AGE, WORKING_AGE = (5, 18), (18, 65)  # years, from until below
IN_WORK = 0.75  # share of those of working age who have a workplace
PUPILS, CLASS = 600, 25  # a school's, a class's
FIRM_SHAPE, LARGEST_FIRM = 1.2, 2000  # of a Pareto distribution of the firms' sizes, from 1
DEGREES = MappingProxyType({"workplace": 8.0, "school": 12.0, "community": 6.0})  # mean contacts, where groups allow


def synthetic_city(num_people: int, *, num_areas: int | None = None, seed: int = 0) -> Population:
    """People with an age (years), household, area, school and workplace (-1: none); all (n,) int64.

    Households live side by side, and so do areas: neighbours in the columns are neighbours in the city. num_areas:
    one for each 20,000 people, and at least 4, by default. Children of an area share its schools, classes are in
    ``school`` codes too (a class is what meets); workers are spread over the city's workplaces at random.
    """
    num_people = checked_int("num_people", num_people, 20)
    areas = max(4, num_people // 20_000)
    if num_areas is not None:
        areas = checked_int("num_areas", num_areas, 1, num_people // 5)  # five people each or more
    draws = Draws(seed, torch.arange(num_people), scope="city")
    household, place, size = _households(draws)
    area = household * areas // (int(household[-1]) + 1)
    age = _ages(draws, household, place, size)
    return Population(
        {
            "age": age,
            "area": area,
            "household": household,
            "school": _classes(age, area),
            "workplace": _workplaces(draws, age),
        }
    )


def _households(draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """For each person: the household, the place in it from 0, and how many live there."""
    n = len(draws.ids)
    share = torch.tensor([HOUSEHOLD_SIZES], dtype=torch.float64)
    sizes = draws.inverse_cdf("household", share.cumsum(1), torch.zeros(n, dtype=torch.int64)) + 1
    last = sizes.cumsum(0)
    sizes = sizes[: int(torch.searchsorted(last, n)) + 1]  # as many households as the people fill
    household = torch.repeat_interleave(torch.arange(len(sizes)), sizes)[:n]
    first = torch.nn.functional.pad(sizes.cumsum(0), (1, -1))
    size = household.bincount()
    return household, torch.arange(n) - first[household], size[household]


def _ages(draws: Draws, household: Tensor, place: Tensor, size: Tensor) -> Tensor:
    """One or two adults of like age; from three people on the others are mostly children."""
    own = draws.uniform("age").double()
    head = draws.uniform("age of household").double()[household]  # one draw a household
    alone, family = 20 + 70 * head, 25 + 30 * head
    adult = torch.where(size >= 3, family, alone) + 6 * own - 3
    child = 20 * own
    grandparent = family + 25 + 5 * own
    third = torch.where(draws.bernoulli("grandparent", 0.1), grandparent, child)
    return torch.where(place < 2, adult, third).floor().long().clamp(0, 99)


def _classes(age: Tensor, area: Tensor) -> Tensor:
    """(n,) the class of each who is of school age: those of one age in one school, in order."""
    pupils = ((age >= SCHOOL_AGE[0]) & (age < SCHOOL_AGE[1])).nonzero()[:, 0]
    school = _chunks(area[pupils], PUPILS)
    form = _chunks(school * 100 + age[pupils], CLASS)
    return torch.full_like(age, -1).index_put((pupils,), form)


def _chunks(group: Tensor, size: int) -> Tensor:
    """Codes of parts of each group, of ``size`` members in their order, the last smaller."""
    order = group.argsort(stable=True)
    _, codes, counts = torch.unique_consecutive(group[order], return_inverse=True, return_counts=True)
    rank = torch.arange(len(group)) - (counts.cumsum(0) - counts)[codes]
    part = codes * (len(group) // size + 1) + rank // size
    return torch.empty_like(group).index_put((order,), torch.unique_consecutive(part, return_inverse=True)[1])


def _workplaces(draws: Draws, age: Tensor) -> Tensor:
    """(n,) workplaces with Pareto-distributed sizes, filled in random order."""
    adult = (age >= WORKING_AGE[0]) & (age < WORKING_AGE[1])
    workers = draws.bernoulli("works", IN_WORK, among=adult).nonzero()[:, 0]
    workers = workers[draws.of(workers).uniform("workplace").argsort(stable=True)]
    sizes = draws.uniform("size of workplace")[: len(workers)].double() ** (-1 / FIRM_SHAPE)
    ends = sizes.floor().clamp(max=LARGEST_FIRM).long().cumsum(0)
    firm = torch.searchsorted(ends, torch.arange(len(workers)), right=True)
    return torch.full_like(age, -1).index_put((workers,), firm)


def city_layers(
    people: Population, *, degrees: Mapping[str, float] = DEGREES, daily: int = 0, seed: int = 0
) -> dict[str, Network]:
    """The contacts of a city in layers: what ``Epidemic(layers=…)`` takes.

    "household": all pairs. "workplace" and "school": random pairs inside each, of the mean degree, all pairs where
    there are fewer. "community": random pairs all over an area. "city", if ``daily`` is above 0: so many random
    meetings a day, different ones each day, with anybody. people: with the columns household, workplace, school
    (-1: none) and area; a column that is missing has no layer.
    """
    check_is("people", people, Population, "a Population, such as synthetic_city makes")
    check_is("degrees", degrees, Mapping, f"a dict of some of {sorted(DEGREES)} to mean contacts")
    if unknown := sorted(set(degrees) - set(DEGREES)):
        raise ValueError(f"degrees names {unknown}: expected some of {sorted(DEGREES)}")
    daily = checked_int("daily", daily, 0)
    layers: dict[str, Network] = {}
    for name, column in (("household", "household"), ("workplace", "workplace"), ("school", "school")):
        if column in people.columns:
            degree = math.inf if name == "household" else degrees.get(name, DEGREES[name])
            layers[name] = within_groups(people[column], degree, seed=_seed(seed, name))
    if "area" in people.columns:
        degree = degrees.get("community", DEGREES["community"])
        layers["community"] = within_groups(people["area"], degree, seed=_seed(seed, "community"))
    if daily:
        layers["city"] = RandomMeetings(len(people), daily, "meetings in the city")
    if not layers:
        raise ValueError(f"people have {sorted(people.columns)}: expected a household, workplace, school or area")
    return layers


def join_layers(people: Population, layers: Mapping[str, Network]) -> dict[str, Network]:
    """Networks of one's own as layers of these people: what ``Epidemic(layers=…)`` takes.

    A network with names is joined by them, in whatever order: row i of each layer is row i of ``people``, of whom some
    may have no contacts. One without names must have as many people, in the same order.

    Raises LookupError for somebody in a network who is not among the people, and ValueError where people have no names
    and a network has.
    """
    check_is("people", people, Population, "a Population")
    check_is("layers", layers, Mapping, "a dict of names to networks")
    return {name: _joined(people, name, network) for name, network in layers.items()}


def _joined(people: Population, layer: str, network: Network) -> Network:
    network = checked_contacts(f"layers['{layer}']", network)
    if isinstance(network, Timetable):
        return replace(network, networks=[_joined(people, layer, each) for each in network.networks])
    names = getattr(network, "names", None)
    if names is None:
        if network.num_people != len(people):
            raise ValueError(f"layers['{layer}'] has {network.num_people} people without names: expected {len(people)}")
        return network
    if people.names is None:
        raise ValueError(
            f"layers['{layer}'] has names, such as {names[0]!r}, and the people have none: expected ids in both, as "
            "from_table(id=…) reads them; where the order is known to be the same, replace(contacts, names=None)"
        )
    return network if np.array_equal(names, people.names) else network.along(people.names)  # type: ignore[attr-defined]


def _seed(seed: int, layer: str) -> int:
    """Another for each layer: two groupings that are alike must not have the same contacts."""
    return Draws(seed, torch.zeros(0, dtype=torch.int64), scope="city").key(layer)
