"""The same bits on another device. What needs one is left out where there is none."""

from dataclasses import replace

import pytest
import torch

from ethogram.agents.citizens import Answers, Archetypes, Heuristic, Relaxed
from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR, Disease, Epidemic, Measures, RelaxedEpidemic, RelaxedSEIR
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Do, Draws, rollout
from ethogram.simulator.calibrate import RelaxedDraws
from ethogram.simulator.history import map_column
from ethogram.simulator.networks import (
    ContactSum,
    MeanField,
    RandomMeetings,
    Timetable,
    erdos_renyi,
    small_world,
    sum_over_contacts,
)
from ethogram.simulator.recording import Record
from ethogram.simulator.trees import to_device

N = 3000
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def weighted(contacts):
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(contacts.num_contacts, generator=generator).float()
    return replace(contacts, weight=weight, symmetric=False)


def city(n=N):
    people = synthetic_city(n, seed=1)
    disease = Disease(reproduction=4.0, exposed_days=(0, 0.5, 0.5), fatality=(0.1,) * 9, importation=1e-4)
    measures = Measures(vaccination=0.01, confirmation=0.3, announced=3)
    layers = city_layers(people, daily=2, seed=1)
    return Epidemic(layers, people["age"], people["area"], disease, measures, initial=0.02)


def both(world, policy, horizon=40, **how):
    """The same run on the CPU and on the GPU, brought back."""
    n = next(iter(world.layers.values())).num_people if isinstance(world, Epidemic) else world.contacts.num_people
    found = []
    for device in ("cpu", "cuda"):
        settings = to_device(how, device)
        rows = torch.arange(n, device=device)
        history = rollout(to_device(world, device), to_device(policy, device), rows=rows, horizon=horizon, **settings)
        assert history.reward.device.type == device
        found.append(map_column(lambda column: column.cpu(), {**history.columns, **history.series}))
    return found


def test_to_device_takes_apart_what_is_made_of_parts():
    """PyTorch's device "meta" stands for one that is not there."""
    people, network = dict(synthetic_city(200).columns), weighted(erdos_renyi(200, 5))
    moved = to_device({"people": people, "layers": [network], "do": Do("infected", 0, who=people["age"] > 3)}, "meta")
    assert moved["people"]["age"].is_meta
    assert moved["layers"][0].target.is_meta
    assert moved["layers"][0].weight.is_meta
    assert moved["do"].who.is_meta
    assert to_device(people, "cpu")["age"] is people["age"]
    assert to_device(RandomMeetings(5, 2), "meta") == RandomMeetings(5, 2)


@needs_gpu
@pytest.mark.parametrize("index", [None, 3, torch.arange(2 * N).view(N, 2)])
def test_draws(index):
    here = Draws(5, torch.arange(N) ** 2, step=7).uniform("x", index)
    index = index.cuda() if isinstance(index, torch.Tensor) else index
    there = Draws(5, torch.arange(N, device="cuda") ** 2, step=7)
    assert torch.equal(there.uniform("x", index).cpu(), here)
    hazard = torch.linspace(0, 3, N, dtype=torch.float64)
    assert torch.equal(there.event("y", hazard.cuda()).cpu(), Draws(5, torch.arange(N) ** 2, step=7).event("y", hazard))


@needs_gpu
@pytest.mark.parametrize(
    "network",
    [
        erdos_renyi(N, 12, seed=1),
        weighted(erdos_renyi(N, 12, seed=1)),
        RandomMeetings(N, 3),
        RandomMeetings(N + 1, 3),
        MeanField(torch.arange(N) % 3, torch.tensor([[1, 2, 0], [0.5, 0, 3], [4, 1, 1]], dtype=torch.float64)),
        Timetable([erdos_renyi(N, 4, seed=2), RandomMeetings(N, 2)]),
    ],
)
@pytest.mark.parametrize("share", [0.05, 0.8])
def test_sums(network, share):
    n = network.num_people
    draws = Draws(0, torch.arange(n), step=3)
    u = draws.uniform("sent")
    contacts = network.at(draws)
    there = to_device(network, "cuda").at(to_device(draws, "cuda"))
    for sent in (u < share, torch.where(u < share, u, 0), torch.where(u < share, u, 0).double()):
        expected = sum_over_contacts(contacts, sent)
        assert torch.equal(sum_over_contacts(there, sent.cuda()).cpu(), expected)
        total = ContactSum.of(there, torch.zeros_like(sent.cuda())).next(there, sent.cuda()).total
        assert torch.equal(total.cpu().double(), expected)
    slopes = []
    for place, message in ((contacts, u.clone()), (there, u.cuda())):
        reached = sum_over_contacts(place, message.requires_grad_())
        slopes.append(torch.autograd.grad((reached * message.detach()).sum(), message)[0].cpu())
    torch.testing.assert_close(*slopes)


@needs_gpu
def test_a_message_of_ones_own():
    contacts = weighted(erdos_renyi(N, 12, seed=1))
    dose = Draws(0, torch.arange(N)).uniform("dose")

    def message(sent, received, weight):
        return weight * sent * (1 - received)

    here = sum_over_contacts(contacts, dose, message, dose)
    there = sum_over_contacts(to_device(contacts, "cuda"), dose.cuda(), message, dose.cuda())
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-6)  # the compiler may fuse the message's operations


@needs_gpu
@pytest.mark.parametrize("contacts", [erdos_renyi(N, 12, seed=1), RandomMeetings(N, 8)])
@pytest.mark.parametrize("record", [(), "all"])
def test_seir(contacts, record):
    home = [Do("action", 1, start=10, who=torch.arange(N) % 3 == 0)]
    here, there = both(SEIR(contacts, 0.05), Fixed(0), record=record, interventions=home)
    assert (here["observation"][-1] > 0).float().mean() > 0.2
    for name in ("observation", "reward"):
        assert torch.equal(here[name], there[name]), name


@needs_gpu
def test_adoption():
    here, there = both(Adoption(weighted(small_world(N, 6, 0.1)), initial=0.1), Fixed(0.2), record=["adopts"])
    assert torch.equal(here["adopts"], there["adopts"])
    torch.testing.assert_close(here["observation"], there["observation"])


@needs_gpu
def test_the_city():
    world = city()
    by_age = [Record(name, reduce="sum", by=world.age_band) for name in ("infected", "died", "jobless", "confirmed")]
    closed = [Do("attends_school", 0.0, start=9), Do("vaccination", 0.2, start=3, stop=6, who=world.age > 60)]
    rule = Archetypes(Answers(lambda questions: [(0.2, 0.9)] * len(questions)), {"age": [20, 60], "cases": [5.0]})
    for citizens in (Heuristic(), rule):
        here, there = both(world, citizens, record=[*by_age, "isolates"], interventions=closed)
        assert here["infected"].sum() > 80
        for name in ("infected", "died", "jobless", "confirmed", "isolates", "action"):
            assert torch.equal(here[name], there[name]), name


@needs_gpu
def test_gradients():
    found = []
    for device in ("cpu", "cuda"):
        rows = torch.arange(N, device=device)
        draws = RelaxedDraws(0, rows, scope="world")
        number = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
        town = RelaxedSEIR(to_device(erdos_renyi(N, 12, seed=1), device), number / 100)
        goes_out = Fixed(torch.zeros(4, device=device))
        outcomes = [rollout(town, goes_out, rows=rows, horizon=20, draws=draws).reward.sum()]
        world = RelaxedEpidemic(to_device(city(), device), number)
        for name in ("infected", "died"):
            record = [Record(f"relaxed_{name}", reduce="sum")]
            history = rollout(world, Relaxed(Heuristic()), rows=rows, horizon=20, draws=draws, record=record)
            outcomes.append(history.series[f"relaxed_{name}"].sum())
        found.append([(o.item(), torch.autograd.grad(o, number)[0].item()) for o in outcomes])
    for here, there in zip(*found, strict=True):
        assert here == pytest.approx(there, rel=1e-4)
        assert here[1] != 0
