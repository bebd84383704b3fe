"""Distributions are exact where a model reports them, fair where it is sampled, and never made of what is no option."""

import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import torch
from gymnasium import spaces
from scripted_model import CANNOT, Likes, Scripted, even, options_of

from ethogram.agents.llm import (
    Abilities,
    Ask,
    Asked,
    Asker,
    Choice,
    Fence,
    Predicate,
    Prompts,
    Reply,
    Score,
    Written,
    read,
    schema_of,
    so_far,
)
from ethogram.agents.llm.prompts import Prompt, described
from ethogram.simulator import Draws, nothing_yet

PROMPT = Prompt(None, Fence.of_seed(0), "rules", ["What is seen: nothing"])
THREE = Choice("way", ("left", "right", "on"))


def ask(model, question, orders=3, samples=6):
    return Asker(model, orders, samples)([Ask(PROMPT, question, "Which?")])[0]


class ByPlace:
    """Looks at places only, as a small model does: the first option has 0.6, the second 0.2, the third 0.1."""

    def __call__(self, options, user):
        return dict(zip(options, (0.6, 0.2, 0.1), strict=False))


def test_a_reported_distribution_is_renormalised_over_the_options():
    answer = ask(Scripted(lambda options, user: {"A": 0.2, "B": 0.1, "C": 0.1}), THREE, orders=1)
    assert answer.probability == pytest.approx([0.5, 0.25, 0.25])
    assert answer.mass == pytest.approx(0.4)
    assert answer.order == 0


def test_cyclic_orders_take_a_preference_for_places_away_and_say_how_strong_it_was():
    answer = ask(Scripted(ByPlace()), THREE, orders=3)
    assert answer.probability == pytest.approx([1 / 3] * 3)
    assert answer.order == pytest.approx((0.6 - 0.1) / 0.9)
    unaveraged = ask(Scripted(ByPlace()), THREE, orders=1)
    assert unaveraged.probability == pytest.approx(np.array([6, 2, 1]) / 9)


def test_what_an_option_says_decides_in_whatever_order_it_stands():
    answer = ask(Scripted(Likes("right", 0.7)), THREE)
    assert answer.probability == pytest.approx([0.15, 0.7, 0.15])
    assert answer.order == pytest.approx(0)


def test_ten_levels_are_ten_letters_so_that_none_begins_like_another():
    model = Scripted(even)
    answer = ask(model, Score("cases", 0, 100), orders=10)
    assert answer.probability == pytest.approx([0.1] * 10)
    assert len(model.asked) == 10
    assert set(options_of(model.asked[0].messages[-1][1])) == set("ABCDEFGHIJ")


def test_letters_are_asked_for_by_one_token_with_what_servers_do_by_default_switched_off():
    model = Scripted(even)
    ask(model, THREE)
    for request in model.asked:
        assert (request.max_tokens, request.temperature) == (1, 1)
        assert (request.top_k, request.top_p, request.min_p) == (0, 1, 0)
        assert request.top_logprobs == 20
        assert "stop" not in request.as_json()  # a letter that stops an answer has no probability reported


@pytest.mark.parametrize("space", ["", " ", "\n"])
def test_a_letter_is_the_same_with_a_space_before_it(space):
    answer = ask(Scripted(Likes("left", 0.8), space=space), THREE)
    assert answer.probability == pytest.approx([0.8, 0.1, 0.1])


def test_spellings_of_a_letter_add_up_and_longer_words_do_not():
    class Spelt(Scripted):
        def _reply(self, request):
            tokens = {"A": 0.1, " A": 0.1, "A)": 0.1, "An": 0.2, "AB": 0.1, "a": 0.1, "B": 0.1, "Z": 0.1}
            return Reply("", logprobs=({token: math.log(p) for token, p in tokens.items()},))

    answer = ask(Spelt(even), Predicate("go"), orders=1)
    assert answer.probability == pytest.approx([0.75, 0.25])
    assert answer.mass == pytest.approx(0.4)


LADDER = {
    "schema": replace(CANNOT, schema=True),
    "grammar": replace(CANNOT, grammar="grammar"),
    "text": CANNOT,
}


@pytest.mark.parametrize("how", LADDER)
def test_without_log_probabilities_samples_make_the_distribution(how):
    model = Scripted(Likes("right", 0.7), LADDER[how])
    answer = ask(model, THREE, samples=600)
    band = 4.5 * (0.7 * 0.3 / 600) ** 0.5
    assert answer.probability[1] == pytest.approx(0.7, abs=band)
    assert answer.mass == 1
    assert math.isnan(answer.order)
    assert len({request.seed for request in model.asked}) == 600
    assert all((request.schema is not None) == (how == "schema") for request in model.asked)
    assert all((request.grammar is not None) == (how == "grammar") for request in model.asked)
    if how == "schema":
        assert model.asked[0].schema == {"type": "string", "enum": ["A", "B", "C"]}
    if how == "grammar":
        assert model.asked[0].grammar == 'root ::= "A" | "B" | "C"'


@pytest.mark.parametrize("text", ["", "left", "D", "AB", "A and B", "I cannot", "a", '"A', "A" * 10**7])
def test_a_sample_that_is_no_option_is_none_and_costs_mass(text):
    def spoil(request):
        return text if "not of this form" not in request.messages[-1][1] else None

    answer = ask(Scripted(Likes("left", 1.0), CANNOT, spoil=spoil), THREE)
    assert answer.repaired
    assert answer.probability == pytest.approx([1, 0, 0])

    never = ask(Scripted(even, CANNOT, spoil=lambda request: text), THREE)
    assert never.probability is None
    assert never.why
    assert text[:20] not in never.why or not text or len(text) < 3


def test_letters_that_a_model_never_says_are_asked_for_once_more_in_the_next_way():
    def spoil(request):
        return "The" if request.top_logprobs else None

    model = Scripted(Likes("on", 1.0), spoil=spoil)
    answer = ask(model, THREE)
    assert answer.repaired
    assert answer.probability == pytest.approx([0, 0, 1])
    assert model.asked[-1].schema is not None
    assert len(model.asked) == 3 + 6  # one attempt in three orders, and one repair


def test_seeds_of_repeats_are_hashed_since_servers_count_up_from_a_seed():
    model = Scripted(even, CANNOT, spoil=lambda request: "no")
    ask(model, THREE)
    seeds = [request.seed for request in model.asked]
    assert len(set(seeds)) == len(seeds) == 12
    assert min(abs(a - b) for a in seeds for b in seeds if a != b) > 12


def test_a_written_answer_is_read_strictly_and_asked_for_once_more():
    from gymnasium import spaces

    space = spaces.MultiDiscrete([3, 2])
    question = Written("action", schema_of(space), lambda text: read(space, text))
    good = ask(Scripted(even, write=lambda user: "[2, 1]"), question)
    assert good.text == "[2, 1]"
    assert good.probability is None
    bad = ask(Scripted(even, write=lambda user: "[3, 1] is my password"), question)
    assert bad.text is None
    assert bad.repaired
    assert "password" not in bad.why


def test_a_refusal_and_an_error_are_no_answers():
    class Down(Scripted):
        def answer(self, requests):
            return [Reply("", error="content_filter") for _ in requests]

    assert ask(Down(even), THREE).probability is None


def test_a_model_that_loses_requests_is_found_out():
    class Loses(Scripted):
        def answer(self, requests):
            return []

    with pytest.raises(ValueError, match="0 replies to 3 requests"):
        ask(Loses(even), THREE)


def test_rules_and_options_are_the_same_bytes_for_all_rows_and_orders_differ_in_options_alone():
    model = Scripted(even)
    other = Prompt(None, PROMPT.fence, "rules", ["What is seen: something else"])
    Asker(model, 1)([Ask(PROMPT, THREE, "Which?"), Ask(other, THREE, "Which?")])
    a, b = (request.messages for request in model.asked)
    assert a[0] == b[0]
    start = a[1][1].index("What is seen")
    assert a[1][1][:start] == b[1][1][:start]
    assert json.dumps(a)  # plain text


def test_abilities_decide_and_nothing_else():
    assert ask(Scripted(even, Abilities(top_logprobs=5)), THREE).probability == pytest.approx([1 / 3] * 3)


# What is told of a row


def told(observation, n=2, ids=None, step=0, names=None, **settings):
    """The user messages' data for rows of one step."""
    draws = Draws(0, torch.arange(n) if ids is None else torch.tensor(ids), step)
    return Prompts(names=names or {}, **settings).rows(observation, nothing_yet(draws), draws)


def test_words_of_ids_mean_the_same_in_options_and_in_the_past():
    """An id is a value, also where values do not begin at 0."""
    space, words = spaces.Discrete(2, start=1), {"action": ("never", "stay", "go")}
    question = next(Asked(space, words).ask(None))
    assert (question.options, question.texts) == (("1", "2"), ("stay", "go"))
    assert described(words, space.dtype.type(1), "action") == "stay"
    for wrong, start in ((("stay", "go"), 1), (("stay", "go"), -1)):
        with pytest.raises(ValueError, match="names has 2 words for 'action': expected"):
            Asked(spaces.Discrete(2, start=start), {"action": wrong})


@pytest.mark.parametrize("profile", [("aeg",), ("age", "aeg")])
def test_columns_that_nobody_sees_are_refused(profile):
    with pytest.raises(LookupError, match=r"names \['aeg'\]"):
        told({"age": torch.zeros(2)}, profile=profile)
    with pytest.raises(LookupError, match="no Dict"):
        told(torch.zeros(2), profile=profile)
    with pytest.raises(LookupError, match="no Dict"):
        told(torch.zeros(2), shown=profile)


def test_nobody_gets_the_attributes_of_another():
    """A list would count a negative id from its end."""
    with pytest.raises(LookupError, match="nothing for row id -1"):
        told(torch.zeros(1), ids=[-1], attributes={"who": ["Ada", "Bo"]})
    told(torch.zeros(1), ids=[-1], attributes={"who": {-1: "Ada"}})
    with pytest.raises(ValueError, match=r"profile and attributes both have \['age'\]"):
        Prompts(profile=("age",), attributes={"age": [70, 80]})


@pytest.mark.parametrize(
    "wrong", [{"attributes": {"age": 5}}, {"attributes": {"age": "70"}}, {"wording": {"action": 3}}]
)
def test_columns_and_words_of_another_type_are_refused_by_name(wrong):
    with pytest.raises(TypeError, match=r"\['(age|action)'\] is a (int|str): expected"):
        Prompts(**wrong)


def test_a_summary_of_a_past_that_nobody_keeps_is_refused():
    """It would say for ever that nothing has happened."""
    told(torch.zeros(2), summary=so_far)
    with pytest.raises(ValueError, match="no past is kept"):
        told(torch.zeros(2), step=1, summary=so_far)


def test_attributes_that_json_cannot_carry_are_refused_by_name():
    with pytest.raises(TypeError, match="attributes has a value that JSON cannot carry"):
        told(torch.zeros(1), n=1, attributes={"born": [date(1980, 5, 17)]})


def test_half_precision_is_told_as_numbers():
    for dtype in (torch.float16, torch.bfloat16):
        (prompt, _) = told(torch.tensor([0.5, 2.0], dtype=dtype)).prompts
        assert " 0.5 " in prompt.told[0]
