"""From_archetypes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ethogram.simulator import Draws, check_is, check_number, checked_int

from .population import Population, plain, some


def from_archetypes(
    archetypes: Mapping[str, Mapping[str, Any]], shares: Mapping[str, float], num_people: int, seed: int = 0
) -> Population:
    """People who each follow one of several named archetypes.

    archetypes: name -> attribute -> what its people have: a number, bool or category for all of them; (low, high),
    uniform between the two, both included where they are ints; {category: share}; or a distribution whose ``icdf``
    maps (m,) float64 to (m,), as that of ``torch.distributions.Normal``. All archetypes have the same attributes.
    shares: name -> the probability that a person follows it; they sum to 1.

    Column "archetype" says who follows which; each attribute is a column: labelled where it holds categories. What a
    person is depends on the seed and the person's number alone, so that the first n of a larger population are the
    same n people; shares of a finite population therefore hold up to chance. Each attribute has one draw a person,
    inverted through the archetype's distribution: under other shares or archetypes people keep their luck.

    Raises ValueError, naming archetype and attribute, for anything else.
    """
    check_is("archetypes", archetypes, Mapping, what := "a dict of names to a dict of attributes, at least one")
    check_is("shares", shares, Mapping, "a dict of archetypes to the share of people who follow each")
    for name, values in archetypes.items():
        check_is(f"archetypes['{name}']", values, Mapping, "a dict of attributes")
    if not archetypes:
        raise ValueError(f"archetypes is empty: expected {what}")
    names = tuple(archetypes)
    if set(names) != set(shares):
        raise ValueError(f"shares are for {some(shares)}: expected one for each of {some(names)}")
    people = torch.arange(num_people := checked_int("num_people", num_people, 1))
    draws = Draws(seed, people, scope="population")
    cumulative = _cumulative("shares", shares, names)
    archetype = draws.inverse_cdf("archetype", cumulative, torch.zeros_like(people))
    columns, labels = {"archetype": archetype}, {"archetype": names}
    attributes = archetypes[names[0]]
    for name, values in archetypes.items():
        if set(values) != set(attributes) or "archetype" in values:
            raise ValueError(
                f"archetype '{name}' has attributes {some(values)}: expected those of '{names[0]}', "
                f"{some(attributes)}, and none called 'archetype'"
            )
    for attribute in attributes:
        specs = {name: _plain(archetypes[name][attribute]) for name in names}
        kind = _kind(attribute, specs)
        categories: tuple[str, ...] = ()
        if kind is str:
            named = ([spec] if isinstance(spec, str) else spec for spec in specs.values())
            labels[attribute] = categories = tuple(dict.fromkeys(category for spec in named for category in spec))
        dtype = torch.float32 if kind is float else torch.bool if kind is bool else torch.int64
        uniform, column = draws.uniform(attribute), torch.zeros(num_people, dtype=dtype)
        for k, (name, spec) in enumerate(specs.items()):
            who = archetype == k
            column[who] = _inverted(f"{attribute} of '{name}'", spec, uniform[who].double(), categories).to(dtype)
        columns[attribute] = column
    return Population(columns, labels)


def _plain(spec: Any) -> Any:
    """Numbers of NumPy and torch as Python's, also in (low, high)."""
    return tuple(plain(end) for end in spec) if isinstance(spec, tuple) else plain(spec)


def _kind(attribute: str, specs: Mapping[str, Any]) -> type:
    """The type of an attribute's column in all archetypes together: float, int, bool, or str for categories."""
    kinds: dict[str, type] = {}
    for name, spec in specs.items():
        ends = {type(end) for end in (spec if isinstance(spec, tuple) and len(spec) == 2 else (spec,))}
        if isinstance(spec, str | Mapping):
            kinds[name] = str
        elif hasattr(spec, "icdf") or (ends <= {int, float} and float in ends):
            kinds[name] = float
        elif ends == {int} or type(spec) is bool:
            kinds[name] = ends.pop()
        else:
            raise ValueError(
                f"{attribute} of '{name}' is {spec!r}: expected a number, bool or category, (low, high), "
                "{category: share}, or a distribution with icdf"
            )
    among = set(kinds.values())
    if len(among) > 1 and among != {int, float}:
        what = {name: kind.__name__ for name, kind in kinds.items()}
        raise ValueError(f"'{attribute}' is of several kinds, {what}: expected one kind in all archetypes")
    return float if float in among else among.pop()


def _inverted(what: str, spec: Any, uniform: Tensor, categories: tuple[str, ...]) -> Tensor:
    """The values whose cumulative probability the draws are, (m,); uniform: (m,) float64."""
    if isinstance(spec, str):
        return torch.full_like(uniform, categories.index(spec), dtype=torch.int64)
    if isinstance(spec, Mapping):
        return torch.searchsorted(_cumulative(what, spec, categories)[0, :-1].contiguous(), uniform, right=True)
    if isinstance(spec, tuple):
        low, high = spec
        if not (low <= high and math.isfinite(high - low)):
            raise ValueError(f"{what} is {spec}: expected (low, high), low not above high")
        if isinstance(low, int) and isinstance(high, int):
            return low + (uniform * (high - low + 1)).floor().to(torch.int64)
        return low + uniform * (high - low)
    if not hasattr(spec, "icdf"):
        return torch.full(uniform.shape, spec)
    try:
        return spec.icdf(uniform)
    except (NotImplementedError, RuntimeError):  # torch cannot invert it; or it is a batch of several
        raise ValueError(f"{what} is {spec}: expected one distribution that has icdf, as Normal has") from None


def _cumulative(what: str, shares: Mapping[str, float], names: Sequence[str]) -> Tensor:
    """(1, K) float64 running sums of shares in the order of names, 0 for names that have none."""
    for name, share in shares.items():
        check_number(f"{what}['{name}']", share, 0, 1)
    total = math.fsum(shares.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"{what}: {dict(shares)} sum to {total:g}: expected shares from 0 that sum to 1")
    return torch.tensor([[shares.get(name, 0.0) for name in names]], dtype=torch.float64).cumsum(1) / total
