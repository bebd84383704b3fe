"""A seed is an int, wherever one is asked for: what Python or NumPy takes for an equal number is no other seed."""

from dataclasses import replace

import numpy as np
import pandas
import pytest
import torch

from ethogram.agents.bandits import CascadeUCB1, play
from ethogram.agents.cascading import CascadingVI, learn_in
from ethogram.agents.simple import Fixed, UniformSlates
from ethogram.envs.people import city_layers, from_archetypes, from_marginals, from_table, synthetic_city
from ethogram.envs.sessions import CascadingSession, cascading_bandit, trap
from ethogram.simulator import Draws, Record, Setup, abduct, contrast, ensemble, episodes, rollout
from ethogram.simulator.calibrate import fit_by_gradient, fit_by_search
from ethogram.simulator.networks import configuration, erdos_renyi, scale_free, small_world, within_groups
from ethogram.simulator.whatif import mean_return

WORLD, POLICY = CascadingSession(trap()), UniformSlates(6, 2)
SETUP = Setup(WORLD, POLICY, rows=2, horizon=2)
LOGGED = rollout(WORLD, POLICY, rows=2, horizon=2, record=["click"])
AGENT = CascadingVI(trap().reward, 2, trap().horizon, 10)
CITY = synthetic_city(50, seed=1)
BANDIT = cascading_bandit(torch.linspace(0.1, 0.5, 4, dtype=torch.float64), 2)
SEEDED = {
    "Draws": lambda s: Draws(s, torch.arange(2)),
    "rollout": lambda s: rollout(WORLD, POLICY, rows=2, horizon=2, seed=s),
    "episodes": lambda s: next(episodes(WORLD, AGENT, 1, horizon=2, seed=s)),
    "Setup.run": SETUP.run,
    "contrast": lambda s: contrast(SETUP, replace(SETUP, policy=Fixed([0, 1])), outcome=mean_return, seeds=[s]),
    "ensemble": lambda s: ensemble(SETUP, outcome=mean_return, seeds=[s]),
    "abduct": lambda s: abduct(WORLD, LOGGED, seed=s),
    "learn_in": lambda s: learn_in(trap(), AGENT, 1, seed=s),
    "play": lambda s: play(CascadeUCB1(4, 2), BANDIT, 3, seed=s),
    "erdos_renyi": lambda s: erdos_renyi(20, 3, seed=s),
    "small_world": lambda s: small_world(20, 4, 0.1, seed=s),
    "scale_free": lambda s: scale_free(20, 2, seed=s),
    "configuration": lambda s: configuration(torch.full((20,), 2), seed=s),
    "within_groups": lambda s: within_groups(torch.zeros(20, dtype=torch.int64), 3, seed=s),
    "synthetic_city": lambda s: synthetic_city(50, seed=s),
    "city_layers": lambda s: city_layers(CITY, seed=s),
    "from_archetypes": lambda s: from_archetypes({"a": {"age": 3}}, {"a": 1.0}, 5, seed=s),
    "from_marginals": lambda s: from_marginals({"sex": {"f": 3, "m": 2}}, 5, seed=s),
    "from_table": lambda s: from_table(
        pandas.DataFrame({"age": [1, 2], "w": [1.0, 2.0]}), num_people=5, weight="w", seed=s
    ),
    "fit_by_search": lambda s: fit_by_search(
        lambda p, seed: torch.tensor([p["a"]]),
        torch.tensor([0.5]),
        {"a": (0, 1)},
        simulations=100,
        population=50,
        seed=s,
    ),
    "fit_by_gradient": lambda s: fit_by_gradient(
        lambda p, seed: torch.as_tensor(p["a"]).reshape(1) + 0 * seed,
        torch.tensor([0.5]),
        {"a": (0, 1)},
        seeds=[s],
        steps=1,
    ),
}
BAD = [True, False, 1.0, float("nan"), None, "1", np.bool_(True), np.float64(1), torch.tensor(1)]


@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_is_an_int_or_is_refused_by_name(name):
    for bad in BAD:
        with pytest.raises(TypeError, match=r"seeds?(\[0\])? is .*expected an int"):
            SEEDED[name](bad)
    for good in (1, np.int64(1), np.uint8(1)):
        SEEDED[name](good)


def test_no_seed_or_step_makes_another_one_of_an_equal_number():
    """Keys are cached by what Python takes for equal: 1, 1.0, True and NumPy's 1 are."""
    fresh, ids = 987_654_321, torch.arange(4)
    for wrong in (float(fresh), np.float64(fresh)):
        with pytest.raises(TypeError):
            rollout(WORLD, POLICY, rows=2, horizon=2, seed=wrong)
    expected = Draws(fresh, ids, 3).uniform("x")
    for seed, step in ((np.int64(fresh), 3), (fresh, np.int32(3)), (np.uint32(fresh), np.uint8(3))):
        draws = Draws(seed, ids, step)
        assert (type(draws.seed), type(draws.step)) == (int, int)
        assert torch.equal(draws.uniform("x"), expected)
        assert torch.equal(Draws(seed, ids).at(step).uniform("x"), expected)
    for step in (True, 3.0, "3", None, np.float32(3)):
        with pytest.raises(TypeError, match="step is"):
            Draws(fresh, ids).at(step)
    with pytest.raises(TypeError, match="two names, str"):
        Draws(fresh, ids).uniform(1)
    assert (
        type(rollout(WORLD, Fixed([0, 1]), rows=2, horizon=1, seed=np.int16(7), record=[Record("click")]).seed) is int
    )
