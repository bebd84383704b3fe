"""AgentTorch's folders are read whole, and nothing that a pickle names is ever called."""

import builtins
import functools
import json
import operator
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from ethogram.envs.people import agenttorch_edges, from_agenttorch, read_series
from ethogram.simulator.networks import Contacts

SERIES = [
    pd.Series([3, 0, 2], name="age"),
    pd.Series([3, 0, 2], dtype=np.int8),
    pd.Series([3, 0, 2], dtype=np.uint32, index=[7, 8, 9]),
    pd.Series([0.5, 2.0, 3.5], dtype=np.float32),
    pd.Series([True, False, True]),
    pd.Series(["11-1011.00", "naïve", ""], dtype=object),
    pd.Series(np.array([3, 0, 2], ">i8")),
    pd.Series(np.arange(6)[::2]),
    pd.Series([], dtype=np.int64),
]


def written(path, data, protocol=pickle.DEFAULT_PROTOCOL):
    path.write_bytes(data if isinstance(data, bytes) else pickle.dumps(data, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("series", SERIES, ids=lambda series: str(series.dtype))
def test_series_are_read_as_pandas_reads_them(series, protocol, tmp_path):
    values = read_series(written(tmp_path / "age.pickle", series, protocol))
    assert values.dtype == series.dtype.newbyteorder("=")
    assert values.tolist() == series.tolist()


@pytest.mark.parametrize("index", [b"Int64Index", b"UInt64Index", b"Float64Index"])
def test_series_of_older_pandas_and_numpy_are_read(index, tmp_path):
    """Their modules had other names, and these indices are gone: loading such a file with pandas fails."""
    data = pickle.dumps(pd.Series([3, 0, 2], index=[7, 8, 9]), 2)
    for new, old in {
        b"cpandas\nSeries\n": b"cpandas.core.series\nSeries\n",
        b"cpandas\nIndex\n": b"cpandas.core.indexes.numeric\n" + index + b"\n",
        b"cnumpy._core.multiarray\n": b"cnumpy.core.multiarray\n",
    }.items():
        assert new in data or old in data
        data = data.replace(new, old)
    path = written(tmp_path / "age.pickle", data)
    assert read_series(path).tolist() == [3, 0, 2]
    with pytest.raises((ImportError, AttributeError)):
        pickle.loads(data)


# ---- what is refused


class Calls:
    """Pickles to a call of something."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def in_a_series(value):
    """A pickled Series that makes the value while it is loaded."""
    data = pickle.dumps(pd.Series([1, 2], dtype=object), 2)
    evil = pickle.dumps(value, 2)[2:-1]  # without header and stop
    return data[:2] + evil + b"0" + data[2:]  # made, dropped, and the rest as ever


ATTACKS = {  # what the pickle would call, given a path
    "system": lambda mark: Calls(os.system, f"touch '{mark}'"),
    "eval": lambda mark: Calls(eval, f"open({str(mark)!r}, 'w').close()"),
    "open": lambda mark: Calls(getattr, Calls(open, str(mark), "w"), "close"),
    "methodcaller": lambda mark: Calls(operator.methodcaller, "touch"),
    "partial": lambda mark: Calls(functools.partial, os.mkdir, str(mark)),
}


@pytest.mark.parametrize("hidden", [False, True], ids=["bare", "inside a Series"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_pickle_that_would_run_code_runs_nothing(attack, hidden, tmp_path):
    mark = tmp_path / "it ran"
    value = ATTACKS[attack](mark)
    path = written(tmp_path / "age.pickle", in_a_series(value) if hidden else pickle.dumps(value, 2))
    for read in (lambda: read_series(path), lambda: from_agenttorch(tmp_path)):
        with pytest.raises(ValueError, match=r"would call \S+, which .* nothing of it was run"):
            read()
        assert not mark.exists()


def test_the_attacks_are_real(tmp_path):
    """The pickles of the test above do run code where pickles are loaded as usual."""
    for attack in ("system", "eval", "open"):
        mark = tmp_path / attack
        pickle.loads(in_a_series(ATTACKS[attack](mark)))
        assert mark.exists()


def test_names_within_allowed_names_are_refused(tmp_path):
    """Protocol 4 looks up dotted names; this one would list classes, from which any function is within reach."""
    data = b"\x80\x04\x8c\x05numpy\x8c\x16ndarray.__subclasses__\x93)R."
    assert pickle.loads(data) == np.ndarray.__subclasses__()
    with pytest.raises(ValueError, match=r"would call numpy\.ndarray\.__subclasses__"):
        read_series(written(tmp_path / "age.pickle", data))


def test_allowed_names_are_not_called_either(tmp_path, monkeypatch):
    """What a Series needs becomes a record: even allowed names never reach NumPy, pandas or codecs."""

    def called(*args, **kwargs):
        raise AssertionError("called")

    data = pickle.dumps(pd.Series([3, 0, 2]), 2)
    monkeypatch.setattr(pd.Series, "__setstate__", called)
    monkeypatch.setattr(np._core.multiarray, "_reconstruct", called)
    monkeypatch.setattr(builtins, "slice", called)
    path = written(tmp_path / "age.pickle", data)
    values = read_series(path)
    monkeypatch.undo()
    assert values.tolist() == [3, 0, 2]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (pd.DataFrame({"a": [1]}), r"would call pandas\.\S*DataFrame"),
        (pd.Series(["a", None], dtype=object), "values of type O8: expected numbers, bools or text"),
        (pd.Series([[1], [2]], dtype=object), "values of type O8"),
        (pd.Series(pd.to_datetime(["2024-01-01"])), "would call"),
        ([1, 2, 3], "holds a list: expected a Series"),
        (np.arange(3), r"holds a \w+: expected a Series"),
    ],
)
def test_other_pickles_are_refused_by_what_they_hold(value, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_series(written(tmp_path / "age.pickle", value))


def test_damaged_pickles_are_errors_and_nothing_else(tmp_path):
    """Cut at every byte, and with every byte changed; a change that still reads may give other numbers."""
    data = pickle.dumps(pd.Series([3, 0, 2], name="age"))
    path = tmp_path / "age.pickle"
    for cut in range(len(data)):
        with pytest.raises(ValueError, match=r"age\.pickle"):
            read_series(written(path, data[:cut]))
    refused = 0
    for place in range(len(data)):
        for change in (1, 128):
            path.write_bytes(data[:place] + bytes([data[place] ^ change]) + data[place + 1 :])
            try:
                values = read_series(path)
                assert values.ndim == 1
            except ValueError:
                refused += 1
    assert refused > len(data)
    with pytest.raises(ValueError, match="Git LFS pointer"):
        read_series(written(path, b"version https://git-lfs.github.com/spec/v1\n"))


# ---- folders


@pytest.fixture
def folder(tmp_path):
    people = {"age": [0, 1, 1, 0], "gender": [1, 0, 0, 1], "soc_code": ["47-2", "11-1", "11-1", "29-0"]}
    for name, values in people.items():
        dtype = object if name == "soc_code" else np.int64
        pd.Series(values, name="anything", dtype=dtype).to_pickle(tmp_path / f"{name}.pickle")
    (tmp_path / "mapping.json").write_text(json.dumps({"age": ["U19", "20t29"], "gender": ["male", "female"]}))
    (tmp_path / "mobility_networks").mkdir()
    (tmp_path / "mobility_networks" / "0.csv").write_text("0,1\n3,2\n2,1\n")
    return tmp_path


def test_a_folder_becomes_people_and_contacts(folder):
    people = from_agenttorch(folder)
    assert people["age"].tolist() == [0, 1, 1, 0]
    assert people.mask(gender="female", age="U19").tolist() == [True, False, False, True]
    assert people.labels["soc_code"] == ("11-1", "29-0", "47-2")
    edges = agenttorch_edges(folder / "mobility_networks" / "0.csv")
    assert edges.dtype == torch.int64
    assert edges.tolist() == [[0, 1], [3, 2], [2, 1]]
    assert Contacts.from_edges(*edges.T, num_people=len(people)).degree.tolist() == [1, 2, 2, 1]


@pytest.mark.parametrize("name", ["value", "age"])  # as AgentTorch converts a pickle, and as pandas would
def test_parquet_files_come_before_pickles(folder, name):
    """Rows are people whatever index a file has, and what is only a pickle is read as well."""
    before = from_agenttorch(folder)
    frame = pd.DataFrame({name: [1, 0, 0, 1]}, index=[7, 3, 5, 1])
    frame.to_parquet(folder / "age.parquet")
    after = from_agenttorch(folder)
    assert before["age"].tolist() == [0, 1, 1, 0]
    assert after["age"].tolist() == [1, 0, 0, 1]
    assert before.labels == after.labels
    assert all(torch.equal(before[column], after[column]) for column in ("gender", "soc_code"))
    frame.rename(columns={name: "age"}).to_parquet(folder / "people.parquet")
    with pytest.raises(ValueError, match=r"column 'age' is in several Parquet files"):
        from_agenttorch(folder)


def test_names_of_attributes_without_a_file_are_not_used(folder):
    (folder / "mapping.json").write_text(json.dumps({"age": ["U19", "20t29"], "county": ["Kings"], "gender": [7, 8]}))
    labels = from_agenttorch(folder).labels
    assert set(labels) == {"age", "gender", "soc_code"}
    assert labels["gender"] == ("7", "8")


def test_a_folder_with_faults_is_refused(folder):
    with pytest.raises(ValueError, match=r"column 'age' is 1 in row 1: expected a code from 0 to 0"):
        from_agenttorch(folder, labels={"age": ["U19"]})
    with pytest.raises(LookupError, match=r"labels are for \['household'\]"):
        from_agenttorch(folder, labels={"household": ["1"]})
    (folder / "mapping.json").write_text(json.dumps({"field_sources": {}}))
    with pytest.raises(ValueError, match=r"mapping.json is not .*: pass labels="):
        from_agenttorch(folder)
    assert "age" not in from_agenttorch(folder, labels={}).labels
    pd.Series([1, 2]).to_pickle(folder / "region.pickle")
    with pytest.raises(ValueError, match=r"different lengths, .*'region': 2"):
        from_agenttorch(folder, labels={})
    with pytest.raises(FileNotFoundError, match="neither"):
        from_agenttorch(folder / "mobility_networks")


@pytest.mark.parametrize("text", ["source,target\n0,1\n", "0,1,2\n", "0,1\n2\n", "0.5,1\n", "#0,1\n"])
def test_edges_that_are_not_pairs_are_refused(text, tmp_path):
    path = tmp_path / "0.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"0\.csv (cannot be read as edges|has 3 columns)"):
        agenttorch_edges(path)
