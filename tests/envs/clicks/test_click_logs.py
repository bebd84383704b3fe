"""Click logs from tables, by name; models saved, loaded and shown by name; standard errors."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from click_models import EM_FITS, M, N, S, every_model, model_of, simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from ethogram.envs.clicks import (
    DBN,
    DCM,
    PBM,
    RCM,
    SDBN,
    UBM,
    CascadeModel,
    ClickLog,
    ClickModel,
    RankCTR,
    standard_errors,
)

TABLE = pd.DataFrame(
    {
        "serp": ["b", "a", "b", "a", "a", "c"],
        "doc": ["y", "x", "x", "z", "y", "z"],
        "rank": [1, 1, 2, 3, 2, 1],
        "clicked": [1, 0, 0, 1, 0, 0],
        "query": ["u", "v", "u", "v", "v", "u"],
    }
)
ROLES = {"session": "serp", "item": "doc", "click": "clicked", "position": "rank", "state": "query"}


def test_a_table_of_what_was_shown_becomes_lists(tmp_path):
    TABLE.to_csv(tmp_path / "clicks.csv", index=False)
    TABLE.to_csv(tmp_path / "clicks.dat", index=False, sep=";")
    for source, more in ((TABLE, {}), (tmp_path / "clicks.csv", {}), (tmp_path / "clicks.dat", {"separator": ";"})):
        log = ClickLog.from_frame(source, **ROLES, **more)
        assert log.item_ids.tolist() == ["x", "y", "z"]
        assert log.state_ids.tolist() == ["u", "v"]
        assert log.slates.tolist() == [[0, 1, 2], [1, 0, -1], [2, -1, -1]]  # sessions a, b, c
        assert log.clicks.tolist() == [[False, False, True], [True, False, False], [False] * 3]
        assert log.state.tolist() == [1, 0, 0]
        assert (log.num_states, log.num_items, log.length) == (2, 3, 3)
    assert repr(log) == "ClickLog(3 lists of up to 3 of 3 items in 2 states, 2 clicks)"


def test_without_positions_rows_stand_in_the_order_of_their_list_and_without_states_all_are_alike():
    log = ClickLog.from_frame(TABLE, session="serp", item="doc", click="clicked")
    assert log.slates.tolist() == [[0, 2, 1], [1, 0, -1], [2, -1, -1]]
    assert (log.state.tolist(), log.num_states, log.state_ids) == ([0, 0, 0], 1, None)


lists = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=5, unique=True), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(shown=lists, base=st.integers(0, 1), data=st.data())
def test_the_order_of_a_tables_rows_does_not_matter(shown, base, data):
    rows = [
        (f"s{k}", f"item {i}", r + base, data.draw(st.integers(0, 1)), k % 3)
        for k, items in enumerate(shown)
        for r, i in enumerate(items)
    ]
    frame = pd.DataFrame(data.draw(st.permutations(rows)), columns=["s", "i", "p", "c", "q"])
    log = ClickLog.from_frame(frame, session="s", item="i", position="p", click="c", state="q")
    there = [
        (f"s{k}", log.item_ids[i], r + base, int(log.clicks[k, r]), log.state_ids[log.state[k]])
        for k, slate in enumerate(log.slates.tolist())
        for r, i in enumerate(slate)
        if i >= 0
    ]
    assert there == rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": [1, 1, 2, 4, 2, 1]}, r"session 'a' has positions \[1, 2, 4\]: expected 1, 2, … each once"),
        ({"rank": [1, 1, 2, 2, 2, 1]}, r"session 'a' has positions \[1, 2, 2\]"),
        ({"rank": [1, 1, 2, 3, 2, 0]}, r"session 'a' has positions \[1, 2, 3\]: expected 0, 1"),
        ({"query": ["u", "v", "u", "u", "v", "u"]}, "session 'a' is in more than one state"),
        ({"doc": ["y", "x", "y", "z", "y", "z"]}, "session 'b' shows item 'y' twice"),
        ({"clicked": [1, 0, 2, 0, 0, 0]}, "column 'clicked' is 2 in row 2: expected 0 or 1"),
        ({"doc": ["y", "x", None, "z", "y", "z"]}, "column 'doc' is .* in row 2: expected an id"),
    ],
)
def test_faults_of_a_table_are_named_by_session(change, message):
    with pytest.raises(ValueError, match=message):
        ClickLog.from_frame(TABLE.assign(**change), **ROLES)


def test_missing_columns_are_named_by_role():
    with pytest.raises(LookupError, match=r"no column 'page' in the frame, which has .*name the column of session="):
        ClickLog.from_frame(TABLE, **{**ROLES, "session": "page"})


def test_arrays_and_lists_are_logs():
    state, slates, clicks = [0, 1], [[0, 1], [2, -1]], [[True, False], [False, False]]
    for make in (list, np.array, torch.tensor):
        log = ClickLog(make(state), make(slates), make(clicks))
        assert torch.equal(log.slates, torch.tensor(slates))
        assert CascadeModel.fit(log).attraction.shape == (2, 3)
    with pytest.raises(ValueError, match="item_ids are 2, and the log has item 2"):
        ClickLog(state, slates, clicks, item_ids=np.array([7, 8]))


@every_model
def test_a_model_keeps_the_names_through_a_file(model, tmp_path):
    log = replace(simulate(model, 300), state_ids=np.array([7, 9]), item_ids=np.array(list("abcde"), dtype=object))
    fit = type(model).fit(log)
    fit.save(tmp_path / "model.npz")
    for again in (ClickModel.load(tmp_path / "model.npz"), type(model).load(tmp_path / "model.npz")):
        assert type(again) is type(model)
        assert again.item_ids.tolist() == list("abcde")
        assert again.state_ids.tolist() == [7, 9]
        assert fit.parameters.keys() == again.parameters.keys()
        assert all(torch.equal(again.parameters[name], table) for name, table in fit.parameters.items())
        assert torch.equal(again.log_likelihood(log), fit.log_likelihood(log))
    if not isinstance(model, RCM | RankCTR):
        row = fit.to_pandas().set_index(["state", "item"]).loc[(9, "d")]
        assert row["attraction"] == fit.attraction[1, 3]
    else:
        with pytest.raises(LookupError, match="has no parameters by item"):
            fit.to_pandas()


def test_another_file_is_no_model(tmp_path):
    log = simulate(model_of(PBM), 50)
    path = tmp_path / "model.npz"
    PBM.fit(log).save(path)
    with pytest.raises(ValueError, match=r"holds a PBM: expected one of \['DBN'\]"):
        DBN.load(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="no whole click model"):
        ClickModel.load(path)
    with pytest.raises(FileNotFoundError, match="no click model at"):
        ClickModel.load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match=r"ends in '\.json': expected \.npz"):
        PBM.fit(log).save(tmp_path / "model.json")


def test_logs_that_count_items_otherwise_are_refused_and_read_by_the_models_names():
    model = DBN.fit(ClickLog.from_frame(TABLE, **ROLES))
    other = TABLE[TABLE["doc"] != "x"].assign(rank=[1, 2, 1, 1])
    log = ClickLog.from_frame(other, **ROLES)  # y is item 0 here, and item 1 there
    for use in (model.log_likelihood, model.perplexity, model.conditional_click_probability):
        with pytest.raises(ValueError, match=r"item_ids of the log are 2, \['y', 'z'\], those of the model 3"):
            use(log)
    log = ClickLog.from_frame(other, **ROLES, state_ids=model.state_ids, item_ids=model.item_ids)
    assert model.log_likelihood(log).isfinite().all()
    with pytest.raises(ValueError, match="column 'doc' is 'w' in row 0: expected one of the 3 ids given"):
        ClickLog.from_frame(TABLE.replace("y", "w"), **ROLES, item_ids=model.item_ids)
    with pytest.raises(ValueError, match="num_items is 4: expected 3, as the log names them"):
        DBN.fit(ClickLog.from_frame(TABLE, **ROLES), num_items=4)


def test_a_known_continuation_is_held():
    """And the rest is then fitted given it: no other attraction or satisfaction is more likely."""
    log = simulate(model_of(DBN), 800, seed=5, lengths=True)
    fit = DBN.fit(log, continuation=0.7, iterations=5_000, prior=0, tolerance=1e-10)
    assert fit.continuation == 0.7
    best = float(fit.log_likelihood(log).sum())
    for name in ("attraction", "satisfaction"):
        for i in range(S * N):
            for step in (-1e-3, 1e-3):
                moved = getattr(fit, name).clone()
                moved.view(-1)[i] = (moved.view(-1)[i] + step).clamp(0, 1)
                assert float(replace(fit, **{name: moved}).log_likelihood(log).sum()) <= best + 1e-6
    held = DBN.fit(log, continuation=1.0, iterations=300)
    torch.testing.assert_close(held.attraction, SDBN.fit(log, iterations=300).attraction)
    with pytest.raises(ValueError, match=r"continuation is 1\.5"):
        DBN.fit(log, continuation=1.5)


def converged(kind, log, **more):
    em = {"iterations": 5_000, "tolerance": 1e-8} if kind in EM_FITS else {}
    return kind.fit(log, S, N, **em, **more)


@every_model
@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_standard_errors_are_the_inverse_of_the_whole_hessian(model, prior):
    """By automatic differentiation of all parameters at once, which knows nothing of rows and blocks."""
    kind = type(model)
    log = simulate(model, 600, seed=1, lengths=True)
    fit = converged(kind, log, prior=prior)
    tables = fit.parameters
    free = {name: torch.ones_like(table, dtype=torch.bool) for name, table in tables.items()}
    if kind is PBM:
        free["examination"][0] = False
    if kind is UBM:
        free["examination"] = torch.arange(M + 1) < torch.arange(M)[:, None]
        free["examination"][1:, M] = True
    if kind is DCM:
        free["continuation"][-1] = False
    free = {name: mask & (tables[name] > 1e-6) & (tables[name] < 1 - 1e-6) for name, mask in free.items()}

    def loss(theta):
        parts = theta.split([int(mask.sum()) for mask in free.values()])
        values = {n: tables[n].masked_scatter(free[n], p) for n, p in zip(tables, parts, strict=True)}
        return -replace(fit, **values).log_likelihood(log).sum() - prior * (theta.log() + (1 - theta).log()).sum()

    at = torch.cat([tables[name][mask].flatten() for name, mask in free.items()])
    covariance = torch.autograd.functional.hessian(loss, at).inverse()
    errors = standard_errors(fit, log, prior=prior)
    ours = torch.cat([errors[name][mask].flatten() for name, mask in free.items()])
    torch.testing.assert_close(ours, covariance.diagonal().sqrt(), rtol=1e-6, atol=0)
    assert all((errors[name][~mask].nan_to_num() == 0).all() for name, mask in free.items())


def misses(model, seeds, rows):
    """How many 95 % intervals of all parameters miss the truth, and of how many, over simulated logs."""
    kind, missed, total = type(model), 0, 0
    for seed in range(seeds):
        log = simulate(model, rows, seed, lengths=True)
        fit = converged(kind, log)
        errors = standard_errors(fit, log)
        first = {PBM: 0, UBM: (0, M)}.get(kind)
        scale = 1.0 if first is None else float(model.examination[first] / fit.examination[first])
        for name, truth in model.parameters.items():
            truth = {"attraction": truth * scale, "examination": truth / scale}.get(name, truth)
            known = errors[name] > 0
            missed += int(((fit.parameters[name] - truth).abs() > 1.96 * errors[name])[known].sum())
            total += int(known.sum())
    return missed, total


@every_model
def test_intervals_of_click_models_cover_the_truth(model):
    """95 % of them: the misses lie within what a binomial of 5 % does but once in 10^4 on either side.

    Over 40 seeds of 3,000 rows, between 92.5 % (the one parameter of RCM, 40 of them) and 96 % were covered.
    """
    missed, total = misses(model, seeds=8, rows=2_000)
    assert binom.isf(1 - 1e-4, total, 0.05) <= missed <= binom.isf(1e-4, total, 0.05)


def test_what_is_given_has_no_error_and_what_is_unknown_none_either():
    log = simulate(model_of(DBN), 2_000, lengths=True)
    fit = converged(DBN, log, continuation=0.8)
    errors = standard_errors(fit, log, fixed=["continuation"])
    assert float(errors["continuation"]) == 0
    assert errors["attraction"].sum() < standard_errors(converged(DBN, log), log)["attraction"].sum()
    assert "attraction_stderr" in fit.to_pandas(stderr=errors)
    more = DBN.fit(log, S, N + 1, iterations=5_000, tolerance=1e-8)  # an item that was never shown
    assert standard_errors(more, log)["attraction"][:, N].isnan().all()
    with pytest.raises(LookupError, match=r"fixed has \['gamma'\]: expected some of"):
        standard_errors(fit, log, fixed=["gamma"])


@pytest.mark.parametrize(("kind", "seed"), [(DCM, 0), (DCM, 3), (SDBN, 0), (SDBN, 3)])
def test_parameters_on_their_way_to_the_edge_are_at_it(kind, seed):
    """EM takes many rounds for its last steps to 0 and 1, and stops by its tolerance before."""
    log = simulate(model_of(kind), 60, seed)
    stopped, there = (kind.fit(log, S, N, prior=0, iterations=10**4, tolerance=t) for t in (1e-6, 1e-14))
    errors = standard_errors(stopped, log, prior=0)
    for name, error in standard_errors(there, log, prior=0).items():
        torch.testing.assert_close(errors[name], error, rtol=0.02, atol=1e-4, equal_nan=True)


def test_standard_errors_need_the_maximum():
    log = simulate(model_of(SDBN), 2_000, lengths=True)
    for fit in (SDBN.fit(log), SDBN.fit(log, iterations=2), converged(SDBN, log[:1000])):
        with pytest.raises(ValueError, match=r"standard errors away from the maximum|no maximum"):
            standard_errors(fit, log)
    several = simulate(model_of(DBN), 100)
    with pytest.raises(ValueError, match=r"have probability 0 in the CascadeModel: .* cannot explain a second"):
        standard_errors(CascadeModel.fit(several), several)


SHOWN = ClickLog([0], [[0, 1]], [[True, False]])
HALF = torch.full((1, 2), 0.5).double()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ClickLog(None, [[0]], [[True]]),
            "state is None: expected numbers: a tensor, an array or a list of them",
        ),
        (lambda: ClickLog([0], [["x"]], [[True]]), r"slates is \[.*: expected numbers: a tensor"),
        (lambda: ClickLog([0, 0], [[0], [1, 2]], [[True]]), r"slates is \[.*: expected numbers: a tensor"),
        (lambda: ClickLog.of(TABLE), "history is a DataFrame: expected a History; a table goes to from_frame"),
        (lambda: PBM(HALF, None), "examination is None: expected numbers"),
        (lambda: DBN(HALF, HALF, "0.9"), "continuation is '0.9': expected a number, 0 to 1"),
        (lambda: RCM(None), "rate is None: expected a number, 0 to 1"),
        (lambda: PBM.fit(SHOWN, "3"), "num_states is '3': expected an int, 1 or more"),
        (lambda: PBM.fit(SHOWN, num_items=2.5), "num_items is 2.5: expected an int, 1 or more"),
        (lambda: PBM.fit(SHOWN, iterations=2.5), "iterations is 2.5: expected an int, 1 or more"),
        (lambda: PBM.fit(SHOWN, prior="1"), "prior is '1': expected a number, 0 or more"),
        (lambda: PBM.fit(SHOWN, tolerance=None), "tolerance is None: expected a number"),
        (lambda: PBM(HALF, [0.5]).log_likelihood(TABLE), "log is a DataFrame: expected a ClickLog"),
        (lambda: PBM(HALF, [0.5]).perplexity(None), "log is None: expected a ClickLog"),
        (lambda: PBM(HALF, [0.5]).act({"state": SHOWN.state}, None, None), r"observation has \['state'\]: expected"),
        (lambda: standard_errors(None, SHOWN), "model is None: expected a click model"),
        (lambda: standard_errors(PBM(HALF, [0.5, 0.5]), None), "log is None: expected a ClickLog"),
        (
            lambda: standard_errors(PBM(HALF, [0.5, 0.5]), SHOWN, prior="1"),
            "prior is '1': expected a number, 0 or more",
        ),
    ],
)
def test_wrong_arguments_are_named_with_what_was_expected(call, message):
    with pytest.raises((TypeError, ValueError, LookupError), match=message):
        call()


def test_arrays_and_lists_are_parameters_and_slates():
    for make in (list, np.array, torch.tensor):
        model = PBM(make([[0.5, 0.25]]), make([0.5, 1.0]))
        assert model.click_probability(make([0]), make([[1, 0]])).tolist() == [[0.125, 0.5]]


def test_a_log_that_was_written_to_cannot_reach_the_kernels():
    log = simulate(model_of(PBM), 20)
    log.slates[3, 0] = -9
    with pytest.raises(ValueError, match="an item below -1"):
        DCM.fit(log)
