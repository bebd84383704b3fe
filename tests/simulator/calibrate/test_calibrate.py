"""Calibration finds the parameters that made a series, with intervals that hold as often as they say."""

import math

import numpy as np
import pytest
import torch

from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import SEIR, RelaxedSEIR
from ethogram.simulator import Draws, rollout
from ethogram.simulator.calibrate import Fit, RelaxedDraws, fit_by_gradient, fit_by_search
from ethogram.simulator.networks import MeanField
from ethogram.simulator.recording import Record

BOUNDS = {"height": (0.0, 10.0), "decay": (0.0, 2.0)}
TRUTH = {"height": 3.0, "decay": 0.3}


def fading(parameters, seed):
    """(10,) height exp(-decay k), with noise of standard deviation 0.2."""
    height, decay = (torch.as_tensor(parameters[name], dtype=torch.float64) for name in ("height", "decay"))
    noise = torch.special.ndtri(Draws(seed, torch.arange(10)).uniform("noise").double())
    return height * (-decay * torch.arange(10)).exp() + 0.2 * noise


def by_search(observed, **how):
    return fit_by_search(fading, observed, BOUNDS, progress=False, **{"simulations": 1200, "population": 200} | how)


def by_gradient(observed, **how):
    return fit_by_gradient(fading, observed, BOUNDS, progress=False, **how)


@pytest.mark.parametrize("fit", [by_gradient, by_search])
def test_intervals_hold_as_often_as_they_say(fit):
    """20 series, two parameters each, 90 % intervals: fewer than 31 of 40 hold by chance once in 700 at the most.

    That is for 40 independent ones; the two of a series are correlated, so the bar is set at 29.
    """
    held, errors = 0, []
    for number in range(20):
        found = fit(fading(TRUTH, 10**6 + number))
        for name, truth in TRUTH.items():
            low, high = found.interval(name)
            held += low <= truth <= high
            errors.append((found[name] - truth) / truth)
    assert held >= 29
    assert abs(np.mean(errors)) < 0.05


def test_the_gradient_agrees_with_least_squares_and_its_standard_errors():
    observed = fading(TRUTH, 7)
    at = torch.tensor([3.0, 0.3], dtype=torch.float64)

    def curve(at):
        return at[0] * (-at[1] * torch.arange(10)).exp()

    for _ in range(20):  # Gauss-Newton
        slopes = torch.autograd.functional.jacobian(curve, at)
        at = at + torch.linalg.lstsq(slopes, observed - curve(at)).solution
    stderr = 0.2 * torch.linalg.inv(slopes.T @ slopes).diag().sqrt()
    found = by_gradient(observed, seeds=range(64), steps=150)
    for k, name in enumerate(BOUNDS):
        low, high = found.interval(name)
        assert found[name] == pytest.approx(at[k].item(), abs=0.6 * stderr[k].item())
        assert (high - low) / (2 * 1.645 * stderr[k].item()) == pytest.approx(1, abs=0.35)


class Killed(Exception):
    pass


@pytest.mark.parametrize("fit", [by_gradient, by_search])
def test_a_fit_that_is_killed_goes_on_to_the_same_bits(fit, tmp_path, monkeypatch):
    observed, path = fading(TRUTH, 5), tmp_path / "fit.pt"
    whole = fit(observed)
    calls = 0
    save = fit_by_search.__globals__["Checkpoint"].save

    def dies(self, step, state, records, **more):
        nonlocal calls
        save(self, step, state, records, **more)
        calls += 1
        if calls == 33:
            raise Killed

    monkeypatch.setattr(fit_by_search.__globals__["Checkpoint"], "save", dies)
    with pytest.raises(Killed):
        fit(observed, checkpoint=path, checkpoint_every=0)
    assert path.exists()
    calls = 100
    again = fit(observed, checkpoint=path, checkpoint_every=math.inf)
    assert not path.exists()
    assert torch.equal(again.sample, whole.sample)
    assert torch.equal(again.estimate, whole.estimate)
    assert all(torch.equal(again.trace[name], column) for name, column in whole.trace.items())


def test_the_checkpoint_of_another_fit_is_refused(tmp_path):
    path = tmp_path / "fit.pt"

    def dies(parameters, seed):
        if seed == 90:
            raise Killed
        return fading(parameters, seed)

    def begin(low):
        bounds = BOUNDS | {"height": (low, 10.0)}
        fit_by_search(dies, fading(TRUTH, 5), bounds, progress=False, checkpoint=path, checkpoint_every=0)

    with pytest.raises(Killed):
        begin(0.0)
    with pytest.raises(ValueError, match="another run"):
        begin(1.0)


def test_a_fit_shows_its_intervals_and_draws_from_its_sample():
    sample = torch.tensor([[0.0, 5.0], [1.0, 6.0], [2.0, 7.0]], dtype=torch.float64)
    weight = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    fit = Fit(("a", "b"), sample[1], sample, weight, {}, 3)
    assert (fit["b"], fit.quantile("a", 0.5), fit.interval("a")) == (6.0, 1.0, (0.0, 2.0))
    draws = [row["a"] for row in fit.draw(4000)]
    assert np.bincount(np.array(draws, int)) / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    assert "a  1  (90 % interval 0 to 2)" in str(fit)
    assert repr(fit) == "Fit(a 1 [0, 2], b 6 [5, 7]; 90 %; 3 of 3 count)"
    with pytest.raises(LookupError, match="no parameter named 'c'"):
        fit["c"]
    with pytest.raises(ValueError, match="level is 90: expected a number, 0 to 1"):
        fit.quantile("a", 90)


@pytest.mark.parametrize("fit", [fit_by_gradient, fit_by_search])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bounds": {}}, "bounds is empty"),
        ({"bounds": {"height": (2.0, 1.0)}}, "bounds of 'height' are 2.0 and 1.0"),
        ({"observed": torch.tensor([1.0, math.nan])}, "observed is"),
        ({"observed": torch.ones(4)}, r"simulate gives \(10,\)"),
        ({"simulate": lambda p, seed: torch.full((10,), math.nan)}, "expected finite numbers"),
    ],
)
def test_what_cannot_be_fitted_is_refused(fit, change, message):
    how = {"simulate": fading, "observed": torch.ones(10), "bounds": BOUNDS} | change
    with pytest.raises(ValueError, match=message):
        fit(**how, progress=False)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"start": {"height": 1.0, "decay": 2.0}}, "inside its bounds"),
        ({"start": {"hight": 1.0}}, "inside its bounds"),
        ({"steps": 0}, "expected an int, 1 or more"),
        ({"seeds": [1, 1]}, "more than once"),
    ],
)
def test_a_gradient_fit_that_cannot_start_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        by_gradient(torch.ones(10), **how)


def test_a_model_without_a_gradient_and_one_without_a_slope_are_refused():
    def hard(parameters, seed):
        return fading({name: float(value.detach()) for name, value in parameters.items()}, seed)

    with pytest.raises(ValueError, match="without a gradient"):
        fit_by_gradient(hard, torch.ones(10), BOUNDS, progress=False)
    with pytest.raises(ValueError, match="the square root of 0"):
        fit_by_gradient(lambda p, seed: (0 * fading(p, seed)).sqrt(), torch.ones(10), BOUNDS, progress=False)


@pytest.mark.parametrize("fit", [fit_by_gradient, fit_by_search])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bounds": [(0.0, 1.0)]}, "bounds are"),
        ({"bounds": {1: (0.0, 1.0)}}, "bounds are"),
        ({"bounds": {"height": (0.0, 1.0, 2.0)}}, "bounds of 'height' are"),
        ({"bounds": {"height": 1.0}}, "bounds of 'height' are 1.0: expected two numbers"),
        ({"bounds": {"height": ("low", "high")}}, "bounds of 'height' are"),
        ({"observed": "0123456789"}, "observed is '0123456789': expected numbers"),
        ({"simulate": 3}, "simulate is a int"),
        ({"simulate": lambda p, seed: None}, "simulate gives a NoneType"),
    ],
)
def test_wrong_arguments_of_a_fit_are_named(fit, change, message):
    how = {"simulate": fading, "observed": torch.ones(10), "bounds": BOUNDS} | change
    with pytest.raises(TypeError, match=message):
        fit(**how, progress=False)


def test_a_gradient_goes_on_with_as_many_threads_or_not_at_all(tmp_path, monkeypatch):
    path, checkpoint = tmp_path / "fit.pt", fit_by_search.__globals__["Checkpoint"]
    save = checkpoint.save

    def dies(self, step, state, records, **more):
        save(self, step, state, records, **more)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", dies)
        with pytest.raises(Killed):
            by_gradient(fading(TRUTH, 5), checkpoint=path, checkpoint_every=0)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        with pytest.raises(ValueError, match=f"made with {threads} threads"):
            by_gradient(fading(TRUTH, 5), checkpoint=path)
    finally:
        torch.set_num_threads(threads)


def test_a_gradient_whose_model_does_not_draw_the_record_widens_its_intervals():
    observed = fading(TRUTH, 5) + torch.tensor([1.0, -1.0] * 5)
    right = by_gradient(fading(TRUTH, 5))
    with pytest.warns(UserWarning, match="its intervals are widened"):
        wrong = by_gradient(observed)
    for name in BOUNDS:
        (low, high), (least, most) = wrong.interval(name), right.interval(name)
        assert high - low > 2 * (most - least)


def epidemic(parameters, seed, world, draws, ill):
    """(15,) square roots of the infectious of 400 people, every other day."""
    ids, (r0, days) = torch.arange(400), (parameters["R0"], parameters["days"])
    town = world(MeanField.well_mixed(400, 1.0), r0 / days, 1.0, 1 / days, 0.03)
    record, luck = [Record("observation", reduce=ill)], draws(seed, ids, scope="world")
    home = Fixed(0) if world is SEIR else Fixed([0.0] * 4)
    history = rollout(town, home, rows=ids, horizon=30, draws=luck, record=record)
    return (1 + history.series["observation"][2::2]).sqrt()


def test_both_recover_an_epidemic():
    """One simulated town; the true parameters are in the 98 % intervals, which tell more than the bounds do."""
    bounds, truth = {"R0": (1.0, 6.0), "days": (1.0, 9.0)}, {"R0": 2.5, "days": 4.0}

    def exact(parameters, seed):
        return epidemic(parameters, seed, SEIR, Draws, lambda stage: (stage == 2).double().sum())

    def relaxed(parameters, seed):
        return epidemic(parameters, seed, RelaxedSEIR, RelaxedDraws, lambda stage: stage[:, 2].sum())

    recorded = exact(truth, 10**6)
    how = {"seeds": range(4), "steps": 14, "learning_rate": 0.4, "spread": 30}
    by_slope = fit_by_gradient(relaxed, recorded, bounds, progress=False, **how)
    by_trial = fit_by_search(exact, recorded, bounds, simulations=600, population=150, progress=False)
    for fit in (by_slope, by_trial):
        for name, value in truth.items():
            low, high = fit.interval(name, 0.98)
            assert low <= value <= high
            assert high - low < 0.7 * (bounds[name][1] - bounds[name][0])
