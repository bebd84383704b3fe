"""The compiled day of a city and its torch form give the same bits, whoever looks on and whatever changes."""

import gc
import pickle
import weakref

import numpy as np
import pytest
import torch

from ethogram.agents.citizens import Heuristic
from ethogram.envs.epidemics import Disease, Economy, Epidemic, Measures
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Do, Draws, Sites, rollout
from ethogram.simulator.networks import Contacts, Timetable
from ethogram.simulator.trees import leaves_of

N = 301
SOME = torch.arange(N) % 3 == 0
DISEASE = Disease(
    4.0, exposed_days=(0, 0.5, 0.5), infectious_days=(0, 0, 0.3, 0.3, 0.4), fatality=(0.2,) * 9, importation=1e-3
)
MEASURES = Measures(vaccination=0.02, vaccine_delay=3, confirmation=0.3, announced=3, quarantine_days=4)


class Plain(Draws):
    """The same chance, for which no compiled day is made."""


def weighted(people):
    """The layers with weights that are no round numbers, and a timetable of two."""
    layers = city_layers(people, daily=1, seed=1)
    layers["workplace"] = with_weights(layers["workplace"])
    community = layers["community"]
    return layers | {"community": Timetable([community, with_weights(community)])}


def with_weights(contacts):
    weight = 0.2 + Draws(3, torch.arange(contacts.num_contacts)).uniform("weight")
    return Contacts(contacts.start, contacts.target, weight)


def city(make=weighted, **changes):
    people = synthetic_city(N, seed=1)
    settings = {"disease": DISEASE, "measures": MEASURES, "initial": 0.05, "economy": Economy(hiring=0.3)}
    layers = make(people)
    weight = {"school": 0.37, "household": 2.3}
    return Epidemic(layers, people["age"], SOME.long() * 2, layer_weight=weight, **(settings | changes))


CITIES = {
    "weights": city,
    "plain contacts": lambda: city(lambda people: city_layers(people, seed=1)),
    "most are ill": lambda: city(initial=0.7),
    "nobody is ill": lambda: city(initial=0.0, disease=Disease()),
    "no household, no workplace": lambda: city(
        lambda people: {name: city_layers(people)[name] for name in ("school", "community")} | {"household": ring()}
    ),
}
CHANGES = {
    "nothing": [],
    "presence": [
        Do("isolates", True, start=2, stop=9, who=SOME),
        Do("attends_school", 0.0, start=3),
        Do("attends_workplace", lambda a: a * 0.4, start=5),
        Do("attends_community", 0.3, start=6, who=SOME),
    ],
    "events": [
        Do("hazard", lambda h: h * 1.5, start=2),
        Do("infected", True, start=3, stop=5, who=SOME),
        Do("onset", True, start=8, stop=9),
        Do("died", True, start=11, stop=12, who=SOME),
        Do("recovered", False, start=13, stop=16),
    ],
    "measures and work": [
        Do("confirmation", 0.9, start=3, who=SOME),
        Do("vaccination", 0.3, start=4),
        Do("confirmed", False, start=9, stop=12),
        Do("vaccinated", True, start=10, who=SOME),
        Do("stimulus", 0.2, start=6, who=SOME),
        Do("demand", 0.7, start=12),
        Do("employed", False, start=14, who=SOME),
        Do("jobless", False, start=17),
    ],
}


def ring():
    people = torch.arange(N)
    return Contacts.from_edges(people, (people + 1) % N, N)


def lived(world, kind, changes=(), record=()):
    draws = kind(7, torch.arange(N), scope="world")
    citizens = Heuristic(half=2.0)
    return rollout(world, citizens, rows=N, horizon=22, draws=draws, interventions=changes, record=record)


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("make", CITIES)
def test_both_forms_give_the_same_bits(make, changes):
    world = CITIES[make]()
    there = [do for do in CHANGES[changes] if do.site.removeprefix("attends_") in {do.site, *world.layers}]
    for record in ((), "all", ["died", "attends_school", "demand"]):
        plain, compiled = (lived(world, kind, there, record) for kind in (Plain, Draws))
        assert sorted(plain.columns) == sorted(compiled.columns)
        for name, column in plain.columns.items():
            for one, other in zip(leaves_of(column), leaves_of(compiled.columns[name]), strict=True):
                assert one.dtype == other.dtype
                assert one.numpy().tobytes() == other.numpy().tobytes(), (name, record)
    if make != "nobody is ill":
        assert plain.column("died").any()


def test_states_have_the_same_bits_and_share_nothing_with_what_is_seen():
    world = city()
    action = torch.tensor([[0, 1]], dtype=torch.int8).expand(N, 2)
    after = {}
    for kind in (Plain, Draws):
        draws = kind(7, torch.arange(N), scope="world")
        site = Sites()
        state, _ = world.reset(draws, site)
        for day in range(15):
            site.step = day
            state, seen, *_ = world.step(state, action, draws.at(day), site)
        after[kind] = state
        memory = {column.untyped_storage().data_ptr() for column in state[:6]}
        assert not memory & {seen[name].untyped_storage().data_ptr() for name in seen}
    for one, other in zip(after[Plain], after[Draws], strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", [Plain, Draws])
def test_a_gradient_passes_where_it_did(kind):
    kept, paid = (torch.tensor(x, requires_grad=True) for x in (0.5, 0.1))
    changes = [Do("attends_community", lambda a: a * kept, start=8), Do("stimulus", lambda s: s + paid)]
    world, draws = city(), kind(7, torch.arange(N), scope="world")
    history = rollout(
        world,
        Heuristic(),
        rows=N,
        horizon=10,
        draws=draws,
        interventions=changes,
        record=["hazard", "attends_community"],
    )
    slopes = [
        torch.autograd.grad(history.sites["hazard"].sum(), kept),
        torch.autograd.grad(history.observation["savings"].sum(), paid),
    ]
    assert all(slope != 0 for (slope,) in slopes)


def test_a_city_that_has_run_is_as_large_as_one_that_has_not():
    """Views of tensors would be pickled as copies of them."""
    world = city()
    lived(world, Plain)
    before = len(pickle.dumps(world))
    lived(world, Draws)
    assert len(pickle.dumps(world)) < before + 5_000
    assert np.array_equal(lived(pickle.loads(pickle.dumps(world)), Draws).reward, lived(world, Draws).reward)


def test_a_city_that_has_run_goes_when_the_last_name_of_it_does():
    """What is kept for its days must not point back at it: a sweep over large cities would pile them up."""
    world = city()
    lived(world, Draws)
    gone = weakref.ref(world)
    gc.disable()
    try:
        del world
        assert gone() is None
    finally:
        gc.enable()
