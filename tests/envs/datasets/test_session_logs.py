"""Logs of sessions become users: the numbers counted by plain loops, a known world found again, faults named."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from ethogram.agents.citizens import Logits
from ethogram.agents.simple import UniformSlates
from ethogram.envs.clicks import DBN, RCM, CascadeModel, ClickLog
from ethogram.envs.datasets import (
    FittedSession,
    SessionLog,
    fit_sessions,
    load_movielens,
    load_open_bandit,
    paper_mdp,
    session_mdp,
)
from ethogram.envs.sessions import CascadingSession, good_medium_bad
from ethogram.simulator import check_world, ope, rollout
from ethogram.simulator.formats import from_minari, from_pandas

ROLES = {"session": "who", "time": "at", "item": "sku", "click": "clicked", "position": "rank"}


def table_of(history, reward=None):
    """The long table of a recorded session world: a row for each item shown, shuffled."""
    rows = []
    for i, t in zip(*np.nonzero(history.valid.numpy()), strict=True):
        for r, item in enumerate(history.action[i, t].tolist()):
            if item >= 0:
                clicked = int(history.sites["clicks"][i, t, r])
                worth = 0.0 if reward is None else float(reward[item])
                rows.append((f"u{i:05}", t, f"item {item}", r + 1, clicked, f"s{history.observation[i, t]}", worth))
    frame = pd.DataFrame(rows, columns=["who", "at", "sku", "rank", "clicked", "mood", "paid"])
    return frame.sample(frac=1, random_state=0)


def made_up(rows=60, horizon=4, seed=0):
    mdp = good_medium_bad(5)
    user = DBN(mdp.attraction, 0.7 * mdp.attraction, 0.9)
    world = FittedSession(mdp, user, torch.tensor([0.2, 0.5, 0.3]).double())
    return world, rollout(world, UniformSlates(5, 3), rows=rows, horizon=horizon, seed=seed, record=["clicks"])


PAYS = torch.tensor([5.0, 0.0, 12.0, 3.0, 40.0])


def test_a_table_becomes_the_sessions_that_made_it():
    _, history = made_up()
    log = SessionLog.from_frame(table_of(history, PAYS), **ROLES, state="mood", reward="paid")
    expected = ClickLog.of(history)
    assert torch.equal(log.lists.slates, expected.slates)
    assert torch.equal(log.lists.clicks, expected.clicks)
    assert torch.equal(log.lists.state, expected.state)
    assert log.starts.tolist() == list(range(0, 241, 4))
    assert log.session_ids[:2].tolist() == ["u00000", "u00001"]
    last = [
        [i for i, c in zip(s, k, strict=True) if c] for s, k in zip(log.lists.slates, log.lists.clicks, strict=True)
    ]
    assert log.reward.tolist() == [float(PAYS[items[-1]]) if items else 0.0 for items in last]
    assert repr(log) == f"SessionLog(60 sessions: {log.lists!r})"


def test_a_recorded_world_goes_through_a_csv_and_comes_back(tmp_path):
    world = CascadingSession(good_medium_bad(5))
    history = rollout(world, UniformSlates(5, 3), rows=30, horizon=4, record=["click"])
    chance = torch.tensor([1 / 5, 1 / 20, 1 / 60]).double().expand(30, 4, 3)
    log = SessionLog.of(ope.with_propensity(history, chance))
    log.to_pandas().sample(frac=1, random_state=1).to_csv(tmp_path / "log.csv", index=False)
    columns = ("session", "time", "position", "item", "click", "reward", "state", "propensity")
    again = SessionLog.from_frame(tmp_path / "log.csv", **{name: name for name in columns})
    for name in ("state", "slates", "clicks"):
        assert torch.equal(getattr(again.lists, name), getattr(log.lists, name))
    assert torch.equal(again.propensity, log.propensity)
    assert torch.equal(again.reward, log.reward)
    assert torch.equal(again.starts, log.starts)
    assert torch.equal(again.session, log.session)
    assert log.to_pandas().equals(again.to_pandas())
    short = log.to_pandas().query("position < 2 or time > 0")  # lists of other lengths: -1, and nothing is doubtful
    short = SessionLog.from_frame(short, **{name: name for name in columns})
    assert (short.propensity[short.lists.slates < 0] == 1).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_estimates_equal_a_count_by_plain_loops(seed):
    _, history = made_up(seed=seed)
    log = SessionLog.from_frame(table_of(history, PAYS), **ROLES, state="mood", reward="paid")
    fit = fit_sessions(log, strength=2.0, user=CascadeModel.fit)
    moves, any_click = np.zeros((3, 6, 3)), np.full((3, 3), 1 / 3)
    worth, count, start = np.zeros((3, 5)), np.zeros((3, 5)), np.full(3, 1 / 3)
    for i in range(60):
        states = history.observation[i].tolist()
        start[states[0]] += 1
        for t in range(4):
            clicked = [int(a) for a, c in zip(history.action[i, t], history.sites["clicks"][i, t], strict=True) if c]
            item = clicked[-1] if clicked else 5
            if clicked:
                worth[states[t], item] += float(PAYS[item])
                count[states[t], item] += 1
            if t < 3:  # where the last list led is not in the log
                moves[states[t], item, states[t + 1]] += 1
                if clicked:
                    any_click[states[t], states[t + 1]] += 1
    moves[:, 5] += 1 / 3
    any_click /= any_click.sum(1, keepdims=True)
    moves[:, :5] += 2 * any_click[:, None]
    moves /= moves.sum(2, keepdims=True)
    by_item = (worth.sum(0) + 2 * worth.sum() / count.sum()) / (count.sum(0) + 2)
    worth = (worth + 2 * by_item) / (count + 2)
    assert np.allclose(fit.mdp.transition, moves)
    assert np.allclose(fit.start, start / start.sum())
    assert np.allclose(fit.unit * fit.mdp.reward, worth)
    assert fit.unit == pytest.approx(worth.max())
    assert torch.equal(fit.user.attraction, CascadeModel.fit(log.lists).attraction)
    assert (fit.mdp.horizon, fit.mdp.length) == (4, 3)
    assert fit.item_ids.tolist() == [f"item {i}" for i in range(5)]


def test_a_known_world_is_found_again():
    """4,000 sessions of 5 lists: each probability within 0.05; the worst of some 60 is off by 3 to 4 errors of 0.01."""
    truth, history = made_up(rows=4_000, horizon=5, seed=3)
    log = SessionLog.from_frame(table_of(history), **ROLES, state="mood")
    fit = fit_sessions(log, user=lambda lists: DBN.fit(lists, iterations=500))
    assert (fit.user.attraction - truth.user.attraction).abs().max() < 0.05
    assert (fit.start - truth.start).abs().max() < 0.03
    seen = fit.mdp.transition[:, :6]
    assert (seen - truth.mdp.transition).abs().mean() < 0.02
    again = rollout(fit.world, UniformSlates(5, 3), rows=4_000, horizon=5, seed=9, record=["clicks"])
    clicks = [h.sites["clicks"].float().sum(2).mean() for h in (history, again)]
    assert clicks[1] == pytest.approx(float(clicks[0]), rel=0.03)
    for name in ("clicks", "next state", "first state"):
        assert fit.held_out[name].model > fit.held_out[name].baseline


def test_rewards_keep_the_logs_unit_and_rows_begin_apart():
    _, history = made_up(rows=400)
    log = SessionLog.from_frame(table_of(history, PAYS), **ROLES, state="mood", reward="paid")
    fit = fit_sessions(log)
    again = rollout(fit.world, UniformSlates(5, 3), rows=2_000, horizon=4, record=["clicks", "click"])
    expected = fit.unit * fit.mdp.reward
    clicked = again.sites["click"] < 3
    item = again.action.gather(2, again.sites["click"].clamp(max=2)[..., None])[..., 0]
    paid = expected[again.observation[:, :-1], item].where(clicked, 0.0)
    torch.testing.assert_close(again.reward, paid.float())
    assert again.reward.max() > 20
    shares = again.observation[:, 0].bincount(minlength=3) / 2_000
    assert (shares - fit.start).abs().max() < 4.5 * 0.5 / 2_000**0.5
    check_world(fit.world, intervene=["attraction", "click", "state"])  # rows of other lists cannot click alike


def test_states_are_clustered_where_the_log_has_none():
    """Users who came for tea go on clicking tea: two clusters of what was clicked predict what is clicked next."""
    chance = np.random.default_rng(0)
    rows = []
    for who in range(400):
        likes = chance.integers(2)
        for at in range(6):
            for rank, item in enumerate(chance.permutation(6)[:3]):
                rows.append((who, at, int(item), rank, int(chance.random() < (0.6 if item % 2 == likes else 0.05))))
    log = SessionLog.from_frame(pd.DataFrame(rows, columns=list("wtirc")), **dict(zip(ROLES, "wticr", strict=True)))
    assert not log.has_states
    one, three = fit_sessions(log), fit_sessions(log, num_states=3)
    assert one.mdp.num_states == 1
    assert three.mdp.num_states == 3
    assert three.held_out["clicks"].model > one.held_out["clicks"].model + 0.1
    features = np.eye(2)[np.arange(6) % 2]
    given = fit_sessions(log, num_states=3, features=features)
    assert given.profiles.shape == (3, 2)
    assert given.held_out["clicks"].model > one.held_out["clicks"].model + 0.1
    assert torch.equal(fit_sessions(log, num_states=3).mdp.transition, three.mdp.transition)
    check_world(three.world, intervene=["attraction", "click", "state"])


def test_logs_and_settings_that_cannot_be_fitted_are_refused():
    _, history = made_up()
    frame = table_of(history)
    log = SessionLog.from_frame(frame, **ROLES, state="mood")
    plain = SessionLog.from_frame(frame, **ROLES)
    for bad, message in [
        (
            lambda: fit_sessions(replace(log, lists=replace(log.lists, clicks=log.lists.clicks & False))),
            "has no clicks",
        ),
        (lambda: fit_sessions(log, num_states=3), "has states of its own"),
        (lambda: fit_sessions(log, memory=1.0), r"memory 1\.0"),
        (lambda: fit_sessions(log, held_out=1), "held_out 1"),
        (lambda: fit_sessions(log, held_out=99), "held_out is 99, and the log has 60 sessions"),
        (lambda: fit_sessions(log, user=RCM.fit), r"user gives RCM\(rate .*expected a click model with an attraction"),
        (lambda: fit_sessions(plain, num_states=2, features=[[1.0]]), r"features are \(1, 1\): expected .*\(5, F\)"),
        (lambda: fit_sessions(plain, num_states=10_000), "num_states is 10000: expected at most"),
        (lambda: SessionLog.from_frame(frame.assign(paid=-1.0), **ROLES, reward="paid"), "'paid' is -1.0 .* reward"),
    ]:
        with pytest.raises(ValueError, match=message):
            bad()
    assert fit_sessions(log, held_out=0).held_out == {}


def test_without_a_start_it_is_the_session_world():
    mdp = good_medium_bad(5)
    one, two = (
        rollout(w, UniformSlates(5, 3), rows=20, horizon=3) for w in (FittedSession(mdp), CascadingSession(mdp))
    )
    assert one.equals(two)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_sessions(None), "log is None: expected a SessionLog"),
        (lambda: session_mdp(None), "data is None: expected a MovieLens"),
        (lambda: paper_mdp(None), "ratings is None: expected Interactions"),
        (lambda: load_movielens(5), "path is a int: expected the path of a MovieLens release"),
        (lambda: load_open_bandit(5), "path is a int: expected the folder or wheel"),
        (lambda: FittedSession(good_medium_bad(5), start=[0.5, 0.5]), r"start is \[0\.5, 0\.5\]: expected .* 3 states"),
        (lambda: FittedSession(good_medium_bad(5), unit=float("nan")), "unit is nan: expected a number, 0 or more"),
        (lambda: from_pandas({}), r"frame is a dict: expected a pandas\.DataFrame"),
        (lambda: from_minari(None), "dataset is a NoneType: expected a MinariDataset"),
        (lambda: Logits.fit(made_up()[1], dict), "observations are a Tensor: expected a dict .* users of sessions are"),
        (lambda: Logits.fit(None, dict), "data is a NoneType: expected a History, or a pair"),
    ],
)
def test_wrong_arguments_are_named_with_what_was_expected(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
