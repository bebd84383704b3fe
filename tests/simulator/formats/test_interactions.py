"""Logs of any form become the same arrays; every fault is named with its column and row."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.simulator.formats import load_interactions

LOG = pd.DataFrame(
    {
        "who": ["bo", "al", "bo", "al", "al"],
        "what": [30, 10, 20, 30, 20],
        "when": [5, 7, 5, 3, 7],
        "stars": [1.0, 2.0, 3.5, 4.0, 5.0],
        "place": [1, 0, 0, 0, 1],
        "chance": [0.5, 0.25, 1.0, 0.1, 0.2],
        "seconds": [0.0, 1.5, 2.0, 3.0, 4.0],
    }
)
RATED = {"user": "who", "item": "what", "time": "when", "rating": "stars"}


def logs(folder):
    """The log in each form that can be read."""
    LOG.to_csv(folder / "log.csv", index=False)
    LOG.to_csv(folder / "log.tsv", index=False, sep="\t")
    LOG.to_csv(folder / "log.csv.gz", index=False)
    LOG.to_parquet(folder / "log.parquet")
    return [LOG, *sorted(folder.iterdir())]


def test_every_form_reads_alike_sorted_by_user_time_and_item(tmp_path):
    sources = logs(tmp_path)
    assert len(sources) == 5
    for source in sources:
        log = load_interactions(source, **RATED)
        assert log.user_ids.tolist() == ["al", "bo"]
        assert log.item_ids.tolist() == [10, 20, 30]
        assert log.user.tolist() == [0, 0, 0, 1, 1]
        assert log.item_ids[log.item].tolist() == [30, 10, 20, 20, 30]
        assert log.columns["time"].tolist() == [3, 7, 7, 5, 5]
        assert log.reward.tolist() == [4, 2, 5, 3.5, 1]
        assert log.starts.tolist() == [0, 3, 5]
        assert log.tie_share == 2 / 3


def test_positions_break_ties_before_items():
    log = load_interactions(LOG.assign(place=[0, 1, 1, 0, 0]), **RATED, position="place")
    assert log.item_ids[log.item].tolist() == [30, 20, 10, 30, 20]


def test_a_log_without_times_stays_in_its_order():
    log = load_interactions(LOG, user="who", item="what", dwell="seconds")
    assert log.item_ids[log.item].tolist() == [10, 30, 20, 30, 20]
    assert log.columns["dwell"].tolist() == [1.5, 3, 4, 0, 2]
    assert log.reward.tolist() == [1] * 5
    with pytest.raises(LookupError, match="no time"):
        _ = log.tie_share


def test_a_file_without_header_is_read_by_place(tmp_path):
    (tmp_path / "beauty.txt").write_text("1 7\n1 9\n2 7\n")
    log = load_interactions(tmp_path / "beauty.txt", user=0, item=1)
    assert (log.user_ids.tolist(), log.item.tolist(), len(log)) == ([1, 2], [0, 1, 0], 3)
    with pytest.raises(LookupError, match=r"no column 2 in .*beauty.txt, which has"):
        load_interactions(tmp_path / "beauty.txt", user=0, item=2)


def test_ids_keep_what_is_written(tmp_path):
    (tmp_path / "log.csv").write_text("u,i\n007,NA\n7,x\n")
    log = load_interactions(tmp_path / "log.csv", user="u", item="i")
    assert (log.user_ids.tolist(), log.item_ids.tolist()) == (["007", "7"], ["NA", "x"])


def test_dates_become_seconds():
    dates = ["1970-01-01 00:00:10+00:00", "1970-01-01T00:00:01.5Z", "1970-01-01 02:00:00+02:00"]
    for times in (pd.Series(dates), pd.to_datetime(pd.Series(dates), utc=True, format="ISO8601")):
        frame = pd.DataFrame({"u": 0, "i": [1, 2, 3], "t": times})
        log = load_interactions(frame, user="u", item="i", time="t")
        assert log.columns["time"].tolist() == [0, 1.5, 10]


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2)), min_size=1, unique=True),
    order=st.randoms(use_true_random=False),
)
def test_file_order_does_not_matter_and_nothing_is_lost(rows, order):
    expected = sorted(rows, key=lambda row: (row[0], row[2], row[1]))
    order.shuffle(rows)
    frame = pd.DataFrame(rows, columns=["u", "i", "t"])
    log = load_interactions(frame, user="u", item="i", time="t")
    got = zip(
        log.user_ids[log.user.numpy()], log.item_ids[log.item.numpy()], log.columns["time"].long().tolist(), strict=True
    )
    assert [tuple(map(int, row)) for row in got] == expected
    history = log.to_history()
    assert history.length.sum() == len(rows)
    assert torch.equal(history.action[history.valid], log.item)
    assert (history.action[~history.valid] == -1).all()


def test_to_history_pads_as_documented():
    history = load_interactions(LOG, **RATED, propensity="chance", dwell="seconds").to_history()
    assert history.action.tolist() == [[2, 0, 1], [1, 2, -1]]
    assert history.reward.tolist() == [[4, 2, 5], [3.5, 1, 0]]
    assert history.length.tolist() == [3, 2]
    assert history.sites["propensity"].tolist() == [[0.1, 0.25, 0.2], [1, 0.5, 1]]
    assert history.sites["time"][1].tolist() == [5, 5, 0]
    assert history.truncated.tolist() == [[False, False, True], [False, True, False]]


def test_to_history_keeps_the_last():
    history = load_interactions(LOG, **RATED).to_history(last=2)
    assert history.action.tolist() == [[0, 1], [1, 2]]
    with pytest.raises(ValueError, match="last is 0"):
        load_interactions(LOG, **RATED).to_history(last=0)


def test_without_users_every_line_is_its_own_row():
    frame = LOG.assign(click=[0, 1, 0, 0, 1])
    history = load_interactions(frame, user=None, item="what", click="click", propensity="chance").to_history()
    assert history.action.shape == (5, 1)
    assert history.reward[:, 0].tolist() == [0, 1, 0, 0, 1]
    assert history.sites["propensity"][:, 0].tolist() == LOG["chance"].tolist()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("who", None, "'who' is .* in row 3: expected an id"),
        ("what", 3.5, "'what' is 3.5 in row 3: expected an id, a whole number"),
        ("what", np.inf, "'what' is inf in row 3: expected an id"),
        ("when", np.nan, "'when' is nan in row 3: expected a number from 0"),
        ("when", -1, "'when' is -1.* in row 3: expected a number from 0"),
        ("when", 2**60, r"'when' is .* in row 3: expected a number from 0 to 2\*\*53"),
        ("stars", np.nan, "'stars' is nan in row 3: expected a finite number, the rating"),
        ("stars", "good", "'stars' is 'good' in row 3: expected a finite number"),
        ("place", 0.5, "'place' is 0.5 in row 3: expected a whole number from 0"),
        ("chance", 0.0, "'chance' is 0.0 in row 3: expected a probability above 0"),
        ("chance", 1.5, "'chance' is 1.5 in row 3: expected a probability"),
        ("seconds", -2.0, "'seconds' is -2.0 in row 3: expected a finite number from 0"),
    ],
)
@pytest.mark.parametrize("form", ["frame", "csv"])
def test_faults_name_column_and_row(column, value, message, form, tmp_path):
    log = LOG.astype({column: object})
    log.loc[3, column] = value
    if form == "frame":
        log = log.infer_objects()
    else:
        log.to_csv(tmp_path / "log.csv", index=False)
        log = tmp_path / "log.csv"
        message = message.replace("is 3.5", "is .*").replace("is inf", "is .*")
    roles = {**RATED, "position": "place", "propensity": "chance", "dwell": "seconds"}
    with pytest.raises(ValueError, match=message):
        load_interactions(log, **roles)


def test_a_click_is_0_or_1_and_not_beside_a_rating():
    with pytest.raises(ValueError, match=r"column 'stars' is 2.0 in row 1: expected 0 or 1, the click"):
        load_interactions(LOG, user="who", item="what", click="stars")
    with pytest.raises(ValueError, match="a rating and a click are both given"):
        load_interactions(LOG, **RATED, click="place")


TWICE = pd.concat([LOG, LOG[1:2].assign(stars=4.5)])  # rows 1 and 5: al met 10 at 7, and gave 2 stars and 4.5


@pytest.mark.parametrize("roles", [RATED, {"user": "who", "item": "what", "rating": "stars"}], ids=["timed", "untimed"])
def test_the_same_interaction_twice_is_refused_and_the_advice_works(roles):
    with pytest.raises(ValueError, match=r"rows 1 and 5 of the frame .* 1 rows repeat another.*repeats='first'"):
        load_interactions(TWICE, **roles)
    for repeats, stars in (("first", [2.0]), ("last", [4.5]), ("keep", [2.0, 4.5])):
        log = load_interactions(TWICE, **roles, repeats=repeats)
        assert len(log) == 4 + len(stars)
        assert log.reward[(log.user == 0) & (log.item == 0)].tolist() == stars
    with pytest.raises(ValueError, match="repeats is 'drop': expected one of"):
        load_interactions(TWICE, **roles, repeats="drop")


def test_repeats_are_found_wherever_they_stand():
    """Against a plain loop over random logs with many repeats."""
    chance = np.random.default_rng(0)
    for _ in range(50):
        frame = pd.DataFrame(chance.integers(0, 3, (12, 3)), columns=["u", "i", "t"]).assign(r=np.arange(12.0))
        roles = {"user": "u", "item": "i", "time": "t", "rating": "r"}
        first, last = {}, {}
        for u, i, t, r in frame.itertuples(index=False):
            first.setdefault((u, i, t), r)
            last[u, i, t] = r
        for repeats, kept in (("first", first), ("last", last)):
            log = load_interactions(frame, **roles, repeats=repeats)
            assert sorted(log.reward.tolist()) == sorted(kept.values())
            assert log.to_pandas().sort_values(["user", "time", "item"]).equals(log.to_pandas())


@pytest.mark.parametrize("separator", ["::", "||", ".*", "\t\t", ";;;", ";", "|", r"\s+"])
@pytest.mark.parametrize("header", [True, False])
def test_any_separator_parts_columns(separator, header, tmp_path):
    rows = [["u", "i", "t"]] * header + [["007", "3", "2.5"], ["8", "4", "1"], ["007", "4", "1"]]
    written = "  " if separator == r"\s+" else separator
    (tmp_path / "log.dat").write_text("".join(written.join(row) + "\n" for row in rows))
    roles = {"user": "u", "item": "i", "time": "t"} if header else {"user": 0, "item": 1, "time": 2}
    log = load_interactions(tmp_path / "log.dat", **roles, separator=separator)
    assert log.user_ids.tolist() == ["007", "8"]
    assert log.item_ids.tolist() == [3, 4]
    assert log.columns["time"].tolist() == [1, 2.5, 1]
    with pytest.raises(LookupError, match="no column"):
        load_interactions(tmp_path / "log.dat", **{**roles, "user": "v" if header else 3}, separator=separator)


def test_a_separator_goes_before_the_suffix_and_not_into_parquet(tmp_path):
    LOG.to_csv(tmp_path / "log.csv", index=False, sep=";")
    assert len(load_interactions(tmp_path / "log.csv", **RATED, separator=";")) == 5
    LOG.to_parquet(tmp_path / "log.parquet")
    for path, separator in (("log.parquet", ";"), ("log.csv", "")):
        with pytest.raises(ValueError, match=f"separator is '{separator}' for"):
            load_interactions(tmp_path / path, **RATED, separator=separator)


def test_what_pandas_makes_a_frame_of_is_a_frame():
    columns = {name: LOG[name].tolist() for name in LOG}
    arrays = {name: torch.tensor(c) if name == "when" else np.array(c) for name, c in columns.items()}
    expected = load_interactions(LOG, **RATED)
    for source in (columns, arrays, LOG.to_dict("records"), pa.Table.from_pandas(LOG)):
        log = load_interactions(source, **RATED)
        assert torch.equal(log.item, expected.item)
        assert torch.equal(log.reward, expected.reward)
    rows = load_interactions([(1, 7), (1, 9), (2, 7)], user=0, item=1)
    assert rows.item.tolist() == [0, 1, 0]
    assert load_interactions(np.array([[1, 7], [1, 9]]), user=0, item=1).item_ids.tolist() == [7, 9]
    with pytest.raises(TypeError, match="source is a int: expected the path of a file, a DataFrame"):
        load_interactions(7, **RATED)
    with pytest.raises(LookupError, match="no column 'who' in the frame"):
        load_interactions([1, 2, 3], **RATED)
    with pytest.raises(ValueError, match="the dict makes no table"):
        load_interactions({"who": [1, 2], "what": [1]}, user="who", item="what")
    with pytest.raises(ValueError, match="has several columns 'who'"):
        load_interactions(pd.concat([LOG, LOG], axis=1), **RATED)


def test_another_log_is_read_by_the_same_ids():
    train = load_interactions(LOG, **RATED)
    later = pd.DataFrame({"who": ["bo"], "what": [30], "when": [9], "stars": [3.0]})
    assert load_interactions(later, **RATED).item.tolist() == [0]
    same = load_interactions(later, **RATED, user_ids=train.user_ids, item_ids=train.item_ids)
    assert (same.user.tolist(), same.item.tolist()) == ([1], [2])
    assert same.to_history().length.tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"column 'what' is 40 in row 0: expected one of the 3 ids given, such as 10"):
        load_interactions(later.assign(what=40), **RATED, item_ids=train.item_ids)
    with pytest.raises(ValueError, match="expected an array of distinct ones"):
        load_interactions(later, **RATED, user_ids=["bo", "bo"])


def test_the_table_shows_the_ids():
    table = load_interactions(LOG, **RATED, position="place").to_pandas()
    assert table.columns.tolist() == ["user", "item", "reward", "time", "position"]
    assert table["user"].tolist() == ["al", "al", "al", "bo", "bo"]
    assert table["item"].tolist() == [30, 10, 20, 20, 30]


def test_missing_columns_and_files_say_what_there_is(tmp_path):
    for source in logs(tmp_path):
        with pytest.raises(LookupError, match=r"no column 'whom' in .*which has \['who', .*name the column of user="):
            load_interactions(source, user="whom", item="what")
    with pytest.raises(FileNotFoundError, match="no log at"):
        load_interactions(tmp_path / "no.csv", user="u", item="i")


def test_empty_and_broken_files_say_so(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="it is empty"):
        load_interactions(tmp_path / "empty.csv", user="u", item="i")
    (tmp_path / "header.csv").write_text("u,i\n")
    with pytest.raises(ValueError, match="has no rows"):
        load_interactions(tmp_path / "header.csv", user="u", item="i")
    for ragged in ("u,i\n1,2\n1,2,3\n", "u,i\n1,2,3\n1,2,3\n"):
        (tmp_path / "ragged.csv").write_text(ragged)
        with pytest.raises(ValueError, match="cannot be read as a table"):
            load_interactions(tmp_path / "ragged.csv", user="u", item="i")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match="cannot be read as a table"):
        load_interactions(tmp_path / "cut.parquet", user="u", item="i")
    (tmp_path / "log.dat").write_text("1::2\n")
    with pytest.raises(ValueError, match=r"ends in none of .*separator="):
        load_interactions(tmp_path / "log.dat", user=0, item=1)
