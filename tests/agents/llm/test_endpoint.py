"""Endpoints against a server that fails in every way: nothing lost, nothing asked twice, nothing told."""

import asyncio
import gc
import logging
import multiprocessing
import pickle
import random
import signal
import subprocess
import sys
import time
from email.utils import formatdate

import pytest
from llm_stub import FAULTS, Stub

from ethogram.agents.llm import Abilities, Budget, Endpoint, EndpointDown, OverBudget, Request, Spent, client

WHOLE = Abilities(fingerprint="f")
SECRET = "sk-secret-7"
PERSONAL = "Ada, 40, fever"


def questions(n, **settings):
    return [Request((("user", f"{PERSONAL} {number}"),), **settings) for number in range(n)]


@pytest.fixture
def hasty(monkeypatch):
    """No waiting between attempts."""
    wait = client.wait_before
    monkeypatch.setattr(client, "wait_before", lambda *args: None if wait(*args) is None else 0.0)


def endpoint(stub, **settings):
    return Endpoint("m", stub.base_url, **{"abilities": WHOLE, **settings})


def patience(fault):
    """Seconds for an attempt: few only where they are waited for, since a busy machine answers late."""
    return 0.5 if fault == "hang" else 30


def test_replies_come_in_the_order_of_their_requests_and_equal_requests_are_asked_once():
    with Stub(delay=0.001) as stub, endpoint(stub) as model:
        requests = questions(40)
        random.Random(0).shuffle(requests)
        replies = model.answer(requests + requests[:5])
        assert len(stub.asked) == 40
        texts = {body["messages"][0]["content"]: stub.completion(body, 0) for body in stub.asked}
        for request, reply in zip(requests + requests[:5], replies, strict=True):
            assert reply.text == texts[request.messages[0][1]]["choices"][0]["message"]["content"]
            assert (reply.tokens_in, reply.tokens_out, reply.error) == (20, 6, None)
        assert [reply.cached for reply in replies] == [False] * 40 + [True] * 5


def test_settings_of_drawing_are_always_sent():
    with Stub() as stub, endpoint(stub) as model:
        model.answer(questions(1, top_logprobs=3, max_tokens=1, seed=5))
    expected = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 5, "max_tokens": 1}
    assert expected.items() <= stub.asked[0].items()
    assert stub.asked[0]["logprobs"] is True


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_got_over(fault, hasty):
    with Stub(lambda body, number: fault if number % 2 == 0 else None) as stub:
        with endpoint(stub, concurrency=1, timeout=patience(fault)) as model:
            replies = model.answer(questions(3))
        assert all(reply.text and reply.error is None for reply in replies)
        if fault != "hang":  # of which there may be more
            assert len(stub.asked) == 6
            assert sum(model.counts.values()) == 6 + 3 + 3, "attempts, answers, failures"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_an_error_of_its_request_and_is_kept_nowhere(fault, hasty, tmp_path):
    def faults(body, number):
        return fault if body["messages"][0]["content"].endswith(" 1") else None

    settings = {"retries": 2, "timeout": patience(fault), "deadline": 2.0 if fault == "429" else 300}
    settings["cache"] = tmp_path / "c.sqlite"
    with Stub(faults, retry_after="0.2") as stub, endpoint(stub, **settings) as model:
        good, bad, other = model.answer(questions(3))
        assert good.error is None
        assert other.error is None
        assert bad.error == "deadline" if fault == "429" else bad.error
        assert not bad.text
        model.answer(questions(3))
        asked = [body["messages"][0]["content"][-1] for body in stub.asked]
        assert fault == "hang" or (asked.count("0"), asked.count("2")) == (1, 1)
        assert fault in ("hang", "429") or asked.count("1") == 6


def test_a_refused_request_is_not_repeated_and_others_go_on():
    with Stub(lambda body, number: "400" if body["messages"][0]["content"].endswith("1") else None) as stub:
        with endpoint(stub) as model:
            assert [reply.error for reply in model.answer(questions(3))] == [None, "status 400", None]
        assert len(stub.asked) == 3


def test_a_limit_of_requests_loses_none_however_often_it_is_met():
    """Of ten attempts nine come too early: more than there are retries."""
    with Stub(lambda body, number: "429" if number % 10 else None, retry_after="0.001") as stub:
        with endpoint(stub, retries=1, concurrency=4) as model:
            assert all(reply.text for reply in model.answer(questions(8)))
        assert len(stub.asked) == 71


@pytest.mark.parametrize("fault", ["401", "404"])
def test_an_endpoint_that_refuses_everything_ends_the_batch_at_once(fault):
    with Stub(lambda body, number: fault) as stub, endpoint(stub, concurrency=1) as model:
        with pytest.raises(EndpointDown, match=f"status {fault}") as down:
            model.answer(questions(20))
        assert len(stub.asked) == 1
        assert down.value.replies == [None] * 20


def test_the_circuit_breaks_and_closes_again(hasty, tmp_path):
    down = False
    with Stub(lambda body, number: "500" if down else None) as stub:
        model = endpoint(stub, concurrency=2, retries=1, give_up=3, cache=tmp_path / "c")
        model.answer(questions(4))
        down = True
        with pytest.raises(EndpointDown, match="none of the last 3 requests") as error:
            model.answer(questions(50))
        assert [reply is None for reply in error.value.replies[:4]] == [False] * 4
        assert len(stub.asked) < 4 + 2 * 3 + 4
        down = False
        assert not any(reply.error for reply in model.answer(questions(50)))
        model.close()


def test_nobody_listens(hasty):
    with Stub() as stub:
        pass
    with pytest.raises(EndpointDown, match="connection"):
        endpoint(stub, retries=1).answer(questions(9))
    with pytest.raises(EndpointDown, match="is it running"):
        endpoint(stub, retries=1, abilities=None).answer(questions(1))


def test_a_deadline_of_our_own_ends_all_attempts():
    """The package's timeout is for each read: a server that sends a byte now and then is never too late for it."""
    with Stub(lambda body, number: "hang") as stub, endpoint(stub, timeout=30, deadline=0.2) as model:
        start = time.monotonic()
        assert model.answer(questions(1))[0].error == "deadline"
        assert time.monotonic() - start < 5


def test_waits_are_those_asked_for_within_two_minutes():
    assert client.wait_before(1, {"retry-after": "7"}) == 7
    assert client.wait_before(1, {"retry-after-ms": "250"}) == 0.25
    assert client.wait_before(1, {"retry-after": "120"}) == 120
    assert client.wait_before(1, {"retry-after": formatdate(time.time() + 60)}) == pytest.approx(60, abs=2)
    for long in ("121", "inf", formatdate(time.time() + 600)):
        assert client.wait_before(1, {"retry-after": long}) is None
    for none in ("0", "-3", "nan", "soon", "", formatdate(time.time() - 60)):
        assert 0.375 <= client.wait_before(1, {"retry-after": none}) <= 0.5
    assert 0.75 <= client.wait_before(2, {}) <= 1
    assert 6 <= client.wait_before(50, {}) <= 8


def test_the_server_has_the_word_about_another_attempt():
    assert client.will_help(400, {"x-should-retry": "true"})
    assert not client.will_help(503, {"x-should-retry": "false"})
    assert [status for status in (400, 404, 408, 409, 422, 429, 500, 503) if client.will_help(status, {})] == [
        *(408, 409, 429, 500, 503)
    ]


def test_one_429_makes_everybody_wait():
    slowly = Stub(lambda body, number: "429" if number == 0 else None, retry_after="0.4")
    with slowly as stub, endpoint(stub, concurrency=1) as model:
        start = time.monotonic()
        model.answer(questions(2))
        assert time.monotonic() - start > 0.4


def test_attempts_a_minute_are_limited():
    with Stub() as stub, endpoint(stub, per_minute=60 * 50) as model:
        model.answer(questions(1))  # imports and connects
        start = time.monotonic()
        model.answer(questions(11)[1:])
        assert time.monotonic() - start > 0.17


@pytest.mark.parametrize("limit", [{"calls": 5}, {"tokens": 5 * 26 + 60}, {"money": 0.6}])
def test_a_budget_stops_before_the_call_that_would_go_over_it_and_a_larger_one_goes_on(limit, tmp_path):
    prices = {"price_in": 1000, "price_out": 10_000}  # .08 an answer, .18 set aside for the next
    with Stub() as stub:
        budget = Budget(**limit, **prices)
        model = endpoint(stub, budget=budget, cache=tmp_path / "c", concurrency=2)
        with pytest.raises(OverBudget, match="no room for the next call") as over:
            model.answer(questions(30, max_tokens=10))
        model.close()
        done = [reply for reply in over.value.replies if reply]
        spent = budget.spent
        assert len(done) == len(stub.asked) == spent.calls in range(1, 30)
        assert (spent.tokens_in, spent.tokens_out) == (20 * len(done), 6 * len(done))
        assert spent.calls == (budget.calls or spent.calls)
        assert spent.tokens_in + spent.tokens_out <= (budget.tokens or 9999)
        assert budget.cost == pytest.approx(0.08 * len(done))
        assert budget.cost <= (budget.money or 9999)
        with endpoint(stub, budget=Budget(spent=spent), cache=tmp_path / "c") as model:
            assert all(reply.text for reply in model.answer(questions(30, max_tokens=10)))
            assert model.budget.spent.calls == len(stub.asked) == 30


def test_a_budget_is_used_up_however_many_are_asked_at_a_time():
    """The first 16 set 15 times as much aside as they cost: those without room wait until that is known."""
    with Stub() as stub, endpoint(stub, budget=Budget(tokens=700), concurrency=16) as model:
        with pytest.raises(OverBudget):
            model.answer(questions(99, max_tokens=300))
        assert len(stub.asked) == 15, "of 26 tokens, and 300 + 20 for the next"


def test_calls_that_failed_count():
    """A connection that breaks off may have been charged for; a status has not."""
    budget = Budget()
    call = budget.reserve(100, 10)
    budget.settle(call, None, None)
    assert budget.spent == Spent(1, 100, 10)
    budget.settle(budget.reserve(100, 10), 0, 0)
    budget.settle(budget.reserve(100, 10), 30, 4)
    assert budget.spent == Spent(3, 130, 14)
    assert budget.reserve(1000, 1).tokens_in == 300, "as dense as the densest so far"


def test_a_prefix_that_the_server_repeats_is_no_part_of_the_answer():
    found = {"choices": [{"message": {"content": "My letter is A"}, "finish_reason": "stop"}]}
    asked = Request((("user", "?"), ("assistant", "My letter is")))
    assert client.reply_of(found, asked).text == " A"
    found["choices"][0]["message"]["content"] = " A"
    assert client.reply_of(found, asked).text == " A"


def test_tokens_that_are_written_alike_count_together():
    top = [{"token": "\ufffd", "logprob": -1.0}, {"token": "A", "logprob": -2.0}, {"token": "\ufffd", "logprob": -1.0}]
    choice = {"message": {"content": ""}, "finish_reason": "length", "logprobs": {"content": [{"top_logprobs": top}]}}
    (position,) = client.reply_of({"choices": [choice]}, Request((("user", "?"),), top_logprobs=3)).logprobs
    assert position == pytest.approx({"\ufffd": -0.3069, "A": -2.0}, abs=1e-4)


def test_log_probabilities_that_are_missing_are_no_answer():
    """llama.cpp leaves the whole list out where the answer was a stop string."""
    found = {"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}
    with pytest.raises(client.Unusable, match="log-probabilities"):
        client.reply_of(found, Request((("user", "?"),), top_logprobs=3))


@pytest.mark.parametrize(
    "body", [None, [], "text", {}, {"choices": [{}]}, {"choices": [{"message": {"content": "A"}}]}]
)
def test_broken_bodies_are_named_so(body):
    """The last one has no reason of its end: it may be cut."""
    with pytest.raises(client.Unusable, match="malformed"):
        client.reply_of(body, Request((("user", "?"),)))


def test_filtered_answers_are_errors_and_not_repeated():
    found = {"choices": [{"message": {"content": "no"}, "finish_reason": "content_filter"}]}
    assert client.reply_of(found, Request((("user", "?"),))).error == "filtered"
    found = {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]}
    assert client.reply_of(found, Request((("user", "?"),))).error == "filtered"


@pytest.mark.parametrize("fault", ["400", "401", "500", "drop", "hang", "wrong"])
def test_no_key_and_no_prompt_is_told(fault, hasty, tmp_path, caplog, capfd):
    """Not by errors, nor what hangs on them; logs at their finest, pickles, reprs and files but the cache's prompts."""
    caplog.set_level(logging.DEBUG)
    with Stub(lambda body, number: fault) as stub:
        model = endpoint(
            stub,
            api_key=SECRET,
            retries=1,
            give_up=2,
            cache=tmp_path / "c",
            concurrency=1,
            progress=True,
            timeout=patience(fault),
        )
        said = []
        try:
            said.append(repr([reply.error for reply in model.answer(questions(3))]))
        except EndpointDown as error:
            while error:
                said += [repr(error), str(vars(error).get("request")), repr(error.__cause__)]
                error = error.__context__
        assert f"Bearer {SECRET}" in stub.keys, "the server is told"
        kept = pickle.dumps(model)
        model.close()
        texts = [*said, repr(model), caplog.text, *capfd.readouterr(), repr(kept)]
        assert not [text for text in texts if SECRET in text or PERSONAL in text]
        assert not [file for file in tmp_path.iterdir() if SECRET.encode() in file.read_bytes()]


def test_the_server_is_quoted_where_that_is_asked_for():
    with Stub(lambda body, number: "400") as stub, endpoint(stub, quote=True) as model:
        assert PERSONAL in model.answer(questions(1))[0].error


def test_a_key_of_the_environment_is_not_sent_to_loopback_and_is_asked_for_elsewhere(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with Stub() as stub, endpoint(stub) as model:
        model.answer(questions(1))
        assert SECRET not in stub.keys[0]
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        Endpoint("m", "https://example.invalid/v1", abilities=WHOLE).answer(questions(1))


def test_proxies_are_not_asked_about_loopback(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with Stub() as stub, endpoint(stub) as model:
        assert model.answer(questions(1))[0].error is None


def test_an_endpoint_is_asked_from_within_an_event_loop_as_in_a_notebook():
    async def cell():
        with Stub() as stub, endpoint(stub) as model:
            return model.answer(questions(3))

    assert all(reply.text for reply in asyncio.run(cell()))


def test_a_fork_connects_anew(tmp_path):
    with Stub() as stub, endpoint(stub, cache=tmp_path / "c") as model:
        model.answer(questions(1))
        child = multiprocessing.get_context("fork").Process(target=model.answer, args=(questions(3),))
        child.start()
        child.join(20)
        assert child.exitcode == 0
        assert len(stub.asked) == 3
        assert all(reply.cached for reply in model.answer(questions(3)))


def test_what_goes_wrong_on_this_side_is_raised_as_it_is(tmp_path, monkeypatch):
    with Stub() as stub, endpoint(stub, cache=tmp_path / "c") as model:
        monkeypatch.setattr(model.store.cache, "put", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model.answer(questions(9))


def test_where_a_model_stands():
    places = {None: "api.openai.com/v1", "http://127.0.0.1:80/v1": "loopback", "http://localhost/v1/": "loopback"}
    places |= {"http://[::1]:9/": "loopback", "https://me:secret@host:8000/v1/": "host:8000/v1"}
    assert {url: client.place_of(url) for url in places} == places


def test_a_pickled_endpoint_answers_and_has_no_key(monkeypatch):
    with Stub() as stub:
        copy = pickle.loads(pickle.dumps(endpoint(stub, api_key=SECRET)))
        assert copy.answer(questions(1))[0].text
        assert SECRET not in stub.keys[0]
        copy.close()
        gc.collect()


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"model": 3}, TypeError, "model"),
        ({"base_url": "127.0.0.1:80"}, ValueError, "base_url is no address"),
        ({"concurrency": 0}, ValueError, "concurrency"),
        ({"timeout": 0}, ValueError, "timeout"),
        ({"deadline": None}, TypeError, "deadline"),
        ({"per_minute": 0}, ValueError, "per_minute"),
        ({"retries": -1}, ValueError, "retries"),
        ({"give_up": 0}, ValueError, "give_up"),
        ({"budget": 5}, TypeError, "budget"),
        ({"abilities": {}}, TypeError, "abilities"),
        ({"mode": "readonly"}, ValueError, "mode is 'readonly'"),
        ({"cache": 3}, TypeError, "cache"),
    ],
)
def test_nonsense_is_refused_by_name(settings, error, words):
    with pytest.raises(error, match=words):
        Endpoint(**{"model": "m", **settings})


def test_a_budget_of_money_needs_prices():
    with pytest.raises(ValueError, match="price_in"):
        Budget(money=1.0)


def test_what_is_no_request_is_refused():
    with Stub() as stub, endpoint(stub) as model, pytest.raises(TypeError, match="requests"):
        model.answer([{"messages": []}])


RUN = """
import sys
from ethogram.agents.llm import Abilities, Endpoint, Request
model = Endpoint("m", sys.argv[1], cache=sys.argv[2], abilities=Abilities(), concurrency=4)
for step in range(10):
    replies = model.answer([Request((("user", f"{step} {person}"),)) for person in range(20)])
    assert not any(reply.error for reply in replies)
print(hash(tuple(reply.text for reply in replies)))
"""


def test_a_run_that_is_killed_goes_on_without_asking_again_what_was_answered(tmp_path):
    """Only what was under way at the kill, four requests at most, is asked a second time."""
    with Stub(delay=0.002) as stub:
        for kill_at in (80, None):
            command = [sys.executable, "-c", RUN, stub.base_url, str(tmp_path / "c")]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as run:
                while kill_at is not None and len(stub.asked) < kill_at and run.poll() is None:
                    time.sleep(0.001)
                if kill_at is not None:
                    run.send_signal(signal.SIGKILL)
                run.communicate()
        assert run.returncode == 0
        asked = [body["messages"][0]["content"] for body in stub.asked]
        assert len(set(asked)) == 200
        assert len(asked) <= 200 + 4
