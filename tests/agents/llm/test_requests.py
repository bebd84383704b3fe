"""Requests and their keys: everything that an answer hangs on, and nothing else; nonsense is refused by name."""

from dataclasses import replace

import pytest

from ethogram.agents.llm import Request

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
