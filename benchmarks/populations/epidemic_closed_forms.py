"""Do the epidemics give what can be worked out on paper?

Run: python benchmarks/populations/epidemic_closed_forms.py            (under two minutes on two CPU cores)
     python benchmarks/populations/epidemic_closed_forms.py --quick    (a few seconds, wider errors)

Each line: the closed form, the mean over seeds ± its standard error, and how many standard errors lie between. The
closed forms are those of ``SEIR``'s own days (chances, geometric times), exact for infinitely many people:

final size, well mixed: z = 1 - (1 - s) exp(-R0 z), s being infectious at the start (Kermack & McKendrick 1927).
attack rate on a network of given degrees: u = 1 - T + T (1 - s) G1(u), z = 1 - (1 - s) G0(u) (Newman, Physical Review
    E 2002), T being the mean chance that a case infects a contact. Who infects me are different people with times of
    their own: the edges to me are independent, and the mean T is all that matters.
probability of a large outbreak from one case: the edges from me share my infectious time D, and so are not
    independent: x = E G1(1 - T_D + T_D x), 1 - E G0(1 - T_D + T_D x), the mean being over D (Kenah & Robins, Physical
    Review E 2007). The formula for independent edges, which equals the attack rate, is wrong for it.
growth: the eigenvalue of [[1 - onset, infects (excess degree)], [onset, (1 - infects)(1 - recovers)]] on the edges of
    the exposed, and those of the infectious along which nothing has happened yet.
the whole curve: edge-based compartments (Miller, Slim & Volz, Journal of the Royal Society Interface 2012), in days.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.polynomial import Polynomial
from scipy.integrate import solve_ivp
from torch import Tensor

from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import SEIR, Disease, Economy, Epidemic, Measures
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Do, Record, rollout
from ethogram.simulator.networks import Contacts, MeanField, configuration, sum_over_contacts
from ethogram.simulator.whatif import standard_error

AT_ONCE = 1000.0  # a rate at which things happen within the day

# ---- on paper


def chances(world: SEIR) -> tuple[float, float, float]:
    """The probabilities a day: of infection along an edge, of onset, of recovery."""
    infects, onset, recovers = (-math.expm1(-r) for r in (world.transmission, world.onset_rate, world.recovery_rate))
    return infects, onset, recovers


def transmissibility(world: SEIR) -> float:
    """The probability that a case infects a contact before it recovers, on average over its infectious days."""
    infects, _, recovers = chances(world)
    return infects / (infects + recovers - infects * recovers)


def generating(degree: Tensor) -> tuple[Polynomial, Polynomial]:
    """The generating functions G0 of the degree, (n,) int64, and G1 of the degree less one at the end of an edge."""
    g0 = Polynomial(np.bincount(degree.numpy()) / len(degree))
    return g0, g0.deriv() / g0.deriv()(1)


def fixed_point(function: Callable[[float], float]) -> float:
    """The smallest in [0, 1] of an increasing function."""
    before, x = -1.0, 0.0
    while x - before > 1e-13:
        before, x = x, float(function(x))
    return x


def well_mixed_size(r0: float, start: float = 0.0) -> float:
    """Who is infected ever, of a population that meets at random; start: the share at the start."""
    return 1 - fixed_point(lambda s: (1 - start) * math.exp(-r0 * (1 - s)))


def attack_rate(world: SEIR, degree: Tensor, start: float = 0.0) -> float:
    """Who is infected ever, if the outbreak is large; start: the share at the start."""
    (g0, g1), t = generating(degree), transmissibility(world)
    return 1 - (1 - start) * float(g0(fixed_point(lambda u: 1 - t + t * (1 - start) * g1(u))))


def outbreak_probability(world: SEIR, degree: Tensor) -> float:
    """That one case, anybody, starts a large outbreak."""
    (g0, g1), (infects, _, recovers) = generating(degree), chances(world)
    days = np.arange(1, 2 + int(-40 / math.log1p(-recovers)))
    share, reached = recovers * (1 - recovers) ** (days - 1), 1 - (1 - infects) ** days  # (days,)
    x = fixed_point(lambda x: share @ g1(1 - reached + reached * x))
    return 1 - float(share @ g0(1 - reached + reached * x))


def growth_a_day(world: SEIR, degree: Tensor) -> float:
    """How many times more cases a day later, early on."""
    (_, g1), (infects, onset, recovers) = generating(degree), chances(world)
    matrix = [[1 - onset, infects * g1.deriv()(1)], [onset, (1 - infects) * (1 - recovers)]]
    return float(np.linalg.eigvals(matrix).real.max())


def network_curve(world: SEIR, degree: Tensor, start: float, days: int) -> Tensor:
    """(days + 1, 4) shares of S, E, I, R on a configuration network. open_*: edges to me that have not transmitted."""
    (g0, g1), (infects, onset, recovers) = generating(degree), chances(world)
    no, e, i = 1.0, 0.0, start  # no: an edge has not transmitted to me
    open_e, open_i, curve = 0.0, start, [(1 - start, 0.0, start)]
    for _ in range(days):
        after = no - infects * open_i
        s, new = (1 - start) * g0(after), (1 - start) * (g0(no) - g0(after))
        open_e, open_i = (
            (1 - onset) * open_e + (1 - start) * (g1(no) - g1(after)),
            onset * open_e + (1 - infects) * (1 - recovers) * open_i,
        )
        no, e, i = after, (1 - onset) * e + new, onset * e + (1 - recovers) * i
        curve.append((s, e, i))
    return with_recovered(curve)


def well_mixed_curve(world: SEIR, contacts: float, start: float, days: int) -> Tensor:
    """(days + 1, 4) shares of S, E, I, R where everybody meets everybody."""
    _, onset, recovers = chances(world)
    s, e, i = 1 - start, 0.0, start
    curve = [(s, e, i)]
    for _ in range(days):
        left = s * math.exp(-world.transmission * contacts * i)
        s, e, i = left, (1 - onset) * e + s - left, onset * e + (1 - recovers) * i
        curve.append((s, e, i))
    return with_recovered(curve)


def with_recovered(curve: Sequence[tuple[float, float, float]]) -> Tensor:
    """(T, 3) shares of S, E, I as a tensor (T, 4) with R."""
    shares = torch.tensor(curve, dtype=torch.float64)
    return torch.cat([shares, 1 - shares.sum(1, keepdim=True)], 1)


def sir_curve(infection: float, recovery: float, start: float, times: Any) -> Tensor:
    """(T,) the infectious share of the differential equations of SIR at times (T,)."""

    def change(_: float, y: Any) -> Any:
        return [-infection * y[0] * y[1], infection * y[0] * y[1] - recovery * y[1]]

    solved = solve_ivp(change, (0, times[-1]), [1 - start, start], t_eval=times, rtol=1e-9, atol=1e-12)
    return torch.tensor(solved.y[1])


# ---- in simulation


def shares(stage: Tensor) -> Tensor:
    """(4,) of S, E, I, R."""
    return stage.long().bincount(minlength=4).double() / len(stage)


def simulated(world: SEIR, days: int, seed: int, seen: Callable[[Tensor], Tensor] = shares) -> Tensor:
    """(days + 1, …) float64, what is ``seen`` of people's stages each day."""
    record = [Record("observation", reduce=seen), *(Record(name, every=days) for name in ("action", "reward"))]
    history = rollout(world, Fixed(0), rows=world.contacts.num_people, horizon=days, seed=seed, record=record)
    return history.series["observation"]


def on_networks(world: SEIR, degree: Tensor, days: int, seeds: Sequence[int]) -> Tensor:
    """(seeds, days + 1, 4) shares, each seed on a network of its own with these degrees."""
    worlds = (replace(world, contacts=configuration(degree, seed=seed)) for seed in seeds)
    return torch.stack([simulated(w, days, seed) for w, seed in zip(worlds, seeds, strict=True)])


def sizes_from_one_case(world: SEIR, degree: Tensor, days: int, towns: int) -> Tensor:
    """(towns,) the share of people infected within so many days of one case, who is anybody; a network a town.

    Fifty towns without contacts between them are one world: that is ten times faster than one after the other.
    """
    n, sizes = len(degree), []
    for batch in torch.arange(towns).split(50):
        networks = [configuration(degree, seed=int(town)) for town in batch]
        first = torch.zeros(len(batch), n)
        first[torch.arange(len(batch)), batch * 7919 % n] = 1  # degrees are in random order
        one = replace(world, contacts=side_by_side(networks), initial=first.flatten())
        infected = lambda stage: (stage > 0).view(-1, n).double().mean(1)  # noqa: E731
        sizes.append(simulated(one, days, int(batch[0]), infected)[-1])
    return torch.cat(sizes)


def side_by_side(networks: Sequence[Contacts]) -> Contacts:
    """Symmetric, unweighted networks of one size as one, without contacts between them."""
    n = networks[0].num_people
    start = torch.cat([torch.zeros(1, dtype=torch.int64), *(network.degree for network in networks)]).cumsum(0)
    target = torch.cat([network.target + k * n for k, network in enumerate(networks)])
    return Contacts(start, target, symmetric=True)


def growth_between(infectious: Tensor, first: int, last: int) -> Tensor:
    """(seeds,) jackknife pseudo-values of the mean growth a day: infectious (seeds, days + 1)."""

    def growth(counts: Tensor) -> Tensor:
        return (counts[..., 1] / counts[..., 0]) ** (1 / (last - first))

    counts = infectious[:, [first, last]]
    total, seeds = counts.sum(0), len(counts)
    return seeds * growth(total) - (seeds - 1) * growth(total - counts)


def infected_by_the_first(city: Epidemic, days: int, seed: int) -> tuple[float, float, Tensor]:
    """Infections a first case, the first cases a person, and who they are (n,) bool; what they infect stays healthy."""
    ever = torch.zeros(city.num_people, dtype=torch.bool)

    def seen_and_undone(infected: Tensor) -> Tensor:
        ever.logical_or_(infected)
        return torch.zeros_like(infected)

    kept = [Record(name, every=days + 1, reduce=lambda _: 0) for name in ("observation", "action", "reward")]
    history = rollout(
        city,
        Fixed([0, 1]),
        rows=city.num_people,
        horizon=days,
        seed=seed,
        interventions=[Do("infected", seen_and_undone)],
        record=[*kept, "initial"],
    )
    first = history.column("initial")[:, 0]
    return int(ever.sum()) / int(first.sum()), float(first.double().mean()), first


def infected_on_paper(city: Epidemic, first: Tensor) -> float:
    """Expected infections a first case in ``infected_by_the_first``: stored contacts, durations that do not vary."""
    reach = torch.zeros(city.num_people, dtype=torch.float64)
    for name, layer in city.layers.items():
        reach += city.layer_weight.get(name, 1.0) * sum_over_contacts(layer, first)  # type: ignore[arg-type]
    hazard = city.disease.reproduction * reach / city.strength
    return float(-torch.expm1(-hazard)[~first].sum() / first.sum())


# ---- the comparison


@dataclass(frozen=True, eq=False)
class Line:
    """A number on paper, or one a seed; and what was found, (seeds,)."""

    what: str
    paper: float | Tensor
    found: Tensor
    exact: bool = True  # False: another number than what is simulated, to see how far it is off

    @property
    def off(self) -> float:
        """How many standard errors lie between."""
        difference = self.found - self.paper
        return float(difference.mean() / standard_error(difference))

    def __str__(self) -> str:
        paper = float(torch.as_tensor(self.paper, dtype=torch.float64).mean())
        found, error = float(self.found.mean()), float(standard_error(self.found - self.paper))
        return f"{self.what:<62} {paper:>9.4f} {found:>9.4f} ± {error:<7.2g} {self.off:>+6.1f} {len(self.found):>6}"


def degrees(name: str, n: int) -> Tensor:
    """(n,) int64 degrees in random order, the same each time, with an even sum."""
    generator = torch.Generator().manual_seed(1)
    if name == "4 each":
        degree = torch.full((n,), 4)
    elif name == "Poisson, mean 6":
        degree = torch.poisson(torch.full((n,), 6.0), generator=generator).long()
    else:  # "2, or one in ten 20"
        degree = torch.where(torch.rand(n, generator=generator) < 0.1, 20, 2)
    degree[0] += degree.sum() % 2
    return degree


def usual(degree: Tensor) -> SEIR:
    """A disease that a case passes on to 0.6 others in its first infectious day, whatever the degrees."""
    excess = float(generating(degree)[1].deriv()(1))
    return SEIR(MeanField.well_mixed(len(degree), 1.0), 0.6 / excess, 0.5, 0.25)


NETWORKS = ("4 each", "Poisson, mean 6", "2, or one in ten 20")


def network_lines(n: int, seeds: int) -> list[Line]:
    """Curves and sizes from 1 % of the people, growth from few, outbreaks from one."""
    lines = []
    for k, name in enumerate(NETWORKS):
        degree = degrees(name, n)
        world = replace(usual(degree), initial=0.01)
        paper = network_curve(world, degree, 0.01, 150)
        curves = on_networks(world, degree, 150, range(k * seeds, (k + 1) * seeds))
        peak = int(paper[:, 2].argmax())
        lines += [
            Line(f"{name}: attack rate from 1 % infectious", attack_rate(world, degree, 0.01), 1 - curves[:, -1, 0]),
            Line(f"{name}: infectious at the peak, day {peak}", float(paper[peak, 2]), curves[:, peak, 2]),
        ]
    return lines


def growth_lines(n: int, seeds: int) -> list[Line]:
    """Growth a day, where depletion is small: the eigenvalue, and the curve on the same days, depletion included."""
    lines, first, last = [], 12, 27
    for k, name in enumerate(NETWORKS):
        degree, start = degrees(name, n), 60 / n
        world = replace(usual(degree), initial=start)
        curves = on_networks(world, degree, last, range(k * seeds, (k + 1) * seeds))
        found = growth_between(curves[..., 2], first, last)
        paper = network_curve(world, degree, start, last)[:, 2]
        depleted = float((paper[last] / paper[first]) ** (1 / (last - first)))
        lines += [
            Line(f"{name}: growth a day, eigenvalue", growth_a_day(world, degree), found, exact=False),
            Line(f"{name}: growth from day {first} to {last}, with depletion", depleted, found),
        ]
    return lines


def outbreak_lines(n: int, seeds: int) -> list[Line]:
    """One case: does it start a large outbreak, and how large is that?"""
    lines = []
    for name in NETWORKS:
        degree = degrees(name, n)
        world = replace(usual(degree), onset_rate=AT_ONCE)
        sizes, rate = sizes_from_one_case(world, degree, 200, seeds), attack_rate(world, degree)
        large = sizes > 0.4 * rate
        lines += [
            Line(f"{name}: probability of a large outbreak", outbreak_probability(world, degree), large.double()),
            Line("... were edges independent", rate, large.double(), exact=False),
            Line("... attack rate of the large ones", rate, sizes[large]),
        ]
    return lines


def well_mixed_lines(n: int, seeds: int) -> list[Line]:
    """Final size, and the curve against the recursion of a day."""
    lines = []
    first = (torch.arange(n) < n // 100).float()
    for k, (r0, days) in enumerate({1.5: 240, 2.5: 130, 4.0: 100}.items()):
        world = SEIR(MeanField.well_mixed(n, 8.0), r0 * -math.expm1(-0.25) / 8, 0.5, 0.25, initial=first)
        curves = torch.stack([simulated(world, days, seed) for seed in range(k * seeds, (k + 1) * seeds)])
        paper = well_mixed_curve(world, 8.0, 0.01, days)
        peak = int(paper[:, 2].argmax())
        lines += [
            Line(f"well mixed, R0 {r0}: final size", well_mixed_size(r0, 0.01), 1 - curves[:, -1, 0]),
            Line(f"well mixed, R0 {r0}: infectious on day {peak}", float(paper[peak, 2]), curves[:, peak, 2]),
        ]
    return lines


def city_lines(n: int, seeds: int) -> list[Line]:
    """Infections by the first cases in a healthy city, everybody of susceptibility 1 and nobody tested."""
    people = synthetic_city(n)
    disease, measures = Disease(susceptibility=(1.0,) * 9), Measures(confirmation=0.0)
    jobs = Economy(unemployed_at_start=0.0, separation=0.0, separation_by_demand=0.0, hiring=1.0)
    varied = replace(
        disease, exposed_days=(0.1, 0.2, 0.3, 0.2, 0.1, 0.1), infectious_days=(0.2, 0.2, 0.1, 0, 0.1, 0.3, 0.1)
    )

    def found(city: Epidemic, days: int) -> tuple[Tensor, list[float], list[Tensor]]:
        a, share, first = zip(*(infected_by_the_first(city, days, seed) for seed in range(seeds)), strict=True)
        return torch.tensor(a, dtype=torch.float64), list(share), list(first)

    mixed = Epidemic({"all": MeanField.well_mixed(n, 20.0)}, people["age"], people["area"], varied, measures)
    city = Epidemic(city_layers(people), people["age"], people["area"], disease, measures, jobs, initial=0.002)
    r, (by_mixed, share, _), (by_city, _, first) = disease.reproduction, found(mixed, 14), found(city, 11)
    shared = torch.tensor([-(1 - s) / s * math.expm1(-r * s) for s in share], dtype=torch.float64)
    exact = torch.tensor([infected_on_paper(city, who) for who in first], dtype=torch.float64)
    default = found(Epidemic(city_layers(people), people["age"], people["area"], initial=0.002), 11)[0]
    return [
        Line("everybody meets everybody, times vary: `reproduction`", r, by_mixed, exact=False),
        Line("... exact: first cases compete for the same people", shared, by_mixed),
        Line("synthetic city: `reproduction`", r, by_city, exact=False),
        Line("... exact: a contact can be infected only once", exact, by_city),
        Line("... with ages, tests and the jobless, as by default", r, default, exact=False),
    ]


def small_steps(n: int) -> str:
    """SIR in ever smaller steps against its differential equations: largest differences of the infectious share."""
    first = (torch.arange(n) < n // 100).float()
    lines = [f"{'steps a day':>11} {'recursion - equations':>22} {'simulation - recursion':>23}"]
    for steps in (1, 2, 4, 8, 16):
        h, days = 1 / steps, 60
        world = SEIR(MeanField.well_mixed(n, 1.0), 0.5 * h, AT_ONCE, 0.2 * h, initial=first)
        paper = well_mixed_curve(world, 1.0, 0.01, days * steps)
        equations = sir_curve(0.5, 0.2, 0.01, np.arange(days * steps + 1) * h)
        found = simulated(world, days * steps, seed=0)
        off = [float((a - b).abs().max()) for a, b in ((paper[:, 2], equations), (found[:, 2], paper[:, 2]))]
        lines.append(f"{steps:>11} {off[0]:>22.5f} {off[1]:>23.5f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=50_000, help="people a run (default 50,000)")
    parser.add_argument("--seeds", type=int, default=20, help="runs a line; from one case 50 times as many (20)")
    parser.add_argument("--quick", action="store_true", help="10,000 people, 8 seeds")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    n, seeds = (10_000, 8) if arguments.quick else (arguments.people, arguments.seeds)
    print(f"{'':<62} {'paper':>9} {'simulation':<19} {'off by':>6} {'runs':>6}")
    lines = []
    for what, part in {
        "well mixed": lambda: well_mixed_lines(n, seeds),
        "configuration networks": lambda: network_lines(n, seeds),
        "early growth": lambda: growth_lines(4 * n, seeds),
        "from one case": lambda: outbreak_lines(2000, 50 * seeds),
        "city": lambda: city_lines(max(n // 5, 5000), 2 * seeds),
    }.items():
        start = time.perf_counter()
        found = part()
        lines += found
        print("\n".join(map(str, found)), flush=True)
        print(f"  ({what}: {time.perf_counter() - start:.1f} s)")
    off = [abs(line.off) for line in lines if line.exact]
    print(f"\nSIR in small steps\n{small_steps(n)}")
    worst = f"{sum(o > 2 for o in off)} are off by more than 2 standard errors, the worst by {max(off):.1f}"
    print(f"\nOf {len(off)} numbers that are exact on paper {worst}.")


if __name__ == "__main__":
    main()
