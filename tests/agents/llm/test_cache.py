"""Caches and cassettes: nothing twice, several processes, the same History offline; a miss names what differs."""

import gzip
import json
import multiprocessing
import os
import stat

import pytest
import torch
from gymnasium import spaces
from llm_stub import Stub

from ethogram.agents.llm import Abilities, Cache, Endpoint, Miss, Reply, Request
from ethogram.simulator import Transition, rollout

WHOLE = Abilities(fingerprint="f")
LETTERS = Reply("A", "length", ({"A": -0.5, "B": float("-inf")}, {"é\u2028": -1.0}), 7, 1)


def questions(numbers, **settings):
    return [Request((("system", "Decide."), ("user", f"Ill at {number}.")), **settings) for number in numbers]


def key(request):
    return request.key("m", "loopback", "f")


def test_answers_come_back_as_they_were(tmp_path):
    cache, request = Cache(tmp_path / "new" / "c.sqlite"), questions([1])[0]
    cache.put(key(request), request, LETTERS)
    assert cache.get([key(request), "00" * 32]) == {key(request): Reply(*list(vars(LETTERS).values())[:5], cached=True)}
    assert len(cache) == 1
    many = questions(range(1000))
    for each in many:
        cache.put(key(each), each, Reply(each.messages[1][1]))
    found = cache.get(map(key, many))
    assert [found[key(each)].text for each in many] == [each.messages[1][1] for each in many]


def test_the_file_is_its_owners(tmp_path):
    Cache(tmp_path / "c").put("00" * 32, questions([1])[0], LETTERS)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def _fill(path, first):
    cache = Cache(path)
    for request in questions(range(first, first + 300)):
        cache.put(key(request), request, Reply(str(first)))
        assert cache.get([key(request)])


def _fill_inherited(cache, first):
    for request in questions(range(first, first + 50)):
        cache.put(key(request), request, Reply(str(first)))


def test_processes_share_a_file(tmp_path):
    """Three that open it and one that inherits an open one, at the same time, some of the same requests."""
    cache, fork = Cache(tmp_path / "c"), multiprocessing.get_context("fork")
    others = [fork.Process(target=_fill, args=(tmp_path / "c", 100 * number)) for number in range(3)]
    others.append(fork.Process(target=_fill_inherited, args=(cache, 1000)))
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0] * 4
    assert len(cache) == 500 + 50
    assert cache._open().execute("PRAGMA integrity_check").fetchone() == ("ok",)


def ask(stub, numbers, **settings):
    """Texts by number of attempt: the stub ignores seeds, so that an answer asked anew is another one."""
    with Endpoint("m", stub.base_url, abilities=WHOLE, **settings) as model:
        return [reply.text for reply in model.answer(questions(numbers))]


def test_modes(tmp_path):
    cache, cassette = tmp_path / "c.sqlite", tmp_path / "run.jsonl"
    with Stub(obeys={"max_tokens"}) as stub:
        first = ask(stub, range(4), cache=cache)
        assert ask(stub, range(4), cache=cache) == first
        assert len(stub.asked) == 4
        assert ask(stub, range(4), cache=cache, mode="off") != first
        assert len(stub.asked) == 8
        with Endpoint("m", stub.base_url, abilities=WHOLE, cache=cache, mode="refresh") as model:
            fresh = [reply.text for reply in model.answer(questions(range(4)))]
            assert fresh != first
            assert [reply.text for reply in model.answer(questions(range(4)))] == fresh, "anew, but once"
        assert len(stub.asked) == 12
        recorded = ask(stub, range(6), cache=cache, cassette=cassette, mode="record")
        assert recorded[:4] == fresh, "what the cache knows is put on the cassette too"
        assert len(stub.asked) == 14
    assert ask(stub, range(6), cassette=cassette, mode="replay") == recorded, "with no server"
    assert ask(stub, range(6), cache=cache, mode="replay") == recorded
    with pytest.raises(Miss):
        ask(stub, range(7), cassette=cassette, mode="replay")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "record"}, "without a cassette"),
        ({"mode": "replay"}, "without a cassette or a cache"),
        ({"mode": "refresh"}, "without a cache"),
        ({"cassette": "run.jsonl"}, "expected 'record' or 'replay'"),
    ],
)
def test_modes_say_what_they_need(settings, words):
    with pytest.raises(ValueError, match=words):
        Endpoint("m", "http://127.0.0.1/v1", **settings)


def test_a_replay_of_no_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Endpoint("m", "http://127.0.0.1/v1", cache=tmp_path / "none", mode="replay")
    with pytest.raises(FileNotFoundError):
        Endpoint("m", "http://127.0.0.1/v1", cassette=tmp_path / "none", mode="replay")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            questions([4711], temperature=0.5)[0],
            r"differs in messages\[1\] from character 7 on, temperature \(0.5, kept: 1.0\)",
        ),
        (questions([3], schema={"type": "string"})[0], r"differs in schema;"),
        (Request((("user", "Ill at 3."),)), r"the number of messages \(1, kept: 2\)"),
        (questions([3], seed=9, max_tokens=1)[0], r"max_tokens \(1, kept: 64\), seed \(9, kept: 0\)"),
    ],
)
@pytest.mark.parametrize("kept", ["cache", "cassette"])
def test_a_miss_names_the_request_and_what_differs_from_the_nearest(tmp_path, asked, words, kept):
    path = tmp_path / "kept.jsonl"
    with Stub() as stub:
        ask(stub, range(4), **({"cache": path} if kept == "cache" else {"cassette": path, "mode": "record"}))
    with Endpoint("m", stub.base_url, abilities=WHOLE, mode="replay", **{kept: path}) as model:
        with pytest.raises(Miss, match=words) as miss:
            model.answer([asked])
        assert key(asked)[:16] in str(miss.value)
        assert "Ill" not in str(miss.value), "prompts are not told"
        model.answer(questions([2, 3]))
    other = Endpoint("other", stub.base_url, abilities=WHOLE, mode="replay", **{kept: path})
    with pytest.raises(Miss, match="nothing but the model"):
        other.answer(questions([3]))


def test_abilities_are_kept_and_replayed(tmp_path):
    with Stub(obeys={"max_tokens", "temperature", "n"}) as stub:
        settings = {"cache": tmp_path / "c", "cassette": tmp_path / "run.jsonl.gz", "mode": "record"}
        with Endpoint("m", stub.base_url, **settings) as model:
            with pytest.warns(UserWarning, match="seed"):
                found = model.abilities
            texts = [reply.text for reply in model.answer(questions(range(3)))]
        probed = len(stub.asked)
        with Endpoint("m", stub.base_url, cache=tmp_path / "c") as model:
            with pytest.warns(UserWarning, match="seed"):
                assert model.abilities == found
            model.answer(questions(range(3)))
        assert len(stub.asked) == probed
    there = Endpoint("m", stub.base_url, cassette=tmp_path / "run.jsonl.gz", mode="replay")
    with pytest.warns(UserWarning, match="seed"):
        assert [reply.text for reply in there.answer(questions(range(3)))] == texts
    other = Endpoint("other", stub.base_url, cassette=tmp_path / "run.jsonl.gz", mode="replay")
    with pytest.raises(LookupError, match=r"nothing is kept about .* what is kept is of \['loopback m'\]"):
        other.answer(questions(range(3)))


def test_another_model_behind_the_same_name_on_loopback_is_found_out(tmp_path):
    """A local server of this kind answers to any name: what is cached of one model is not the other's."""
    with Stub() as stub, Endpoint("m", stub.base_url, cache=tmp_path / "c") as model:
        model.answer(questions([1]))
        first = model.abilities.fingerprint
    other = {"data": [{"id": "m", "meta": {"n_params": 8, "n_ctx": 2048}}]}
    with Stub(models=other) as stub, Endpoint("m", stub.base_url, cache=tmp_path / "c") as model:
        assert not model.answer(questions([1]))[0].cached
        assert model.abilities.fingerprint != first


def test_cassettes_pack_and_are_the_same_bytes_for_the_same_run(tmp_path):
    with Stub() as stub:
        for name in ("a.jsonl.gz", "b.jsonl.gz", "c.jsonl"):
            ask(stub, range(30), cassette=tmp_path / name, mode="record", concurrency=1)
    packed = (tmp_path / "a.jsonl.gz").read_bytes()
    assert packed == (tmp_path / "b.jsonl.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "c.jsonl").read_bytes()
    assert len(packed) < 0.3 * (tmp_path / "c.jsonl").stat().st_size
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [set(line) for line in lines] == [{"key", "request", "reply"}] * 30
    assert stub.base_url.split(":")[-1] not in (tmp_path / "c.jsonl").read_text(), "no address"


@pytest.mark.parametrize("content", [b"no json\n", b'{"key": 1}\n', b"\x1f\x8bnonsense"])
def test_what_is_no_cassette_is_named(tmp_path, content):
    for name in ("run.jsonl", "run.jsonl.gz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="cassette"):
            Endpoint("m", "http://127.0.0.1/v1", cassette=tmp_path / name, mode="replay")


def test_what_is_no_cache_is_named(tmp_path):
    (tmp_path / "c").write_text("not a database, but long enough to be looked at as if it were one " * 20)
    with pytest.raises(ValueError, match="which SQLite cannot open"):
        Cache(tmp_path / "c")


class Counting:
    """A world of counting: each row sees how many letters it was told."""

    observation_space, action_space = spaces.Discrete(100), spaces.Discrete(20)

    def reset(self, draws, site):
        state = torch.zeros(len(draws.ids), dtype=torch.int64)
        return state, state

    def step(self, state, action, draws, site):
        state = site("told", state + action)
        return Transition(state, state, action.float(), torch.zeros(len(state), dtype=torch.bool))


class Asking:
    """A policy that asks what to do."""

    def __init__(self, model):
        self.model = model

    def act(self, observation, history, draws):
        replies = self.model.answer(questions(observation.tolist(), seed=draws.step))
        return torch.tensor([int(reply.text, 16) % 5 for reply in replies])


def test_a_run_repeats_offline_to_the_same_history(tmp_path):
    """Even where the server answers otherwise each time: within a run, and in its replay, an answer stays."""

    def run(**settings):
        with Endpoint("m", stub.base_url, abilities=WHOLE, cassette=tmp_path / "run.jsonl.gz", **settings) as model:
            return rollout(Counting(), Asking(model), rows=6, horizon=4, seed=1, record=["told"])

    with Stub(obeys={"max_tokens"}) as stub:
        there = run(mode="record")
    here = run(mode="replay")
    assert there.action.unique().numel() > 2
    assert torch.equal(there.action, here.action)
    assert torch.equal(there.sites["told"], here.sites["told"])


def test_the_place_of_a_cache_is_made_and_named_if_it_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Cache(tmp_path / "file" / "c")
    assert os.path.exists(Cache(tmp_path / "a" / "b" / "c").path)


def test_recording_overwrites_nothing_but_a_cassette(tmp_path):
    """The two paths are swapped easily, and a cache was paid for."""
    with Stub() as stub:
        told = ask(stub, range(2), cache=tmp_path / "answers.sqlite")
        for path in (tmp_path / "answers.sqlite", tmp_path / "notes.gz"):
            (tmp_path / "notes.gz").write_text("notes")
            before = path.read_bytes()
            with pytest.raises(ValueError, match="recording would overwrite"):
                Endpoint("m", stub.base_url, cassette=path, mode="record")
            assert path.read_bytes() == before
        for name in ("run.jsonl", "run.jsonl.gz"):
            for _ in range(2):
                assert ask(stub, range(2), cassette=tmp_path / name, mode="record") == told


@pytest.mark.parametrize("name", ["cache", "cassette"])
def test_a_folder_is_no_file_of_answers(tmp_path, name):
    with pytest.raises(IsADirectoryError, match=rf"{name} is .*, a folder"):
        Endpoint("m", "http://127.0.0.1/v1", mode="record" if name == "cassette" else "read-write", **{name: tmp_path})
