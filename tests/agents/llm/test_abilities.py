"""What servers obey, refuse or drop in silence is found out by asking, and held against each request."""

import pytest
from llm_stub import EVERYTHING, SETTINGS, Stub

from ethogram.agents.llm import Abilities, Budget, Endpoint, EndpointDown, OverBudget, Request
from ethogram.agents.llm.abilities import body_of

ASK = (("user", "?"),)


def probed(**server):
    with Stub(**server) as stub, Endpoint("m", stub.base_url, retries=0) as model:
        return model.abilities


def test_a_server_that_obeys_everything_as_llama_cpp():
    with Stub(models={"data": [{"id": "m", "meta": {"n_ctx": 2048, "n_params": 5}}]}) as stub:
        model = Endpoint("m", stub.base_url)
        found = model.abilities
        model.close()
        assert len(stub.asked) < 20
    assert found == Abilities(top_logprobs=10, context=2048, fingerprint=found.fingerprint)
    assert len(found.fingerprint) == 32


@pytest.mark.parametrize("name", sorted({*SETTINGS, "seed", "n", "response_format", "logprobs"}))
def test_what_is_dropped_in_silence_is_found_out_loudly(name):
    with pytest.warns(UserWarning, match=f"takes {name} and ignores it in silence"):
        found = probed(obeys=EVERYTHING - {name})
    assert found.dropped == (name,)
    stated = {"response_format": found.schema, "logprobs": found.top_logprobs, "seed": found.seed, "n": found.n}
    assert not stated.get(name, name in found.sampling)


@pytest.mark.parametrize("name", sorted({*SETTINGS, "seed", "n", "response_format", "logprobs", "grammar"}))
def test_what_is_refused_is_not_used(name):
    found = probed(refuses={name})
    assert found.dropped == ()
    assert found.sampling == tuple(each for each in ("temperature", "top_k", "top_p", "min_p") if each != name)
    assert (found.schema, found.n, found.seed) == (name != "response_format", name != "n", name != "seed")
    assert found.top_logprobs == (0 if name == "logprobs" else 10)
    assert found.grammar == (None if name == "grammar" else "grammar")


def test_servers_of_other_kinds():
    assert probed(obeys=EVERYTHING - {"grammar"} | {"structured_outputs"}).grammar == "structured_outputs"  # vLLM
    assert probed(obeys=EVERYTHING - {"grammar"}).grammar is None
    newer = probed(obeys=EVERYTHING - {"max_tokens"} | {"max_completion_tokens"}, refuses={"max_tokens"})
    assert newer.token_field == "max_completion_tokens"
    assert probed(reported="drawn").reported == "drawn"
    assert probed(models={"data": [{"id": "m", "max_model_len": 4096}]}).context == 4096
    assert probed(models={"data": []}).context is None


def test_a_server_that_answers_to_a_name_that_it_does_not_list_is_found_out():
    with pytest.warns(UserWarning, match="takes model"):
        assert "model" in probed(models={"data": [{"id": "another"}]}).dropped


def test_a_server_that_stays_silent_about_a_limit():
    with pytest.warns(UserWarning, match="max_tokens"):
        assert "max_tokens" in probed(obeys=EVERYTHING - {"max_tokens"}).dropped


def test_a_name_that_there_is_not_is_said():
    with pytest.raises(EndpointDown, match="address and model"):
        probed(faults=lambda body, number: "404")
    with pytest.raises(ValueError, match="is that its name"):
        probed(faults=lambda body, number: "400")


@pytest.mark.parametrize("fault", ["500", "429", "drop", "truncated"])
def test_faults_are_not_taken_for_inability(fault, monkeypatch):
    """Every third attempt fails; abilities are as without, since they are kept for good."""
    monkeypatch.setattr("ethogram.agents.llm.client.wait_before", lambda *args: 0.0)
    with Stub(lambda body, number: fault if number % 3 == 0 else None) as stub, Endpoint("m", stub.base_url) as model:
        assert model.abilities == probed()


@pytest.mark.parametrize(
    ("request_", "abilities", "words"),
    [
        ({"temperature": 0.5}, {"sampling": ("top_p",)}, "temperature is 0.5"),
        ({"top_k": 5}, {"sampling": ()}, "top_k is 5"),
        ({"top_logprobs": 30}, {}, "top_logprobs is 30"),
        ({"top_logprobs": 1}, {"top_logprobs": 0}, "top_logprobs is 1"),
        ({"schema": {"type": "string"}}, {"schema": False}, "schema is given"),
        ({"grammar": "x"}, {"grammar": None}, "grammar is given"),
    ],
)
def test_what_an_endpoint_cannot_do_is_refused_before_anything_is_sent(request_, abilities, words):
    with Stub() as stub, Endpoint("m", stub.base_url, abilities=Abilities(**abilities)) as model:
        with pytest.raises(ValueError, match=words):
            model.answer([Request(ASK), Request(ASK, **request_)])
        assert not stub.asked


def test_bodies():
    body = body_of(
        Request(ASK, temperature=1), "m", Abilities(sampling=(), seed=False, token_field="max_completion_tokens")
    )
    assert body == {"model": "m", "messages": [{"role": "user", "content": "?"}], "max_completion_tokens": 64}
    body = body_of(Request(ASK, grammar="g"), "m", Abilities(grammar="structured_outputs"))
    assert body["structured_outputs"] == {"grammar": "g"}
    schema = {"type": "object"}
    assert body_of(Request(ASK, schema=schema), "m", Abilities())["response_format"]["json_schema"]["schema"] == schema


def test_a_budget_without_room_for_the_probe_says_that_nobody_was_asked():
    with Stub() as stub, Endpoint("m", stub.base_url, budget=Budget(calls=0)) as model:
        with pytest.raises(OverBudget) as over:
            model.answer([Request((("user", "Q"),))] * 2)
        assert over.value.replies == [None, None]
    with Endpoint("m", stub.base_url, retries=0) as model, pytest.raises(EndpointDown) as down:
        model.answer([Request((("user", "Q"),))])
    assert down.value.replies == [None]
