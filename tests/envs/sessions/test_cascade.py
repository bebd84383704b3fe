"""The session world against a plain loop and closed forms."""

import dataclasses
import pickle
from copy import deepcopy

import pytest
import torch

from ethogram.agents.simple import Fixed, PlackettLuce, Table, UniformSlates
from ethogram.envs.sessions import (
    CascadingMDP,
    CascadingSession,
    clicked_rows,
    first_true,
    good_medium_bad,
    lookup,
    movielens_formula,
    trap,
)
from ethogram.simulator.draws import Draws
from ethogram.simulator.rollout import rollout
from ethogram.simulator.sites import Do
from ethogram.simulator.whatif import Setup, contrast

WORLD = CascadingSession(good_medium_bad(8))


class AnyLength:
    """Slates of random items and random length, padded with -1."""

    def act(self, observation, history, draws):
        slates = UniformSlates(8, 3).act(observation, history, draws)
        length = 1 + (draws.uniform("length") * 3).long()
        return slates.where(torch.arange(3) < length[:, None], -1)


def by_hand(mdp, history, row):
    """One session, item by item; chance is asked for one number at a time."""
    state, seen = mdp.initial, []
    for t in range(history.num_steps):
        draws = Draws(history.seed, history.ids[row : row + 1], t, scope="world")
        click, item = mdp.length, mdp.num_items
        for position, shown in enumerate(history.action[row, t].tolist()):
            if shown >= 0 and draws.uniform("attracted", torch.tensor([[shown]])).item() < mdp.attraction[state, shown]:
                click, item = position, shown
                break
        reward = mdp.reward[state, item].item() if item < mdp.num_items else 0.0
        u, k, cumulative = draws.uniform("state").item(), 0, mdp.transition[state, item].cumsum(0)
        while k < mdp.num_states - 1 and u >= cumulative[k]:
            k += 1
        seen.append((click, reward, k))
        state = k
    return seen


def test_sessions_equal_the_plain_loop():
    history = rollout(WORLD, AnyLength(), rows=50, horizon=6, seed=3, record=["click"])
    for row in range(50):
        click, reward = history.sites["click"][row], history.reward[row]
        assert by_hand(WORLD.mdp, history, row) == list(
            zip(click.tolist(), reward.tolist(), history.observation[row, 1:].tolist(), strict=True)
        )


def test_the_unwatched_step_gives_the_bits_of_the_readable_one():
    plain = rollout(WORLD, AnyLength(), rows=3000, horizon=6, seed=2)
    watched = rollout(WORLD, AnyLength(), rows=3000, horizon=6, seed=2, record="all")
    assert all(torch.equal(plain.column(name), watched.column(name)) for name in plain.columns)
    assert sorted(watched.sites) == ["attraction", "click", "state"]


def test_click_rate_matches_the_cascade_closed_form():
    """20,000 sessions a position; each 4.5-sigma band fails by chance once in 147,000 seeds."""
    world = CascadingSession(trap())
    history = rollout(world, Fixed([1, 4]), rows=20_000, horizon=1, seed=0, record=["click"])
    u1, u2 = world.mdp.attraction[0, [1, 4]].tolist()
    for position, p in enumerate([u1, (1 - u1) * u2, (1 - u1) * (1 - u2)]):
        band = 4.5 * (p * (1 - p) / 20_000) ** 0.5
        assert (history.sites["click"] == position).float().mean().item() == pytest.approx(p, abs=band)


def test_next_states_have_the_probabilities_of_the_item_clicked():
    """40,000 sessions; 4.5-sigma bands."""
    world = CascadingSession(trap())
    history = rollout(world, Fixed([1, 4]), rows=40_000, horizon=1, seed=1, record=["click"])
    for click, item in enumerate([1, 4, 6]):
        moved = history.observation[history.sites["click"][:, 0] == click, 1]
        p = world.mdp.transition[0, item, 1].item()
        assert moved.float().mean().item() == pytest.approx(p, abs=4.5 * (p * (1 - p) / len(moved)) ** 0.5)


def test_a_batch_equals_its_rows_in_any_order():
    whole = rollout(WORLD, AnyLength(), rows=30, horizon=4, seed=5)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    assert rollout(WORLD, AnyLength(), rows=order, horizon=4, seed=5).equals(whole[order])


def test_a_policy_swap_leaves_the_luck_of_user_item_and_step_alone():
    """The same item, first in one list and last in the other, attracts the same users in the same state."""
    world = CascadingSession(trap())
    first = rollout(world, Fixed([3, 0]), rows=5000, horizon=1, record=["click"])
    alone = rollout(world, Fixed([3, -1]), rows=5000, horizon=1, record=["click"])
    last = rollout(world, Fixed([0, 3]), rows=5000, horizon=1, record=["click"])
    assert torch.equal(first.sites["click"] == 0, alone.sites["click"] == 0)
    reached = last.sites["click"] > 0  # item 0 did not attract: item 3 was examined
    assert torch.equal((last.sites["click"] == 1)[reached], (first.sites["click"] == 0)[reached])


def test_nothing_changes_before_an_intervention_starts():
    what_if = [Do("attraction", lambda p: 0.5 * p, start=2)]
    fact = rollout(WORLD, AnyLength(), rows=2000, horizon=5, seed=1)
    other = rollout(WORLD, AnyLength(), rows=2000, horizon=5, seed=1, interventions=what_if)
    assert fact[:, :2].equals(dataclasses.replace(other[:, :2], scenario="factual"))
    assert not torch.equal(fact.reward[:, 2], other.reward[:, 2])


def test_pairing_cuts_the_variance_of_a_small_change():
    """40 seeds; with independent seeds the ratio would be 1, and exceed 2 by chance about once in 80 tries."""
    small = [Do("attraction", lambda p: 0.95 * p)]
    setup = Setup(WORLD, AnyLength(), rows=200, horizon=5)
    effect = contrast(setup, small, outcome=lambda h: h.reward.mean(), seeds=range(40))
    assert effect.variance_ratio > 4
    assert effect.mean < -4 * effect.stderr


def test_compiled_helpers_equal_their_torch_forms():
    generator = torch.Generator().manual_seed(0)
    flags = torch.rand(500, 3, generator=generator) < 0.3
    assert first_true(flags).tolist() == [next((j for j in range(3) if f[j]), 3) for f in flags]
    table, rows = torch.rand(4, 7, generator=generator), torch.randint(4, (500,), generator=generator)
    columns = torch.randint(-1, 7, (500, 3), generator=generator)
    assert torch.equal(lookup(table, rows, columns), table[rows[:, None], columns])
    clicks = torch.randint(4, (500,), generator=generator)
    items = [c[k] if k < 3 and c[k] >= 0 else 7 for c, k in zip(columns.tolist(), clicks.tolist(), strict=True)]
    expected = [8 * s + a for s, a in zip(rows.tolist(), items, strict=True)]
    assert clicked_rows(rows, columns, clicks, 7).tolist() == expected


def test_a_user_model_that_clicks_twice_moves_by_the_last_click():
    class Both:
        def act(self, observation, history, draws):
            return torch.ones_like(observation["slate"], dtype=torch.bool)

    world = CascadingSession(trap(), user=Both())
    history = rollout(world, Fixed([0, 3]), rows=20_000, horizon=1, seed=0, record=["click", "clicks"])
    assert (history.sites["click"] == 1).all()
    p = world.mdp.transition[0, 3, 1].item()  # 4.5 sigma
    assert history.observation[:, 1].float().mean().item() == pytest.approx(p, abs=4.5 * (p / 20_000) ** 0.5)


@pytest.mark.parametrize(
    ("slate", "message"),
    [
        ([1, 1], r"slate of row 0 is \[1, 1\]: expected slates of 1 to 2 distinct items between 0 and 5"),
        ([1, 6], r"slate of row 0 is \[1, 6\]"),
        ([-1, 2], r"slate of row 0 is \[-1, 2\]"),
        ([-1, -1], r"slate of row 0 is \[-1, -1\]"),
        ([1, -2], r"slate of row 0 is \[1, -2\]"),
        ([1, 2, 3], r"expected an int64 tensor \(3, 2\)"),
        ([0.5, 1.5], "expected an int64 tensor"),
    ],
)
def test_a_bad_slate_is_refused(slate, message):
    with pytest.raises(ValueError, match=message):
        rollout(CascadingSession(trap()), Fixed(slate), rows=3, horizon=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: {"attraction": m.attraction * 2}, r"attraction\[0, 0\] is 1.8: expected a number in \[0, 1\]"),
        (lambda m: {"attraction": m.attraction * torch.nan}, r"attraction\[0, 0\] is nan"),
        (lambda m: {"attraction": m.attraction.float()}, "expected float64"),
        (lambda m: {"transition": m.transition * 0.9}, r"transition\[0, 0\] sums to 0.9: expected 1"),
        (lambda m: {"transition": m.transition[:, :-1]}, r"expected float64 \(2, 7, 2\)"),
        (lambda m: {"reward": -m.reward}, r"reward\[0, 0\] is -1"),
        (lambda m: {"length": 7}, "length is 7: expected an int from 1 to 6"),
        (lambda m: {"horizon": 0}, "horizon is 0"),
        (lambda m: {"initial": 2}, "initial is 2: expected an int from 0 to 1"),
    ],
)
def test_a_bad_mdp_is_refused(change, message):
    mdp = trap()
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(mdp, **change(mdp))


def test_reference_instances_are_valid_and_as_specified():
    assert movielens_formula(20, 10, 1).attraction.max() == 1
    assert CascadingMDP(**{f.name: getattr(trap(), f.name) for f in dataclasses.fields(CascadingMDP)}).num_items == 6
    assert good_medium_bad(4).attraction[0].tolist() == pytest.approx([0.24, 0.48, 0.72, 0.95])


def test_a_table_policy_reads_the_step():
    table = torch.tensor([[[3, 4], [3, 4]], [[0, 1], [0, 1]]])
    history = rollout(CascadingSession(trap()), Table(table), rows=2, horizon=2)
    assert history.action[0].tolist() == [[3, 4], [0, 1]]


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (Do("attraction", 2.0), r"site 'attraction' of row 0 is \[2.0, 2.0\]: expected 0 to 1"),
        (Do("attraction", float("nan")), "site 'attraction' of row 0 is"),
        (Do("click", 3), "site 'click' of row 0 is 3: expected 0 to 2"),
        (Do("state", 2), "site 'state' of row 0 is 2: expected 0 to 1"),
    ],
)
def test_an_intervention_to_what_cannot_be_is_refused(do, message):
    with pytest.raises(ValueError, match=message):
        rollout(CascadingSession(trap()), Fixed([0, 1]), rows=3, horizon=1, interventions=[do])


@pytest.mark.parametrize("record", [(), "all"])
def test_a_policy_must_give_one_slate_a_row(record):
    class OneForAll:
        def act(self, observation, history, draws):
            return torch.tensor([[0, 1]])

    with pytest.raises(ValueError, match=r"OneForAll gives actions of shape \(1, 2\): expected 3 rows"):
        rollout(CascadingSession(trap()), OneForAll(), rows=3, horizon=1, record=record)


@pytest.mark.parametrize(
    ("clicks", "message"),
    [
        (torch.ones(2, 2, dtype=torch.bool), r"expected bool \(3, 2\)"),
        (torch.ones(3, 2), r"clicks of the user are torch.float32 \(3, 2\): expected bool"),
        (torch.ones(3, 2, dtype=torch.bool), r"clicks \[True, True\] on \[0, -1\]: -1 is empty"),
    ],
)
def test_a_user_must_click_on_what_is_shown(clicks, message):
    class User:
        def act(self, observation, history, draws):
            return clicks

    with pytest.raises(ValueError, match=message):
        rollout(CascadingSession(trap(), user=User()), Fixed([0, -1]), rows=3, horizon=1)


def test_policies_of_numbers_take_lists():
    assert torch.equal(Table([[0, 1], [0, 1]]).actions, torch.tensor([[0, 1], [0, 1]]))
    assert PlackettLuce([0.0, 1.0], length=1).scores.tolist() == [0.0, 1.0]
    with pytest.raises(TypeError, match="actions of a Table is 'a': expected numbers"):
        Table("a")


def test_tables_that_were_written_to_are_refused_and_copies_are_not():
    mdp = trap()
    outside = mdp.attraction.clone()
    world, own = CascadingSession(mdp), CascadingSession(dataclasses.replace(mdp, attraction=outside))
    run = {"policy": Fixed([0, 1]), "rows": 3, "horizon": 2}
    before = rollout(own, **run).reward
    outside[:] = 0  # the world's tables are its own
    assert torch.equal(rollout(own, **run).reward, before)
    for same in (pickle.loads(pickle.dumps(mdp)), deepcopy(mdp), dataclasses.replace(mdp)):
        assert rollout(CascadingSession(same), **run)
    rollout(world, **run)
    mdp.attraction[0, 0] = 0.1
    with pytest.raises(ValueError, match="of this MDP was written to after it was made"):
        rollout(world, **run)
