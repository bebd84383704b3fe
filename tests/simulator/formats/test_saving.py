"""Histories survive files to the bit; the tables read as documented; broken files and failed writes say so."""

import os
import signal
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyarrow import parquet

from ethogram.simulator import files
from ethogram.simulator.formats import leaves as leaves_module
from ethogram.simulator.history import History

TORCH_TYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
TORCH_TYPES += ["float16", "float32", "float64", "bfloat16"]
SUFFIXES = pytest.mark.parametrize("suffix", [".parquet", ".npz"])


def bits(value):
    """Everything about a tree of arrays that a file must keep, independent of History.equals."""
    if isinstance(value, dict):
        return {key: bits(value[key]) for key in value}
    if isinstance(value, torch.Tensor):
        raw = value.contiguous().view(torch.int16) if value.dtype == torch.bfloat16 else value
        return "tensor", value.dtype, value.shape, raw.numpy().tobytes()
    content = value.tolist() if value.dtype == object else value.tobytes()
    return "array", value.dtype, value.shape, content


def contents(history):
    columns = {name: bits(history.column(name)) for name in history.columns}
    return (
        list(columns.items()),
        bits(dict(history.series)),
        bits(history.length),
        bits(history.ids),
        history.seed,
        history.scenario,
    )


@st.composite
def leaves(draw, shape):
    shape = (*shape, *draw(st.sampled_from([(), (), (3,), (2, 2), (0,), (1,)])))
    kind = draw(st.sampled_from([*TORCH_TYPES, "text", "<U3", "numpy"]))
    if kind == "text":
        array = np.empty(shape, dtype=object)
        for place in np.ndindex(*shape):
            array[place] = draw(st.text(max_size=4))
        return array
    if kind == "<U3":
        return draw(hnp.arrays("<U3", shape, elements=st.text(max_size=3).map(lambda s: s.rstrip("\0"))))
    bits = draw(hnp.arrays(np.uint64, shape))  # any bits at all: NaN with payloads, infinities, -0.0
    if kind == "bool":
        return torch.from_numpy(bits % 2 == 1)
    if kind == "bfloat16":
        return torch.from_numpy(bits.astype(np.int16)).view(torch.bfloat16)
    dtype = np.dtype("float32" if kind == "numpy" else kind)
    array = bits.astype(f"uint{8 * dtype.itemsize}").view(dtype).reshape(shape)
    return array if kind == "numpy" else torch.from_numpy(array)


NAMES = st.text(max_size=5) | st.sampled_from(["id", "step", "length", "file", "series.x", "a.b", "x.npy"])


@st.composite
def histories(draw):
    n, steps = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    columns = {name: draw(leaves((steps, n))) for name in draw(st.sets(NAMES, max_size=3))}
    columns["terminated"] = torch.zeros(steps, n, dtype=torch.bool)
    if draw(st.booleans()):
        columns["observation"] = {
            "screen": draw(leaves((steps + 1, n))),
            "deep": {"a": draw(leaves((steps + 1, n))), "a.": draw(leaves((steps + 1, n)))},
        }
    if draw(st.booleans()):
        columns["action"] = draw(leaves((steps, n)))
    if draw(st.booleans()):
        columns["reward"] = torch.rand(steps, n)
    return History(
        columns,
        length=torch.tensor(draw(st.lists(st.integers(0, steps), min_size=n, max_size=n)), dtype=torch.int64),
        ids=torch.tensor(draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=n, max_size=n)), dtype=torch.int64),
        seed=draw(st.integers()),
        scenario=draw(st.text()),
        series={name: draw(leaves((2,))) for name in draw(st.sets(NAMES, max_size=2))},
    )


@SUFFIXES
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories())
def test_a_history_comes_back_to_the_bit(history, suffix, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / f"run{suffix}"
    history.save(path)
    loaded = History.load(path)
    assert contents(loaded) == contents(history)
    assert loaded.equals(history)


@SUFFIXES
def test_a_prefix_of_some_rows_comes_back_as_it_reads_by_a_path_given_as_text(suffix, tmp_path):
    part = example()[1:, :2]
    part.save(f"{tmp_path}/part{suffix}")
    assert contents(History.load(f"{tmp_path}/part{suffix}")) == contents(part)


def example():
    """Two rows, three steps; row 8 ends after the first."""
    return History.of(
        observation=torch.arange(8).view(2, 4),
        action={"kind": torch.arange(6).view(2, 3), "text": np.array([["a", "b", "c"], ["d", "", ""]], dtype=object)},
        reward=torch.tensor([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]]),
        sites={"interest": torch.arange(12.0).view(2, 3, 2)},
        length=torch.tensor([3, 1]),
        ids=torch.tensor([7, 8]),
        seed=5,
    )


def test_parquet_reads_as_one_row_for_each_step(tmp_path):
    example().save(tmp_path / "run.parquet")
    table = pd.read_parquet(tmp_path / "run.parquet")
    assert table["id"].tolist() == [7] * 4 + [8] * 4
    assert table["step"].tolist() == [0, 1, 2, 3] * 2
    assert table["observation"].tolist() == list(range(8))
    assert table["reward"].isna().tolist() == [False, False, False, True] * 2
    assert table["action.text"][:3].tolist() == ["a", "b", "c"]
    assert table["interest"][1].tolist() == [2.0, 3.0]
    assert table["interest"][3] is None
    assert len(table[table["step"] < table["length"]]) == 4
    codec = parquet.ParquetFile(tmp_path / "run.parquet").metadata.row_group(0).column(0).compression
    assert codec == "ZSTD"


def test_npz_reads_with_numpy_alone(tmp_path):
    example().save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as arrays:
        assert arrays["reward"].tolist() == [[1, 2, 3], [4, 0, 0]]
        assert arrays["interest"].shape == (2, 3, 2)
        assert arrays["id"].tolist() == [7, 8]
        assert all(arrays[name].dtype != object for name in arrays.files)


def test_to_pandas_holds_what_happened_and_nothing_else():
    table = example().to_pandas()
    assert list(zip(table["id"], table["step"], strict=True)) == [(7, 0), (7, 1), (7, 2), (7, 3), (8, 0), (8, 1)]
    assert table["observation"].tolist() == [0, 1, 2, 3, 4, 5]
    assert table["observation"].dtype == np.int64
    assert table["reward"].sum() == 10
    assert table["action.kind"].dtype == pd.Int64Dtype()
    assert table["action.kind"].tolist() == [0, 1, 2, pd.NA, 3, pd.NA]
    assert table["truncated"].tolist() == [False, False, True, pd.NA, True, pd.NA]
    assert table["interest"][4].tolist() == [6.0, 7.0]


def test_to_pandas_without_observations_has_a_row_for_each_step():
    full = example()
    table = History.of(action=full.action, reward=full.reward, length=full.length, ids=full.ids).to_pandas()
    assert table["step"].tolist() == [0, 1, 2, 0]
    assert table["action.kind"].tolist() == [0, 1, 2, 3]


@SUFFIXES
def test_a_file_cut_anywhere_or_with_a_changed_byte_is_refused_or_intact(suffix, tmp_path):
    """Each of 40 cuts fails; each of 300 changed bytes fails, or lies where it changes nothing."""
    good, bad = tmp_path / f"good{suffix}", tmp_path / f"bad{suffix}"
    history = example()
    history.save(good)
    whole = good.read_bytes()
    for end in np.linspace(0, len(whole) - 1, 40).astype(int):
        bad.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"bad.*is not a whole history .*History\.save"):
            History.load(bad)
    refused = 0
    for place in np.linspace(0, len(whole) - 1, 300).astype(int):
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            loaded = History.load(bad)
        except ValueError:
            refused += 1
        else:
            assert contents(loaded) == contents(history)
    assert refused > 100


def test_another_table_is_no_history(tmp_path):
    pd.DataFrame({"user": [1]}).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(ValueError, match=r"not a whole history.*load_interactions"):
        History.load(tmp_path / "log.parquet")
    np.savez(tmp_path / "log.npz", user=[1])
    with pytest.raises(ValueError, match="not a whole history"):
        History.load(tmp_path / "log.npz")
    np.savez(tmp_path / "evil.npz", x=np.array([print], dtype=object))
    with pytest.raises(ValueError, match=r"x\.npy is no array of numbers") as error:
        History.load(tmp_path / "evil.npz")
    assert "pickle" not in str(error.value)


@SUFFIXES
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": torch.tensor([1, 9])}, "length of row 1 is 9: expected 0 to 3, the steps there are"),
        ({"length": torch.tensor([-1, 1])}, "length of row 0 is -1"),
        ({"length": torch.tensor([1, 1], dtype=torch.int32)}, r"length is torch.int32 \(2,\): expected an int64"),
        ({"ids": torch.tensor([1.0, 2.0])}, r"ids is torch.float32 \(2,\): expected an int64"),
        ({"site": torch.zeros(2, 2)}, r"column 'site' begins with axes \(2, 2\): expected \(2, 3\)"),
        ({"observation": torch.zeros(2, 3)}, r"column 'observation' begins with axes \(2, 3\): expected \(2, 4\)"),
        ({"terminated": torch.zeros(2, 3)}, "terminated is torch.float32: expected a bool tensor"),
        ({"reward": torch.zeros(2, 3, dtype=torch.float64)}, r"reward is torch.float64: expected float32"),
        ({"thinned": {"site": torch.zeros(3, 2)}}, r"thinned \['site'\] have other rows: expected 2"),
    ],
)
def test_a_file_that_holds_what_does_not_fit_is_refused(suffix, change, message, tmp_path):
    """As ``History.of`` would: a kernel that trusts a length would read beyond the end."""
    good = History.of(action=torch.zeros(2, 3), reward=torch.zeros(2, 3))
    fields = {name: change[name] for name in ("length", "ids", "thinned") if name in change}
    columns = {name: column.swapaxes(0, 1) for name, column in change.items() if name not in fields}
    bad = replace(good, _by_time={**good._by_time, **columns}, **fields)
    if (suffix == ".parquet" and "observation" not in change and set(fields) <= {"length", "ids"}) or suffix == ".npz":
        bad.save(tmp_path / f"bad{suffix}")
    else:
        pytest.skip("a table of rows cannot hold this")
    with pytest.raises(ValueError, match=message):
        History.load(tmp_path / f"bad{suffix}")


@SUFFIXES
def test_a_file_that_would_unfold_beyond_the_memory_is_refused(suffix, tmp_path, monkeypatch):
    zeros = torch.zeros(2, 10_000)
    path = tmp_path / f"zeros{suffix}"
    History.of(action=zeros, reward=zeros).save(path)
    if suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    assert path.stat().st_size < 50_000
    assert len(History.load(path)) == 2
    monkeypatch.setattr(leaves_module, "ROOM", 150_000)
    with pytest.raises(ValueError, match=r"it unfolds to 0\.000\d+ GB: expected at most 0.00015 GB, half of"):
        History.load(path)


def test_a_wrong_suffix_and_a_missing_file_say_so(tmp_path):
    with pytest.raises(ValueError, match=r"ends in '.csv': expected .parquet or .npz"):
        example().save(tmp_path / "run.csv")
    with pytest.raises(FileNotFoundError, match="no history at"):
        History.load(tmp_path / "none.npz")


@SUFFIXES
@pytest.mark.parametrize(
    ("column", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.complex64), "x is complex64: expected bool, integers, real numbers or text"),
        (np.array([["a", None, "c"]] * 2, dtype=object), r"x\[0, 1\] is None, a NoneType: expected a str"),
        (np.array([["a", "\ud83d", "c"]] * 2, dtype=object), r"x\[0, 1\] is .* half a surrogate pair"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_and_leaves_the_old_file(suffix, column, message, tmp_path):
    path = tmp_path / f"run{suffix}"
    example().save(path)
    history = History.of(action=torch.zeros(2, 3), reward=torch.zeros(2, 3), sites={"x": column})
    with pytest.raises(TypeError, match=message):
        history.save(path)
    assert History.load(path).equals(example())


@SUFFIXES
def test_a_write_that_fails_midway_leaves_the_old_file(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"run{suffix}"
    example().save(path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        example()[:1].save(path)
    assert History.load(path).equals(example())
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="limits on the size of files are POSIX's")
@SUFFIXES
def test_a_full_disk_leaves_the_old_file(suffix, tmp_path, monkeypatch):
    import resource

    path = tmp_path / f"run{suffix}"
    example().save(path)
    large = History.of(action=torch.zeros(500, 3), reward=torch.rand(500, 3))
    before, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            large.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert History.load(path).equals(example())
    assert os.listdir(tmp_path) == [path.name]


# Minari

quiet = pytest.mark.filterwarnings("ignore::UserWarning:minari")  # it wants an author and a permalink


@quiet
def test_minari_holds_the_episodes(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari", reason="needs the extra ethogram[minari]")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    history = example()
    dataset = history.to_minari("test/example-v0", description="two rows")
    again = minari.load_dataset("test/example-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (2, 4)
    assert again.spec.observation_space.n == 6
    first, second = again.iterate_episodes()
    assert first.observations.tolist() == [0, 1, 2, 3]
    assert second.observations.tolist() == [4, 5]
    assert second.rewards.tolist() == [4]
    assert second.truncations.tolist() == [True]
    assert first.actions["kind"].tolist() == [0, 1, 2]
    assert list(first.actions["text"]) == ["a", "b", "c"]


@quiet
def test_minari_takes_vectors_and_given_spaces(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari", reason="needs the extra ethogram[minari]")
    gymnasium = pytest.importorskip("gymnasium")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    slates = torch.tensor([[[2, 0], [1, -1]]])
    history = History.of(observation=torch.rand(1, 3, 2), action=slates, reward=torch.ones(1, 2))
    space = gymnasium.spaces.Box(0, 1, (2,))
    history.to_minari("test/slates-v0", observation_space=space)
    dataset = minari.load_dataset("test/slates-v0")
    assert dataset.spec.observation_space == space
    assert dataset[0].actions.tolist() == slates[0].tolist()
    assert torch.equal(torch.tensor(dataset[0].observations), history.observation[0])


def test_minari_asks_to_be_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'ethogram\[minari\]'"):
        example().to_minari("test/example-v0")


def test_minari_refuses_an_episode_of_no_steps():
    pytest.importorskip("minari", reason="needs the extra ethogram[minari]")
    history = History.of(action=torch.zeros(2, 1), reward=torch.zeros(2, 1), length=torch.tensor([1, 0]))
    with pytest.raises(ValueError, match="row 1 has no steps"):
        history.to_minari("test/empty-v0")
