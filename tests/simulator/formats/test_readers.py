"""A History goes to pandas and Minari and comes back; tables and data sets of others are read as they are."""

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ethogram.envs  # noqa: F401  (its ids)
from ethogram.agents.simple import UniformSlates
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import History, rollout
from ethogram.simulator.formats import from_minari, from_pandas

quiet = pytest.mark.filterwarnings("ignore::UserWarning:minari")  # it wants an author and a permalink


def example(lengths=(3, 1), observed=True, text=True):
    n, steps = len(lengths), max(lengths)
    chance = torch.Generator().manual_seed(sum(lengths))
    action = {"kind": torch.randint(0, 9, (n, steps), generator=chance)}
    if text:
        action["text"] = np.array([[f"é{i}{t}" for t in range(steps)] for i in range(n)], dtype=object)
    return History.of(
        observation=torch.randn(n, steps + 1, 2, generator=chance) if observed else None,
        action=action,
        reward=torch.rand(n, steps, generator=chance),
        length=torch.tensor(lengths),
        ids=torch.arange(n) * 7 + 3,
        sites={"seen": torch.rand(n, steps, generator=chance) < 0.5, "probability": torch.rand(n, steps).double()},
        scenario="logged",
    )


def same(one, other):
    """Whether what happened is the same, in the same types; padding may be anything."""
    left, right = one.to_pandas(), other.to_pandas()
    assert left.columns.tolist() == right.columns.tolist()
    for name in left:
        a, b = left[name], right[name]
        assert a.dtype == b.dtype
        gone = a.isna() & b.isna()
        assert all(np.array_equal(x, y) for x, y in zip(a[~gone], b[~gone], strict=True))
    return torch.equal(one.length, other.length) and torch.equal(one.ids, other.ids)


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    observed=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_a_history_goes_through_a_table_in_any_order_and_comes_back(lengths, observed, order):
    history = example(tuple(lengths), observed)
    table = history.to_pandas()
    rows = list(range(len(table)))
    order.shuffle(rows)
    assert same(from_pandas(table.iloc[rows]), history)


def test_a_recorded_world_comes_back_with_lists_and_sites():
    history = rollout(CascadingSession(trap()), UniformSlates(6, 2), rows=5, horizon=3, record=["click", "attraction"])
    again = from_pandas(history.to_pandas(), seed=history.seed, scenario=history.scenario)
    assert again.equals(history)


def test_a_table_shows_the_numbers_of_bfloat16():
    numbers = torch.tensor([[1.5, -2.0, 0.25]])
    history = History.of(
        observation=numbers.bfloat16(), action=numbers[:, :2].bfloat16(), reward=torch.zeros(1, 2), scenario="logged"
    )
    assert history.to_pandas()["observation"].tolist() == numbers[0].tolist()
    assert torch.equal(from_pandas(history.to_pandas()).observation, numbers)


def test_a_table_of_ones_own_needs_little():
    table = pd.DataFrame({"id": [4, 4, 9], "step": [1, 0, 0], "action": [7, 8, 9], "reward": [1.0, 0.0, 0.5]})
    history = from_pandas(table)
    assert history.action.tolist() == [[8, 7], [9, 0]]
    assert history.length.tolist() == [2, 1]
    assert history.ids.tolist() == [4, 9]
    assert history.truncated.tolist() == [[False, True], [True, False]]
    assert "observation" not in history.columns


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": [0, 2, 0]}, "id 4 has step 2 where step 1 should be: expected 0, 1"),
        ({"step": [0, 0, 0]}, "id 4 has step 0 where step 1 should be"),
        ({"id": ["a", "a", "b"]}, "column 'id' of frame is .*: expected whole numbers, as pandas.factorize"),
        (
            {"observation": [1, 2, 3]},
            r"id 4 has reward 0\.0 at step 1: expected a reward at each step but the last row",
        ),
        ({"note": ["a", None, "b"]}, "'note' of id 4 at step 1 is missing"),
        ({"vector": [[1], [1, 2], [1]]}, "'vector' has cells of several shapes"),
        ({"when": pd.to_datetime(["2024-01-01"] * 3)}, "'when' is datetime64"),
    ],
)
def test_faults_of_a_table_are_named(change, message):
    table = pd.DataFrame({"id": [4, 4, 9], "step": [0, 1, 0], "action": [7, 8, 9], "reward": [1.0, 0.0, 0.5]})
    with pytest.raises(ValueError, match=message):
        from_pandas(table.assign(**change))
    with pytest.raises(ValueError, match=r"the frame lacks \['action'\]: expected such columns beside"):
        from_pandas(table.drop(columns="action"))


@quiet
@pytest.mark.parametrize("form", ["arrow", "hdf5"])
def test_a_history_goes_through_minari_and_comes_back(form, tmp_path, monkeypatch):
    pytest.importorskip("minari", reason="needs the extra ethogram[minari]")
    if form == "hdf5":
        pytest.importorskip("h5py", reason="Minari's hdf5 needs h5py: pip install 'minari[hdf5]'")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    history = example((3, 1, 4))
    dataset = history.to_minari("test/example-v0", data_format=form)
    for source in (dataset, "test/example-v0"):
        again = from_minari(source)
        assert again.ids.tolist() == [0, 1, 2]
        for name in ("observation", "reward", "terminated", "truncated"):
            shown = history.valid if name != "observation" else torch.arange(5) <= history.length[:, None]
            assert torch.equal(again.column(name)[shown], history.column(name)[shown])
        assert torch.equal(again.action["kind"][history.valid], history.action["kind"][history.valid])
        valid = history.valid.numpy()
        assert (again.action["text"][valid] == history.action["text"][valid]).all()


@quiet
@pytest.mark.parametrize("form", ["arrow", "hdf5"])
@pytest.mark.parametrize("world", ["flat", "slates"])
def test_minaris_collector_records_sessions(form, world, tmp_path, monkeypatch):
    """Minari knows Gymnasium's own spaces: slates go as MultiDiscrete (flat=True), or as a Box that one names."""
    minari = pytest.importorskip("minari", reason="needs the extra ethogram[minari]")
    needed = {"arrow": "jax", "hdf5": "h5py"}[form]
    pytest.importorskip(needed, reason=f"Minari's collector needs {needed}: pip install 'minari[create,hdf5]'")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = gymnasium.make("ethogram/CascadingSession-v0", flat=world == "flat")
    space = None if world == "flat" else gymnasium.spaces.Box(-1, 5, (2,), np.int64)
    collector = minari.DataCollector(env, action_space=space, data_format=form)
    done, seen, actions, total = False, [], [], 0.0
    seen.append(collector.reset(seed=3)[0])
    collector.action_space.seed(3) if space is None else env.action_space.seed(3)
    while not done:
        actions.append((collector if space is None else env).action_space.sample())
        observation, reward, terminated, truncated, _ = collector.step(actions[-1])
        seen.append(observation)
        total, done = total + reward, terminated or truncated
    history = from_minari(collector.create_dataset("test/collected-v0"))
    assert history.observation[0].tolist() == seen
    assert history.action[0].tolist() == [a.tolist() for a in actions]
    assert float(history.reward.sum()) == pytest.approx(total)


def test_minari_is_asked_for_and_empty_sets_are_refused(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'ethogram\[minari\]'"):
        from_minari("test/example-v0")

    class Empty:
        def iterate_episodes(self):
            return iter(())

    with pytest.raises(ValueError, match="has no episodes"):
        from_minari(Empty())
