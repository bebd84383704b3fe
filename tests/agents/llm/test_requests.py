"""Requests and their keys: everything that an answer hangs on, and nothing else; nonsense is refused by name."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from llm_stub import Stub

from ethogram.agents.llm import Abilities, Budget, Endpoint, OverBudget, Request

PLAIN = Request((("system", "Decide."), ("user", "Ill at 40.")))


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (("system", "Decide."), ("user", "Ill at 41."))},
        {"messages": (("system", "Decide.Ill"), ("user", " at 40."))},
        {"max_tokens": 1},
        {"temperature": 0.5},
        {"seed": 1},
        {"seed": None},
        {"top_logprobs": 5},
        {"schema": {"type": "string"}},
        {"grammar": 'root ::= "A"'},
        {"top_k": 40},
        {"top_p": 0.9},
        {"min_p": 0.05},
    ],
)
def test_whatever_changes_an_answer_changes_the_key(change):
    assert replace(PLAIN, **change).key("m", "loopback", "f") != PLAIN.key("m", "loopback", "f")


def test_the_key_knows_the_model_where_it_stands_and_its_fingerprint():
    keys = {PLAIN.key(*where) for where in (("m", "a", ""), ("n", "a", ""), ("m", "b", ""), ("m", "a", "f"))}
    assert len(keys) == 4
    assert PLAIN.key("m", "a") == Request([("system", "Decide."), ["user", "Ill at 40."]]).key("m", "a")


def test_the_order_of_properties_is_part_of_the_key():
    """Constrained answers bring properties in the order of their schema, and what comes first decides the rest."""
    one = {"properties": {"why": {}, "act": {}}}
    other = {"properties": {"act": {}, "why": {}}}
    assert replace(PLAIN, schema=one).key("m", "a") != replace(PLAIN, schema=other).key("m", "a")


def test_a_request_survives_json():
    request = replace(PLAIN, schema={"type": "string"}, top_logprobs=3, seed=None)
    assert Request.from_json(request.as_json()) == request


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"messages": ()}, ValueError, "messages is empty"),
        ({"messages": "hello"}, TypeError, "messages is a str"),
        ({"messages": (("tool", "x"),)}, ValueError, r"messages\[0\] has the role 'tool'"),
        ({"messages": (("user", 3),)}, TypeError, r"messages\[0\]"),
        ({"messages": (("user", "ab\ud800"),)}, ValueError, "half a character at 2"),
        ({"max_tokens": 0}, ValueError, "max_tokens"),
        ({"temperature": -1}, ValueError, "temperature"),
        ({"temperature": float("nan")}, ValueError, "temperature"),
        ({"seed": 2**32 - 1}, ValueError, "seed"),
        ({"seed": True}, TypeError, "seed"),
        ({"top_p": 1.5}, ValueError, "top_p"),
        ({"top_logprobs": 0}, ValueError, "top_logprobs"),
        ({"schema": "x"}, TypeError, "schema"),
        ({"schema": {"enum": {1, 2}}}, ValueError, "schema is not JSON"),
        ({"schema": {"maximum": float("inf")}}, ValueError, "schema is not JSON"),
        ({"schema": {}, "grammar": "x"}, ValueError, "schema and grammar"),
    ],
)
def test_nonsense_is_refused_by_name(change, error, words):
    with pytest.raises(error, match=words):
        replace(PLAIN, **change)


@pytest.mark.parametrize("base_url", ["http://", "http:///v1", "http://127.0.0.1:99999/v1", "http://127.0.0.1:http/v1"])
def test_an_address_without_a_host_or_a_port_is_refused_at_once(base_url):
    with pytest.raises(ValueError, match="base_url is no address"):
        Endpoint("m", base_url)


def test_a_key_of_another_type_is_refused_without_telling_it():
    with pytest.raises(TypeError, match="api_key is a int") as refused:
        Endpoint("m", "http://127.0.0.1/v1", api_key=4711)
    assert "4711" not in str(refused.value)


def test_requests_that_are_no_list_are_refused():
    one = Request((("user", "Q"),))
    model = Endpoint("m", "http://127.0.0.1/v1", abilities=Abilities())
    for wrong in (one, (each for each in [one]), {one: 1}):
        with pytest.raises(TypeError, match=r"requests is a .*: expected a list of Requests"):
            model.answer(wrong)


def test_a_low_limit_a_minute_takes_none_of_the_time_of_a_request():
    with Stub() as stub:
        model = Endpoint("m", stub.base_url, abilities=Abilities(), per_minute=120, deadline=3.0)
        with model:
            replies = model.answer([Request((("user", f"Q {k}"),)) for k in range(9)])
    assert [reply.error for reply in replies] == [None] * 9


def test_threads_take_turns_at_an_endpoint():
    with Stub() as stub, Endpoint("m", stub.base_url, abilities=Abilities()) as model:
        batches = [[Request((("user", f"Q {10 * k + i}"),)) for i in range(10)] for k in range(8)]
        with ThreadPoolExecutor(8) as threads:
            told = list(threads.map(model.answer, batches))
        assert told == [model.answer(batch) for batch in batches]


def test_two_endpoints_in_two_threads_share_a_budget_to_its_end():
    """What the one's calls leave over is heard of by the other, which would wait for its deadline."""

    def spend(number):
        model = Endpoint("m", stubs[number].base_url, abilities=Abilities(), budget=budget, deadline=90.0)
        with model, pytest.raises(OverBudget):
            model.answer([Request((("user", f"{'Q' * 100} {k}"),), max_tokens=20) for k in range(300)])

    budget, stubs = Budget(tokens=2000), (Stub(delay=0.02), Stub(delay=0.02))
    begun = time.monotonic()
    with stubs[0], stubs[1], ThreadPoolExecutor(2) as threads:
        list(threads.map(spend, range(2)))
    assert budget.spent.tokens_in + budget.spent.tokens_out <= 2000
    assert time.monotonic() - begun < 80  # not the deadline
