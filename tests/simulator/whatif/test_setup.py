"""A Setup says what is run, once: it is checked where it is made, changed by replace, and run by everybody alike."""

import inspect
import pickle
from dataclasses import replace

import pytest
import torch

from ethogram.agents.simple import Fixed, UniformSlates
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Do, Record, Setup, contrast, ensemble, rollout
from ethogram.simulator.trees import to_device
from ethogram.simulator.whatif import mean_return

WORLD, POLICY = CascadingSession(trap()), UniformSlates(6, 2)
LATE, WEAKER = Do("attraction", 0.2, start=3), Do("attraction", lambda p: 0.5 * p)
SETUP = Setup(WORLD, POLICY, rows=30, horizon=6, record=["click"], interventions=[LATE])


def test_a_run_of_a_setup_is_a_rollout():
    settings = {"rows": 30, "horizon": 6, "seed": 4, "record": ["click"]}
    assert SETUP.run(4).equals(rollout(WORLD, POLICY, interventions=[LATE], **settings))
    both = SETUP.run(4, [WEAKER], scenario="tired")
    assert both.equals(rollout(WORLD, POLICY, interventions=[LATE, WEAKER], scenario="tired", **settings))


def test_interventions_of_a_what_if_come_after_those_of_the_setup():
    found = ensemble(
        SETUP,
        outcome=mean_return,
        seeds=range(3),
        scenarios={"as it is": [], "weaker": [WEAKER], "another": replace(SETUP, interventions=[WEAKER])},
    )
    for name, changes in {"as it is": [LATE], "weaker": [LATE, WEAKER], "another": [WEAKER]}.items():
        alone = replace(SETUP, interventions=changes)
        assert found.values[name].tolist() == [mean_return(alone.run(seed)).item() for seed in range(3)]
    assert len({tuple(values.tolist()) for values in found.values.values()}) == 3


def test_a_world_a_policy_and_interventions_may_change_together():
    poorer = CascadingSession(replace(trap(), reward=trap().reward / 2))
    instead = replace(SETUP, world=poorer, policy=Fixed([3, 4]), interventions=[WEAKER])
    effect = contrast(SETUP, instead, outcome=mean_return, seeds=range(3))
    assert effect.factual.tolist() == [mean_return(SETUP.run(seed)).item() for seed in range(3)]
    assert effect.counterfactual.tolist() == [mean_return(instead.run(seed)).item() for seed in range(3)]


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"world": CascadingSession}, TypeError, "world is the class CascadingSession"),
        ({"policy": "uniform"}, TypeError, "policy is a str"),
        ({"rows": 2.5}, TypeError, "rows is a float"),
        ({"horizon": 0}, ValueError, "horizon is 0: expected an int, 1 or more"),
        ({"interventions": LATE}, TypeError, "expected a list of Do"),
        ({"horizon": 3}, ValueError, "starts at step 3 of a run of 3 steps"),
        ({"record": "click"}, ValueError, "a list of names such as"),
        ({"record": [Record("click", reduce="sum", by=torch.zeros(2).long())]}, ValueError, "has 2 rows: expected 30"),
    ],
)
def test_what_cannot_be_run_is_refused_where_the_setup_is_made(wrong, error, says):
    with pytest.raises(error, match=says):
        replace(SETUP, **wrong)


def test_what_is_no_setup_or_no_change_is_refused():
    with pytest.raises(TypeError, match=r"setup is a CascadingSession: expected Setup\(world, policy, rows=…"):
        ensemble(WORLD, outcome=mean_return, seeds=range(2))
    with pytest.raises(TypeError, match="expected a list of Do"):
        contrast(SETUP, WEAKER, outcome=mean_return, seeds=range(2))
    with pytest.raises(TypeError, match=r"instead is a Fixed: expected a list of Do, such as .*, or another Setup"):
        contrast(SETUP, Fixed([3, 4]), outcome=mean_return, seeds=range(2))
    for scenarios in ({}, [(), [WEAKER]]):
        with pytest.raises(TypeError, match="expected a dict of names"):
            ensemble(SETUP, outcome=mean_return, seeds=range(2), scenarios=scenarios)
    with pytest.raises(TypeError, match="outcome is a str: expected a function of a History"):
        ensemble(SETUP, outcome="mean_return", seeds=range(2))
    with pytest.raises(TypeError, match="outcome returns None: expected a number or a tensor"):
        ensemble(SETUP, outcome=lambda history: None, seeds=range(2))
    for nothing in ((), SETUP):
        with pytest.raises(ValueError, match="instead changes nothing: expected"):
            contrast(SETUP, nothing, outcome=mean_return, seeds=range(2))


def test_a_setup_travels():
    plain = replace(SETUP, interventions=[LATE])  # a function in an intervention needs cloudpickle, as processes use
    assert pickle.loads(pickle.dumps(plain)).run(1).equals(plain.run(1))
    ids = replace(SETUP, rows=torch.arange(30))
    assert to_device(ids, "cpu").run(1).equals(SETUP.run(1))


def test_no_door_of_a_what_if_has_more_than_eight_parameters():
    for door in (Setup, Setup.run, ensemble, contrast):
        assert len(inspect.signature(door).parameters) <= 8
