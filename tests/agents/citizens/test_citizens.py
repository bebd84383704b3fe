"""Citizens: the contract, luck that is shared, fits against closed forms, and archetypes that ask nothing twice."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ethogram.agents.citizens import Answers, Archetypes, Heuristic, Logits, Perceptron, Routine, decide, decisions
from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import Disease, Epidemic, Measures
from ethogram.simulator import Do, Draws, Record, Setup, check_policy, contrast, rollout
from ethogram.simulator.draws import derived_ids
from ethogram.simulator.history import History
from ethogram.simulator.networks import Contacts
from ethogram.simulator.populations import Planner

N = 240


def contacts(n, degree, seed):
    source, target = np.random.default_rng(seed).integers(0, n, (2, n * degree // 2))
    keep = source != target
    return Contacts.from_edges(torch.tensor(source[keep]), torch.tensor(target[keep]), n, repeats="merge")


def city(n=N, **changes):
    rng = np.random.default_rng(0)
    world = Epidemic(
        {"household": contacts(n, 2, 1), "workplace": contacts(n, 4, 2), "community": contacts(n, 6, 3)},
        torch.tensor(rng.integers(0, 95, n)),
        torch.tensor(rng.integers(0, 3, n)),
        disease=Disease(reproduction=4.0),
        measures=Measures(confirmation=0.4, announced=7),
        initial=0.05,
    )
    return replace(world, **changes)


def people(n, seed=0):
    """What a random crowd sees."""
    rng = np.random.default_rng(seed)
    numbers = {name: torch.tensor(rng.integers(0, 2, n), dtype=torch.int8) for name in ("ill", "quarantined")}
    return {
        "age": torch.tensor(rng.integers(0, 95, n)),
        "area": torch.tensor(rng.integers(0, 3, n)),
        **numbers,
        "cases": torch.tensor(rng.gamma(1, 8, n), dtype=torch.float32),
        "change": torch.tensor(rng.normal(0, 3, n), dtype=torch.float32),
    }


def part(seen, rows):
    return {name: column[rows] for name, column in seen.items()}


def features(seen):
    return {
        "ill": seen["ill"] != 0,
        "decades": seen["age"] / 10,
        "cases": (seen["cases"] + 1).log(),
        "ill and old": (seen["ill"] != 0) & (seen["age"] >= 60),
    }


def well_or_ill(seen):
    return {"ill": seen["ill"]}


def ill_by_age(seen):
    """Saturated: a number of its own for each of four groups."""
    ill, old = seen["ill"].double(), (seen["age"] >= 60).double()
    return {"ill": ill, "old": old, "ill and old": ill * old}


def by_cases(questions):
    """An answerer for want of a language model: cautious where cases are many, and when old."""
    return [(0.1 + 0.4 * (q["cases"][0] is not None) + 0.3 * (q["age"][0] == 60), 0.9) for q in questions]


BY = {"age": (20, 60), "area": None, "cases": (5.0,)}
PAPER = Logits(features, {"intercept": -3, "ill": 3, "decades": 0.2, "cases": 0.5}, {"intercept": 2, "ill": -1})


def trained(**settings):
    seen = people(2000)
    action = decide(PAPER.probabilities(seen), Draws(1, torch.arange(2000)))
    return Perceptron.fit((seen, action), features, **{"epochs": 3, **settings})


POLICIES = {
    "always": lambda: Routine(isolate=True, work=False),
    "now and then": lambda: Routine(isolate=0.3, work=torch.linspace(0, 1, N), period=7),
    "a rule": lambda: Heuristic(work=0.95),
    "log-odds": lambda: PAPER,
    "a network": trained,
    "archetypes": lambda: Archetypes(Answers(by_cases), BY, period=7),
}


@pytest.mark.parametrize("name", POLICIES)
def test_the_policy_keeps_its_contract_in_the_city(name):
    check_policy(POLICIES[name](), city(), rows=N, horizon=16, independent=False)


@pytest.mark.parametrize("name", ["a rule", "log-odds", "a network", "archetypes"])
def test_a_person_gets_the_same_bits_in_any_batch_and_any_order(name):
    n, policy = 9001, POLICIES[name]()
    seen, draws = people(n), Draws(5, torch.arange(n) * 7 + 3, step=9)
    whole, action = policy.probabilities(seen), policy.act(seen, None, draws)
    assert whole.dtype == torch.float64
    assert action.dtype == torch.int8
    order = torch.tensor(np.random.default_rng(1).permutation(n))
    for rows in [order, order[:5000], *order[:2000].split(13), *order[:60].split(1)]:
        assert torch.equal(policy.probabilities(part(seen, rows)), whole[rows])
        assert torch.equal(policy.act(part(seen, rows), None, draws.of(rows)), action[rows])


def test_always_and_never_are_certain_and_a_share_is_a_share():
    """100,000 people; the 4.5-sigma bands fail by chance once in 70,000 seeds."""
    draws = Draws(0, torch.arange(100_000))
    assert (Routine(isolate=True, work=False).act({}, None, draws) == torch.tensor([1, 0])).all()
    assert (Routine().act({}, None, draws) == torch.tensor([0, 1])).all()
    share = Routine(0.3, 0.8).act({}, None, draws).double()
    assert share.mean(0).tolist() == pytest.approx([0.3, 0.8], abs=4.5 * math.sqrt(0.21 / 100_000))
    both = torch.corrcoef(share.T)[0, 1].abs()
    assert both < 4.5 / math.sqrt(100_000), "the two decisions have luck of their own"


def test_luck_lasts_for_a_period():
    world = city()
    action = rollout(world, Routine(0.3, 0.5, period=7), rows=N, horizon=28).action  # (n, 28, 2)
    weeks = action.view(N, 4, 7, 2)
    assert (weeks == weeks[:, :, :1]).all()
    assert (weeks[:, 1:] != weeks[:, :-1]).any()
    every_day = rollout(world, Routine(0.3, 0.5), rows=N, horizon=28).action
    assert torch.equal(every_day[:, ::7], action[:, ::7]), "the luck of a period is that of its first day"
    assert not torch.equal(every_day, action)


def test_within_a_period_only_those_decide_anew_whose_probability_changes():
    world = city()
    history = rollout(world, Heuristic(period=7), rows=N, horizon=21)
    seen = {name: column[:, :-1] for name, column in history.observation.items()}
    same = torch.ones(N, 20, dtype=torch.bool)
    for name in ("ill", "quarantined", "cases", "change"):
        same &= seen[name][:, 1:] == seen[name][:, :-1]
    same[:, 6::7] = False  # a new period begins
    changed = (history.action[:, 1:] != history.action[:, :-1]).any(2)
    assert same.sum() > 10 * N
    assert not changed[same].any()
    assert changed[~same].any()


# A rule


def test_the_rule_rises_with_age_and_cases_and_is_surest_for_the_ill():
    def isolating(**seen):
        columns = {"age": 40, "ill": 0, "quarantined": 0, "cases": 10.0, "change": 0.0, **seen}
        return Heuristic().probabilities({name: torch.tensor([v]) for name, v in columns.items()})[0, 0].item()

    assert isolating() == 0.4, "half of most, at 40 and with half cases"
    assert isolating(cases=0.0) == isolating(age=0) == isolating(cases=5.0, change=-20.0) == 0
    ages = [isolating(age=age) for age in range(0, 96, 5)]
    cases = [isolating(cases=float(c)) for c in range(0, 200, 10)]
    assert ages == sorted(set(ages))
    assert cases == sorted(set(cases))
    assert isolating(change=4.0) > isolating() > isolating(change=-4.0)
    assert isolating(ill=1) == isolating(quarantined=1, age=0) == 0.9


def test_more_caution_through_the_same_luck_only_adds_isolation():
    seen, draws = people(5000), Draws(3, torch.arange(5000))
    calm, worried = (Heuristic(half=half).act(seen, None, draws)[:, 0] for half in (10.0, 5.0))
    assert (worried >= calm).all()
    assert worried.sum() > calm.sum()


def test_caution_averts_infections():
    """Paired runs of one seed; 6 pairs."""
    setup = Setup(city(1000), Routine(), rows=1000, horizon=60, record=["infected"])
    effect = contrast(
        setup,
        replace(setup, policy=Heuristic(half=1.0)),
        outcome=lambda history: history.sites["infected"].double().sum().item() / 1000,
        seeds=range(6),
    )
    assert effect.mean + 4.5 * effect.stderr < 0


# Interventions on what people do, for some and from a date


def test_an_intervention_changes_the_policy_of_a_group_from_a_date():
    world, policy = city(), Heuristic()
    old = world.age >= 60
    home = Do("action", torch.tensor([1, 1], dtype=torch.int8), start=10, stop=20, who=old)
    idle = Do("action", lambda action: action * torch.tensor([1, 0], dtype=torch.int8), start=12, who=~old)
    factual = rollout(world, policy, rows=N, horizon=25, record=["isolates"])
    changed = rollout(world, policy, rows=N, horizon=25, record=["isolates"], interventions=[home, idle])
    assert torch.equal(factual.action[:, :10], changed.action[:, :10])
    assert changed.action[old, 10:20].all()
    assert changed.sites["isolates"][old, 10:20].float().mean() > 0.99  # all but the dead
    assert torch.equal(changed.action[~old, 10:12], policy_again(world, policy, changed)[~old, 10:12])
    assert not changed.action[~old, 12:, 1].any()
    assert torch.equal(changed.action[..., 0][~old], policy_again(world, policy, changed)[~old][..., 0])
    assert torch.equal(changed.action[old, 20:], policy_again(world, policy, changed)[old, 20:])


def policy_again(world, policy, history):
    """What a memory-less policy would have done on each day of a history, (n, T, 2)."""
    draws = Draws(history.seed, history.ids, scope="policy")
    seen = history.observation
    days = range(history.num_steps)
    return torch.stack([policy.act({k: c[:, t] for k, c in seen.items()}, None, draws.at(t)) for t in days], 1)


def test_citizens_act_for_a_planner_as_in_a_rollout_of_their_own():
    world, policy = city(), Heuristic(half=1.0, period=7)
    isolating = Record("isolates", reduce="mean")
    planner = Planner(world, N, policy, spaces.Discrete(2), lambda a: [], [isolating], lambda found, a: 0.0, period=7)
    weeks = rollout(planner, Fixed(0), rows=torch.tensor([5]), horizon=4, seed=2).observation[0, 1:, 0]
    ids = derived_ids(torch.tensor(5).expand(N), torch.arange(N))
    days = rollout(world, policy, rows=ids, horizon=28, seed=2, record=[isolating]).series["isolates"]
    assert days.max() > 0
    assert torch.equal(weeks, days.view(4, 7).mean(1).float())


# Log-odds


def test_a_saturated_fit_gives_the_shares_of_the_groups():
    """Closed form: log-odds of a share p of m, each with standard error (m p (1 - p))^-1/2."""
    n = 4000
    seen = people(n)
    action = decide(PAPER.probabilities(seen), Draws(2, torch.arange(n)))
    fit = Logits.fit((seen, action), ill_by_age)
    ill, old = seen["ill"] != 0, seen["age"] >= 60
    for k, name in enumerate(("isolate", "work")):
        log_odds, variance = {}, {}
        for group in ((False, False), (True, False), (False, True), (True, True)):
            among = (ill == group[0]) & (old == group[1])
            p, m = action[among, k].double().mean().item(), int(among.sum())
            log_odds[group], variance[group] = math.log(p / (1 - p)), 1 / (m * p * (1 - p))
        base, sick, aged, both = log_odds.values()
        expected = [base, sick - base, aged - base, both - sick - aged + base]
        b, s, a, c = variance.values()
        coefficients, stderr = getattr(fit, name), fit.stderr[name]
        assert list(coefficients) == list(stderr) == ["intercept", "ill", "old", "ill and old"]
        assert list(coefficients.values()) == pytest.approx(expected, abs=1e-9)
        expected = [math.sqrt(v) for v in (b, b + s, b + a, b + s + a + c)]
        assert list(stderr.values()) == pytest.approx(expected, rel=1e-6)
        rates = [action[(ill == i) & (old == o), k].double().mean() for i, o in zip(ill, old, strict=True)]
        assert fit.probabilities(seen)[:, k] == pytest.approx(torch.stack(rates).numpy(), abs=1e-9)


def test_a_fit_on_a_history_of_the_city_recovers_the_coefficients():
    """10 z-scores within 4.5; fails by chance once in 15,000 seeds."""
    truth = replace(
        PAPER,
        isolate={"intercept": -2, "ill": 1.5, "decades": 0.15, "cases": 0.3, "ill and old": -0.7},
        work={"intercept": 1, "ill": -1, "decades": 0.1, "cases": -0.2, "ill and old": 0.5},
    )
    history = rollout(city(3000), truth, rows=3000, horizon=30, seed=4)
    fit = Logits.fit(history, features)
    for name in ("isolate", "work"):
        found, true, stderr = getattr(fit, name), getattr(truth, name), fit.stderr[name]
        assert found.keys() == true.keys() == stderr.keys()
        for feature in true:
            assert abs(found[feature] - true[feature]) < 4.5 * stderr[feature], (name, feature)
            assert stderr[feature] < 0.3
    again = rollout(city(3000), fit, rows=3000, horizon=30, seed=4)
    assert (again.action == history.action).double().mean() > 0.98


def test_confidence_intervals_cover_as_often_as_they_say():
    """300 data sets; 95 % intervals of each of 6 numbers cover in 95 ± 5 % of them (by chance not in 1 of 1,300)."""
    truth = Logits(features, {"intercept": -1, "ill": 1, "decades": 0.1}, {"intercept": 0.5, "cases": 0.3})
    seen, covered, total = people(500), 0.0, 300

    def three(seen):
        full = features(seen)
        return {name: full[name] for name in ("ill", "decades", "cases")}

    wanted = {"isolate": ("ill", "decades", "cases"), "work": ("ill", "decades", "cases")}
    for seed in range(total):
        action = decide(truth.probabilities(seen), Draws(seed, torch.arange(500)))
        fit = Logits.fit((seen, action), three)
        covered += np.array(
            [
                abs(getattr(fit, name)[f] - getattr(truth, name).get(f, 0)) < 1.96 * fit.stderr[name][f]
                for name, columns in wanted.items()
                for f in columns
            ]
        )
    assert covered / total == pytest.approx(np.full(6, 0.95), abs=0.05)


def test_a_history_counts_the_days_on_which_a_period_begins():
    history = rollout(city(), replace(PAPER, period=7), rows=N, horizon=20, seed=1)
    names, x, y = decisions(history, features, 7)
    assert names == list(features(people(1)))
    assert x.shape == (3 * N, 4)
    assert torch.equal(y.view(N, 3, 2).to(torch.int8), history.action[:, ::7])
    cut = replace(history, length=torch.full((N,), 7))
    assert len(decisions(cut, features, 7)[1]) == N, "not what is padding"


def test_a_fit_says_what_cannot_be_fitted():
    seen, n = people(400), 400
    action = decide(PAPER.probabilities(seen), Draws(0, torch.arange(n)))
    ill = (seen["ill"] != 0).to(torch.int8)
    with pytest.raises(ValueError, match=r"\['ill'\] for 'isolate' grow without bound.*perfect separation"):
        Logits.fit((seen, torch.stack([action[:, 0] | ill, action[:, 1]], 1)), lambda s: {"ill": s["ill"], **old(s)})
    with pytest.raises(ValueError, match="'work' grow without bound"):
        Logits.fit((seen, torch.stack([action[:, 0], ill], 1)), well_or_ill)
    with pytest.raises(ValueError, match="'isolate' is 0 in all 400 decisions"):
        Logits.fit((seen, action * torch.tensor([0, 1], dtype=torch.int8)), well_or_ill)
    with pytest.raises(ValueError, match=r"\['ill', 'twice'\] say the same"):
        Logits.fit((seen, action), lambda s: {"ill": s["ill"], "age": s["age"], "twice": 2 * s["ill"]})
    with pytest.raises(ValueError, match=r"\['intercept', 'one'\] say the same"):
        Logits.fit((seen, action), lambda s: {"ill": s["ill"], "one": torch.full((n,), 2020)})
    with pytest.raises(ValueError, match="'age' is nan in decision 7: expected finite"):
        Logits.fit((seen | {"age": torch.full((n,), 1.0).index_fill(0, torch.tensor(7), math.nan)}, action), old)
    with pytest.raises(ValueError, match=r"actions are \(400,\): expected a tensor \(400, 2\)"):
        Logits.fit((seen, action[:, 0]), well_or_ill)
    with pytest.raises(ValueError, match="period is 0"):
        Logits.fit((seen, action), well_or_ill, period=0)


def old(seen):
    return {"age": seen["age"]}


def test_the_weeks_of_a_year_are_fitted_as_well_as_numbers_near_zero():
    """Badly scaled features: the likelihood is the same, so the probabilities are."""
    seen, n = people(3000), 3000
    action = decide(PAPER.probabilities(seen), Draws(0, torch.arange(n)))
    near = Logits.fit((seen, action), lambda s: {"week": s["age"], "cases": s["cases"]})
    far = Logits.fit((seen, action), lambda s: {"week": 2020 + s["age"].double() / 52, "cases": s["cases"] * 1e6})
    assert torch.allclose(near.probabilities(seen), far.probabilities(seen), atol=1e-7)


def test_a_rare_decision_is_fitted():
    n = 200_000
    seen = {"ill": (torch.arange(n) % 2).to(torch.int8)}
    action = torch.stack([torch.arange(n) % 40_000 < 2, torch.arange(n) % 40_000 < 7], 1).to(torch.int8)
    fit = Logits.fit((seen, action), well_or_ill)
    assert fit.probabilities(seen)[0].tolist() == pytest.approx([5 / 100_000, 20 / 100_000], rel=1e-9)


def test_coefficients_must_be_of_features_that_there_are():
    seen = people(5)
    with pytest.raises(LookupError, match=r"\['il'\]: features gives \['ill'\]"):
        Logits(well_or_ill, {"il": 1}, {}).probabilities(seen)
    for wrong, message in [
        (lambda s: s["ill"], "features gives Tensor"),
        (lambda s: {"intercept": s["ill"]}, "the intercept is implied"),
        (lambda s: {"ill": s["ill"][:2]}, r"'ill' is of shape \(2,\): expected a tensor \(5,\)"),
        (lambda s: {"ill": 1.0}, "'ill' is a float"),
    ]:
        with pytest.raises(ValueError, match=message):
            Logits(wrong, {}, {}).probabilities(seen)
    assert Logits(well_or_ill, {}, {}).probabilities(seen).tolist() == [[0.5, 0.5]] * 5


# A network


def surprising(seen):
    """Probabilities that no sum of the features has: the young and ill, and the old and well, isolate."""
    odd = (seen["ill"] != 0) ^ (seen["age"] >= 50)
    wave = torch.exp(-(((seen["cases"] - 12) / 6) ** 2))
    return torch.stack([torch.where(odd, 0.8, 0.2), 0.2 + 0.6 * wave], 1).double()


def plain(seen):
    return {"ill": seen["ill"], "age": seen["age"], "cases": seen["cases"]}


def test_a_network_learns_what_sums_of_features_miss():
    """20,000 decisions: mean error of a probability below 0.03, where log-odds linear in the features have 0.2."""
    n = 20_000
    seen, fresh = people(n), people(5000, seed=9)
    action = decide(surprising(seen), Draws(0, torch.arange(n)))
    network, linear = (fit((seen, action), plain) for fit in (Perceptron.fit, Logits.fit))
    error, missed = ((p.probabilities(fresh) - surprising(fresh)).abs().mean().item() for p in (network, linear))
    assert missed > 0.15
    assert error < 0.03


def test_a_network_trains_to_the_same_bits_and_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    a, b, other = trained(), trained(), trained(seed=1)
    assert torch.equal(before, torch.get_rng_state())
    seen = people(100)
    assert torch.equal(a.probabilities(seen), b.probabilities(seen))
    assert not torch.equal(a.probabilities(seen), other.probabilities(seen))


def test_without_hidden_layers_a_network_is_the_logistic_regression():
    n = 4000
    seen = people(n)
    action = decide(PAPER.probabilities(seen), Draws(0, torch.arange(n)))
    network, logits = (
        Perceptron.fit((seen, action), features, hidden=(), epochs=100),
        Logits.fit((seen, action), features),
    )
    assert torch.allclose(network.probabilities(seen), logits.probabilities(seen), atol=0.005)


def test_a_network_is_saved_and_loaded_to_the_bit(tmp_path):
    network, seen = trained(period=7, hidden=(8, 4)), people(50)
    network.save(tmp_path / "new" / "network.pt")
    again = Perceptron.load(tmp_path / "new" / "network.pt", features)
    assert torch.equal(network.probabilities(seen), again.probabilities(seen))
    assert again.period == 7
    with pytest.raises(ValueError, match=r"features gives \['ill'\]: expected \['ill', 'decades'"):
        Perceptron.load(tmp_path / "new" / "network.pt", well_or_ill).probabilities(seen)
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a network that can be read"):
        Perceptron.load(tmp_path / "broken.pt", features)
    torch.save({"names": []}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="not a network that can be read"):
        Perceptron.load(tmp_path / "other.pt", features)
    with pytest.raises(FileNotFoundError):
        Perceptron.load(tmp_path / "none.pt", features)


def test_a_network_refuses_what_it_cannot_know():
    seen, many = people(20), people(9001)
    with pytest.raises(ValueError, match=r"row 8500 .*knows nothing of such people"):
        trained().probabilities(many | {"age": many["age"].index_fill(0, torch.tensor(8500), 10**6)})
    nan = seen["cases"].index_fill(0, torch.tensor(4), math.nan)
    with pytest.raises(ValueError, match="row 4"):
        trained().probabilities(seen | {"cases": nan})
    action = decide(torch.full((20, 2), 0.5), Draws(0, torch.arange(20)))
    with pytest.raises(ValueError, match=r"\['one'\] are constant"):
        Perceptron.fit((seen, action), lambda s: {"age": s["age"], "one": torch.ones(20)})
    for wrong in ({"hidden": (600,)}, {"epochs": 0}, {"batch": 0}, {"rate": 0.0}, {"hidden": (0,)}):
        with pytest.raises(ValueError, match=rf"{next(iter(wrong))}.*: expected"):
            Perceptron.fit((seen, action), plain, **wrong)


# Archetypes


class Counting:
    """Answers, and keeps what it was asked."""

    def __init__(self):
        self.questions = []

    def __call__(self, questions):
        self.questions += questions
        return by_cases(questions)


def test_archetypes_ask_once_for_each_group_that_has_people():
    seen, answer = people(300), Counting()
    policy = Archetypes(Answers(answer), BY)
    probability = policy.probabilities(seen)
    age, area, cases = (seen[name].tolist() for name in BY)

    def question(i):
        band = [None, 20] if age[i] < 20 else [20, 60] if age[i] < 60 else [60, None]
        return {"age": band, "area": area[i], "cases": [None, 5.0] if cases[i] < 5 else [5.0, None]}

    groups = {json.dumps(question(i)): question(i) for i in range(300)}
    assert sorted(map(json.dumps, answer.questions)) == sorted(groups)
    assert policy.answers.asked == len(policy.answers) == len(groups) == 18
    assert probability.tolist() == [list(by_cases([question(i)])[0]) for i in range(300)]
    few = part(seen, torch.arange(40))
    assert torch.equal(policy.probabilities(few), probability[:40])
    assert policy.answers.asked == 18
    fresh = Archetypes(Answers(Counting()), BY)
    fresh.probabilities(part(seen, torch.tensor([0, 0, 0])))
    assert fresh.answers.asked == 1, "nobody asks about groups without people"


def test_everybody_draws_on_their_own():
    """5,000 people of one archetype; the 4.5-sigma band fails by chance once in 147,000 seeds."""
    n = 5000
    seen = {"age": torch.full((n,), 70), "area": torch.ones(n, dtype=torch.int64), "cases": torch.full((n,), 9.0)}
    share = Archetypes(Answers(by_cases), BY).act(seen, None, Draws(0, torch.arange(n)))[:, 0].double().mean().item()
    assert share == pytest.approx(0.8, abs=4.5 * math.sqrt(0.8 * 0.2 / n))


def test_a_question_may_name_the_period():
    asked = []

    def later(questions):
        asked.extend(questions)
        return [(0.3 * q["period"], 1.0) for q in questions]

    history = rollout(city(), Archetypes(Answers(later), {"period": None, "ill": None}, 7), rows=N, horizon=21)
    assert asked[0] == {"period": 0, "ill": 0}
    assert {q["period"] for q in asked} == {0, 1, 2}
    assert not history.action[:, :7, 0].any()
    assert history.action[:, 14:, 0].double().mean() == pytest.approx(0.6, abs=4.5 * math.sqrt(0.24 / N))
    undated = Archetypes(Answers(lambda questions: [(0.5, 1.0)] * len(questions)), {"ill": None}, 7)
    rollout(city(), undated, rows=N, horizon=21)
    assert undated.answers.asked == 2


def test_bins_take_their_lower_edge_and_whole_numbers_any_sign():
    asked = []
    policy = Archetypes(Answers(lambda qs: asked.extend(qs) or [(0, 1)] * len(qs)), {"age": [20, 60], "area": None})
    policy.probabilities({"age": torch.tensor([19, 20, 59, 60]), "area": torch.tensor([-2, 3, 3, 0])})
    assert asked == [
        {"age": [None, 20], "area": -2},
        {"age": [20, 60], "area": 3},
        {"age": [60, None], "area": 0},
    ]
    everybody = Archetypes(Answers(by_all), {})
    assert everybody.probabilities({"age": torch.tensor([1, 2])}).tolist() == [[0.25, 0.75]] * 2


def by_all(questions):
    assert questions == [{}]
    return torch.tensor([[0.25, 0.75]])


def test_a_second_scenario_and_a_second_run_ask_nothing_again(tmp_path):
    path = tmp_path / "answers.jsonl"
    policy = Archetypes(Answers(by_cases, path), BY, period=7)
    factual = rollout(city(), policy, rows=N, horizon=30, seed=3)
    asked = policy.answers.asked
    assert 0 < asked == len(path.read_text().splitlines()) <= 18
    assert {"question", "answer"} == json.loads(path.read_text().splitlines()[0]).keys()
    rollout(city(), policy, rows=N, horizon=30, seed=3, interventions=[Do("infected", False, start=10)])
    counterfactual = policy.answers.asked

    def nobody(questions):
        raise AssertionError(f"asked {questions}")

    again = Archetypes(Answers(nobody, path), BY, period=7)
    assert len(again.answers) == counterfactual
    assert torch.equal(rollout(city(), again, rows=N, horizon=30, seed=3).action, factual.action)
    assert again.answers.asked == 0
    again.answers.save(tmp_path / "copy.jsonl")
    assert (tmp_path / "copy.jsonl").read_bytes() == path.read_bytes()


class Killed(Exception):
    pass


def test_a_killed_run_resumes_with_its_answers(tmp_path):
    world, dated = city(), {**BY, "period": None}
    settings = {"rows": N, "horizon": 30, "checkpoint": tmp_path / "run.pt", "checkpoint_every": 0}
    whole = Archetypes(Answers(by_cases), dated, period=7)
    uninterrupted = rollout(world, whole, rows=N, horizon=30)

    def dies(questions):
        if questions[0]["period"] == 2:
            raise Killed
        return by_cases(questions)

    path = tmp_path / "answers.jsonl"
    with pytest.raises(Killed):
        rollout(world, Archetypes(Answers(dies, path), dated, period=7), **settings)
    assert (tmp_path / "run.pt").exists()
    again = Archetypes(Answers(by_cases, path), dated, period=7)
    known = len(again.answers)
    assert known > 0
    assert torch.equal(rollout(world, again, **settings).action, uninterrupted.action)
    assert again.answers.asked == whole.answers.asked - known


def test_a_wrong_answer_is_an_error_and_is_not_remembered(tmp_path):
    seen = people(50)
    for wrong, message in [
        (lambda qs: [(0.5, 0.5)], "1 answers to 17 questions: expected one for each"),
        (lambda qs: [(0.5, 1.5)] * len(qs), r"the answer to \{'age': \[None, 20\], 'area': 0.*is \(0.5, 1.5\)"),
        (lambda qs: [(0.5, math.nan)] * len(qs), "two numbers from 0 to 1"),
        (lambda qs: [("0.5", 0.5)] * len(qs), "two numbers from 0 to 1"),
        (lambda qs: [0.5] * len(qs), "two numbers from 0 to 1"),
        (lambda qs: [(0.5,)] * len(qs), "two numbers from 0 to 1"),
        (lambda qs: ["no"] * len(qs), "two numbers from 0 to 1"),
        (lambda qs: torch.full((len(qs), 3), 0.5), "two numbers from 0 to 1"),
    ]:
        policy = Archetypes(Answers(wrong, tmp_path / "answers.jsonl"), BY)
        with pytest.raises(ValueError, match=message):
            policy.probabilities(seen)
        assert len(policy.answers) == 0
        assert not (tmp_path / "answers.jsonl").exists()


def test_a_file_of_answers_that_is_wrong_is_an_error(tmp_path):
    path, good = tmp_path / "answers.jsonl", '{"question": {"area": 1}, "answer": [0.5, 1.0]}\n'
    for bad in ("nothing\n", '{"question": {"area": 2}}\n', '{"question": {"area": 2}, "answer": [2, 0]}\n', "[]\n"):
        path.write_text(good + bad)
        with pytest.raises(ValueError, match=r"line 2 of .* is not a question and its answer"):
            Answers(by_cases, path)
    path.write_text(good + good.replace("0.5", "0.25"))
    with pytest.raises(ValueError, match=r"line 2 of .* otherwise than an earlier one"):
        Answers(by_cases, path)
    path.write_text(good)
    assert Answers(by_cases, path).to([{"area": 1}]) == [(0.5, 1.0)]


def test_arguments_are_checked():
    seen, draws = people(4), Draws(0, torch.arange(4))
    for make, message in [
        (lambda: Routine(isolate=1.5), "isolate is 1.5: expected a probability"),
        (lambda: Routine(work=torch.tensor([0.5, math.nan])), "work is tensor"),
        (lambda: Routine(torch.zeros(3)).act(seen, None, draws), "a routine for 3 people meets 4"),
        (lambda: Routine(period=0), "period is 0: expected an int, 1 or more"),
        (lambda: Heuristic(most=2), "most is 2: expected a number, 0 to 1"),
        (lambda: Heuristic(half=0), "half is 0"),
        (lambda: decide(torch.zeros(4), draws), r"shape \(4,\)"),
        (lambda: decide(torch.full((4, 2), 1.5), draws), "probability of row 0 is"),
        (lambda: Archetypes(Answers(by_cases), {"age": (60, 20)}), "expected ascending numbers"),
        (lambda: Archetypes(Answers(by_cases), {"age": ()}), "expected ascending numbers"),
        (lambda: Archetypes(Answers(by_cases), {"period": (1,)}), "'period': None"),
        (lambda: Archetypes(Answers(by_cases), BY, period=0), "period is 0"),
        (
            lambda: Archetypes(Answers(by_cases), {"cases": None}).act(seen, None, draws),
            "expected whole numbers, or edges",
        ),
        (lambda: Archetypes(Answers(by_cases), BY).act(seen | {"cases": seen["cases"] + math.nan}, None, draws), "NaN"),
        (lambda: Archetypes(Answers(by_cases), {"big": None}).act(wide(4), None, draws), "over 10,000,000 groups"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(LookupError, match=r"people do not see 'age': this world shows \['ill'\]"):
        Heuristic().act({"ill": seen["ill"]}, None, draws)
    with pytest.raises(LookupError, match="people do not see 'ages'"):
        Archetypes(Answers(by_cases), {"ages": (20,)}).act(seen, None, draws)


def wide(n):
    return {"big": torch.arange(n) * 10**9}


def test_a_log_of_decisions_is_a_history_too():
    """Fitted to what was logged elsewhere, in rows of different length."""
    n, steps = 600, 4
    seen = {name: torch.stack([people(n, s)[name] for s in range(steps + 1)], 1) for name in ("ill", "age")}
    action = decide(torch.full((n * steps, 2), 0.4), Draws(0, torch.arange(n * steps))).view(n, steps, 2)
    log = History.of(
        action=action, observation=seen, reward=torch.zeros(n, steps), length=torch.randint(0, steps + 1, (n,))
    )
    rows = [(i, t) for i in range(n) for t in range(int(log.length[i]))]
    i, t = torch.tensor(rows).T
    pairs = {name: column[i, t] for name, column in seen.items()}, action[i, t]
    assert Logits.fit(log, ill_by_age).isolate == pytest.approx(Logits.fit(pairs, ill_by_age).isolate)
