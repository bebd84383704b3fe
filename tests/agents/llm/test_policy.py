"""A language model is a policy like any other: in every world, by our own luck, with its failures on record."""

import warnings
from dataclasses import replace

import pytest
import torch
from gymnasium import spaces
from scripted_model import CANNOT, Likes, Scripted, even

from ethogram.agents import Fixed, Heuristic, UniformSlates
from ethogram.agents.citizens import decide
from ethogram.agents.llm import (
    Asked,
    Clicks,
    LLMPolicy,
    NoAnswer,
    OnScreen,
    Prompts,
    Whole,
    answer_quality,
    so_far,
)
from ethogram.envs.epidemics import epidemic_planner_world, small_city
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui_tasks import carry
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Do, Setup, check_policy, contrast, rollout
from ethogram.simulator.whatif import mean_return

SESSION = CascadingSession(trap())
NAMES = [f"policy_{name}" for name in ("mass", "order", "propensity", "repaired", "fallback")]
TITLES = {"item": [f"Title {i}" for i in range(SESSION.mdp.num_items)]}
CITIZEN = {"parts": ("isolate", "work")}
FEW = Prompts(shown=("ill", "quarantined"))  # so that few are told anything of their own


def slates(model, **more):
    return LLMPolicy(model, SESSION.action_space, **more)


def screens(model, world, **more):
    return LLMPolicy(model, OnScreen(world.action_space, world.names), Prompts(names=world.names), **more)


# In every world


def test_it_keeps_the_contract_of_policies_in_a_session():
    check_policy(slates(Scripted(even)), SESSION)


def test_it_keeps_the_contract_of_policies_on_screens_with_a_window_and_a_summary_of_its_past():
    world = SymbolicGui(carry(1))
    prompts = Prompts(goal="Do the task.", names=world.names, memory=2, summary=so_far)
    check_policy(
        LLMPolicy(Scripted(Likes("tap")), OnScreen(world.action_space, world.names), prompts), world, horizon=4
    )


def test_it_keeps_the_contract_of_policies_in_a_city():
    city = small_city(40)
    policy = LLMPolicy(Scripted(Likes("yes", 0.3)), Asked(city.action_space, **CITIZEN), FEW)
    check_policy(policy, city, rows=40, horizon=3, independent=False)


def test_a_user_of_a_session_clicks_what_it_likes_and_its_doubts_are_named_as_its_own():
    user = LLMPolicy(Scripted(Likes("item 3", 0.9)), Clicks(TITLES), Prompts(names=TITLES, shown=("slate",)))
    world = CascadingSession(SESSION.mdp, user)
    record = ["clicks", "user_propensity", "user_fallback"]
    history = rollout(world, Fixed([1, 3]), rows=400, horizon=2, record=record)
    share = history["clicks"][..., 1].float().mean().item()
    assert share == pytest.approx(0.9, abs=4.5 * (0.09 / 800) ** 0.5)
    assert not history["clicks"].all(-1).any()
    assert history["user_propensity"][history["clicks"][..., 1]].eq(0.9).all()


def test_an_llm_recommender_meets_an_llm_user_and_each_names_its_own_figures():
    user = LLMPolicy(Scripted(even), Clicks(), Prompts(shown=("slate",)))
    history = rollout(CascadingSession(SESSION.mdp, user), slates(Scripted(even)), rows=3, horizon=2, record="all")
    assert {"policy_mass", "user_mass"} <= set(history.sites)
    assert history["user_mass"].eq(0.8).all()


def test_citizens_have_the_luck_of_all_citizens():
    """The same probabilities, the same draws: to the bit what ``decide`` makes of them."""
    city = small_city(60)
    policy = LLMPolicy(Scripted(Likes("yes", 0.3)), Asked(city.action_space, **CITIZEN), FEW, orders=1, period=7)
    history = rollout(city, policy, rows=60, horizon=9, seed=3)

    class Told:
        def act(self, observation, history, draws):
            return decide(torch.tensor([[0.3, 0.3]]).double().expand(60, 2), draws, 7)

    assert torch.equal(history.action, rollout(city, Told(), rows=60, horizon=9, seed=3).action)


def test_a_planner_has_citizens_who_are_asked():
    city = small_city(50)
    model = Scripted(Likes("yes", 0.2))
    citizens = LLMPolicy(model, Asked(city.action_space, **CITIZEN), FEW)
    world = epidemic_planner_world(world=city, citizens=citizens)
    history = rollout(world, Fixed([0, 0, 0, 0]), rows=2, horizon=1)
    assert history.reward.isfinite().all()
    assert model.asked


# Luck


def test_paired_worlds_share_their_luck():
    """Likes for an item that grow can only win rows: nobody who got it before loses it."""
    space = spaces.Discrete(3)
    few = LLMPolicy(Scripted(Likes("0", 0.4)), space).act(torch.zeros(500), _none(500), _draws(500))
    more = LLMPolicy(Scripted(Likes("0", 0.6)), space).act(torch.zeros(500), _none(500), _draws(500))
    assert ((few == 0) <= (more == 0)).all()
    assert (few == 0).sum() < (more == 0).sum()


def test_a_contrast_of_two_models_cancels_what_they_have_in_common():
    one = slates(Scripted(Likes("item 1", 0.5)), fallback=UniformSlates(SESSION.mdp.num_items, SESSION.mdp.length))
    setup = Setup(SESSION, one, rows=20, horizon=3)
    same = contrast(
        setup, replace(setup, policy=slates(Scripted(Likes("item 1", 0.5)))), outcome=mean_return, seeds=range(3)
    )
    assert (same.mean, same.stderr) == (0, 0)
    other = contrast(setup, [Do("policy_fallback", True)], outcome=mean_return, seeds=range(3))
    assert other.stderr < 1


def test_rows_that_are_told_the_same_are_asked_once_and_draw_for_themselves():
    model = Scripted(even)
    action = LLMPolicy(model, spaces.Discrete(4), orders=4).act(torch.zeros(1000), _none(1000), _draws(1000))
    assert len(model.asked) == 4
    counts = torch.bincount(action, minlength=4) / 1000
    assert counts.tolist() == pytest.approx([0.25] * 4, abs=4.5 * (0.1875 / 1000) ** 0.5)


def test_entries_of_an_array_are_asked_by_themselves_unless_they_are_chained():
    space = spaces.MultiBinary(3)
    apart, chained = Scripted(even), Scripted(even)
    LLMPolicy(apart, space, orders=1).act(torch.zeros(200), _none(200), _draws(200))
    LLMPolicy(chained, Asked(space, chained=True), orders=1).act(torch.zeros(200), _none(200), _draws(200))
    assert len(apart.asked) == 3
    assert len(chained.asked) == 1 + 2 + 4
    assert "Decided so far: action.0: yes; action.1: no." in str([r.messages for r in chained.asked])


def test_rows_that_have_ended_are_not_asked():
    world = SymbolicGui(carry(1))
    model = Scripted(Likes("done", 1.0))
    history = rollout(world, screens(model, world, orders=1), rows=4, horizon=6)
    assert (history.length == 1).all()
    asked = len(model.asked)
    rollout(world, screens(model, world, orders=1), rows=4, horizon=1)
    assert len(model.asked) == 2 * asked


# Figures, repairs and fallbacks


def test_the_figures_of_each_action_are_on_record():
    history = rollout(SESSION, slates(Scripted(Likes("item 2", 0.8))), rows=5, horizon=3, record=NAMES)
    figures = {name: history[f"policy_{name}"] for name in ("mass", "order", "propensity", "repaired", "fallback")}
    assert figures["mass"].min() == pytest.approx(0.8)  # of what is likely where the item is shown already
    assert figures["order"].max() < 1e-6
    assert not figures["fallback"].any()
    assert ((figures["propensity"] > 0) & (figures["propensity"] <= 1)).all()
    assert answer_quality(history)["fallback"] == 0


def test_a_propensity_is_the_probability_with_which_an_action_is_drawn():
    history = rollout(SESSION, slates(Scripted(even)), rows=5, horizon=2, record=NAMES)
    n = SESSION.mdp.num_items
    full = 1.0
    for k in range(SESSION.mdp.length):
        full *= 1 / (n - k + (k > 0))
    assert torch.allclose(history["policy_propensity"], torch.tensor(full))


def test_a_malformed_answer_is_repaired_once_and_then_falls_back_aloud_and_on_record():
    def spoil(request):
        return "I would rather not" if '"state": 1' not in request.messages[-1][1] else None

    fallback = UniformSlates(SESSION.mdp.num_items, SESSION.mdp.length)
    policy = slates(Scripted(even, spoil=spoil), fallback=fallback)
    with pytest.warns(RuntimeWarning, match=r"6 of 6 rows .* UniformSlates acts"):
        history = rollout(SESSION, policy, rows=6, horizon=2, record=NAMES)
    assert history["policy_fallback"].all()
    assert history["policy_propensity"].isnan().all()
    assert answer_quality(history)["fallback"] == 1
    plain = rollout(SESSION, fallback, rows=6, horizon=2)
    assert torch.equal(history.action[:, 0], plain.action[:, 0])


def test_without_a_fallback_an_answer_that_cannot_be_read_stops_the_run_and_says_nothing_of_it():
    policy = LLMPolicy(
        Scripted(even, spoil=lambda request: "secret words"),
        spaces.Discrete(3),
        Prompts(goal="secret goal", attributes={"name": ["secret name"] * 9}),
    )
    with pytest.raises(NoAnswer) as caught:
        policy.act(torch.zeros(3), _none(3), _draws(3))
    assert "secret" not in str(caught.value)
    assert "fallback=" in str(caught.value)
    assert "secret" not in repr(policy) + repr(policy.prompts) + repr(policy.model.asked)


def test_an_intervention_hands_rows_to_the_fallback():
    policy = slates(Scripted(even), fallback=Fixed([0, 1]))
    half = torch.arange(6) < 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = rollout(SESSION, policy, rows=6, horizon=2, interventions=[Do("policy_fallback", True, who=half)])
    assert (history.action[:3] == torch.tensor([0, 1])).all()
    with pytest.raises(ValueError, match="fallback="):
        rollout(SESSION, slates(Scripted(even)), rows=6, horizon=2, interventions=[Do("policy_fallback", True)])


def test_without_log_probabilities_it_samples_and_acts_all_the_same():
    check_policy(slates(Scripted(even, CANNOT)), SESSION)


def test_a_whole_action_is_written_in_one_call_by_a_seed_of_each_row():
    model = Scripted(even, write=lambda user: "[3, 1]")
    policy = LLMPolicy(model, Whole(SESSION.action_space))
    history = rollout(SESSION, policy, rows=4, horizon=2, record=NAMES)
    assert (history.action == torch.tensor([3, 1])).all()
    assert history["policy_mass"].isnan().all()
    assert len({request.seed for request in model.asked}) == 8
    assert model.asked[0].schema["items"] == {"type": "integer", "minimum": 0, "maximum": SESSION.mdp.num_items - 1}


# What is told


def told(policy, observation, n=1, history=None):
    policy.act(observation, _none(n) if history is None else history, _draws(n))
    return [request.messages for request in policy.model.asked]


def test_the_system_message_holds_no_word_of_the_world_and_the_person_comes_last():
    city = small_city(20)
    prompts = Prompts("Live well.", {"isolate": "Stay at home?"}, profile=("age",), attributes={"name": ["Zoë"] * 20})
    policy = LLMPolicy(Scripted(even), Asked(city.action_space, **CITIZEN), prompts)
    rollout(city, policy, rows=20, horizon=1)
    for (_, system), (_, user) in (request.messages for request in policy.model.asked):
        assert system.endswith("Live well.")
        assert "Zo" not in system
        assert '"age"' not in system
        lines = user.split("\n")
        assert lines[0] in ("Stay at home?", "What does the agent decide: work?")
        assert lines[-2].startswith("The person: ")
        assert '"age"' in lines[-2]
        assert '"age"' not in "".join(lines[:-2])


def test_the_window_and_the_summary_tell_the_past():
    world = SESSION
    prompts = Prompts(names=TITLES, memory=2, summary=so_far)
    policy = LLMPolicy(Scripted(even), world.action_space, prompts)
    rollout(world, policy, rows=1, horizon=4)
    last = policy.model.asked[-1].messages[1][1]
    assert last.count('"did"') == 2
    assert '"steps": 3' in last
    assert "Title" in last


def test_a_mark_of_ones_own_lets_seeds_share_answers():
    for mark, shared in ((None, 0), ("Data-0123456789", 1)):
        policy = LLMPolicy(Scripted(even), spaces.Discrete(3), Prompts(mark=mark), orders=1)
        for seed in range(2):
            policy.act(torch.zeros(1), _none(1), _draws(1, seed))
        assert (len(set(policy.model.asked)) == 1) == shared


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: LLMPolicy(None, spaces.Discrete(2)), "model is a NoneType"),
        (lambda: LLMPolicy(Scripted(even), None), "form is"),
        (lambda: LLMPolicy(Scripted(even), spaces.Discrete(2), orders=0), "orders is 0"),
        (lambda: LLMPolicy(Scripted(even), spaces.Discrete(2), period=0), "period is 0"),
        (lambda: LLMPolicy(Scripted(even), spaces.Discrete(2), fallback=3), "fallback is"),
        (lambda: LLMPolicy(Scripted(even), spaces.Discrete(2), "be good"), "prompts is"),
        (lambda: Prompts(shown="age"), "shown is"),
        (lambda: Prompts(memory=-1), "memory is -1"),
        (lambda: Prompts(mark="x"), "mark has 1"),
        (lambda: OnScreen(spaces.Discrete(2)), "space is"),
        (lambda: OnScreen(SymbolicGui(carry(1)).action_space, types=("fly",)), "fly"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        wrong()


def test_columns_and_people_that_are_not_there_are_named_without_their_values():
    city = small_city(20)
    form = Asked(city.action_space, **CITIZEN)
    with pytest.raises(LookupError, match="shown"):
        rollout(city, LLMPolicy(Scripted(even), form, Prompts(shown=("height",))), rows=20, horizon=1)
    with pytest.raises(LookupError, match="row id 2") as caught:
        rollout(city, LLMPolicy(Scripted(even), form, Prompts(attributes={"name": ["secret"] * 2})), rows=20, horizon=1)
    assert "secret" not in str(caught.value)


def test_heuristic_citizens_may_stand_in():
    city = small_city(30)
    policy = LLMPolicy(
        Scripted(even, CANNOT, spoil=lambda r: "?"), Asked(city.action_space, **CITIZEN), FEW, Heuristic()
    )
    with pytest.warns(RuntimeWarning, match="Heuristic"):
        history = rollout(city, policy, rows=30, horizon=2)
    assert torch.equal(history.action, rollout(city, Heuristic(), rows=30, horizon=2).action)


def _draws(n, seed=0):
    from ethogram.simulator import Draws

    return Draws(seed, torch.arange(n), scope="policy")


def _none(n):
    from ethogram.simulator import nothing_yet

    return nothing_yet(_draws(n))
