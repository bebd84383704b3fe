"""Talking: who hears whom against a plain loop over people, by the bit; notes; what is refused."""

import json
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pytest
import torch

from ethogram.envs.epidemics import Epidemic
from ethogram.simulator import Do, Draws, derived_ids, rollout
from ethogram.simulator.networks import Contacts, RandomMeetings, Timetable
from ethogram.simulator.populations import Talking

N = 50


def contacts(seed, edges=400):
    source, target = np.random.default_rng(seed).integers(0, N, (2, edges))
    keep = source != target
    return Contacts.from_edges(torch.tensor(source[keep]), torch.tensor(target[keep]), N, repeats="merge")


def talk(**changes):
    rng = np.random.default_rng(0)
    age, area = (torch.tensor(rng.integers(0, high, N)) for high in (95, 3))
    city = Epidemic({"community": contacts(1)}, age, area, initial=0.2)
    return Talking(**{"world": city, "contacts": contacts(2), "hears": 3, "length": 40, **changes})


def says(person, step, heard, notes, ill):
    """What a person says, notes and does: digests of all that they know, and sometimes nothing."""
    mark = crc32(f"{person} {step} {heard} {notes} {ill}".encode())
    return ("" if mark % 3 == 0 else f'm{mark:x} "{person}"'), f"n{mark % 1000} of {len(json.loads(heard))}", mark % 2


class Script:
    """Everybody says what ``says`` says."""

    def act(self, observation, history, draws):
        rows = zip(observation["heard"], observation["notes"], observation["ill"].tolist(), strict=True)
        every = [says(i, draws.step, *row) for i, row in enumerate(rows)]
        message, notes = (np.array([one[k] for one in every], dtype=object) for k in (0, 1))
        act = torch.tensor([[one[2], 1] for one in every], dtype=torch.int8)
        return {"act": act, "message": message, "notes": notes}


@dataclass
class Acting:
    """The actions of the reference, in the city alone."""

    actions: list

    def act(self, observation, history, draws):
        return self.actions[draws.step]


def by_plain_loops(world, seed, steps):
    """(heard, notes, messages) of each step, person by person; the city is that of a run with these actions."""
    heard, notes, actions, found = ["[]"] * N, [""] * N, [], []
    edges = list(zip(world.contacts.source.tolist(), world.contacts.target.tolist(), strict=True))
    for step in range(steps):
        city = rollout(
            world.world, Acting([*actions, torch.zeros(N, 2, dtype=torch.int8)]), rows=N, horizon=step + 1, seed=seed
        )
        ill = city.observation["ill"][:, step].tolist()
        every = [says(i, step, heard[i], notes[i], ill[i]) for i in range(N)]
        actions.append(torch.tensor([[one[2], 1] for one in every], dtype=torch.int8))
        notes, hears = [one[1] for one in every], []
        for i in range(N):
            lots = []
            for j in sorted(source for source, target in edges if target == i and every[source][0]):
                pair = derived_ids(torch.tensor([i]), torch.tensor([j]))
                lots.append((Draws(seed, pair, step, "world").uniform("hears").item(), j))
            some = sorted(j for _, j in sorted(lots)[: world.hears])
            hears.append(json.dumps([every[j][0] for j in some]))
        heard = hears
        found.append((list(heard), list(notes), [one[0] for one in every]))
    return found, city, torch.stack(actions, 1)


@pytest.mark.parametrize("seed", [0, 5])
def test_who_hears_whom_is_what_a_plain_loop_over_people_says(seed):
    world, steps = talk(), 6
    history = rollout(
        world, Script(), rows=N, horizon=steps, seed=seed, record=["observation", "action", "message", "infected"]
    )
    found, city, actions = by_plain_loops(world, seed, steps)
    for step, (heard, notes, messages) in enumerate(found):
        assert history.observation["heard"][:, step + 1].tolist() == heard
        assert history.observation["notes"][:, step + 1].tolist() == notes
        assert history.sites["message"][:, step].tolist() == messages
    assert torch.equal(history.action["act"], actions)
    assert torch.equal(history.observation["cases"], city.observation["cases"]), "the talk changes nothing of the city"
    most = max(len(json.loads(heard)) for heard in history.observation["heard"].reshape(-1))
    assert most == world.hears


def test_messages_can_be_silenced_and_put_into_mouths():
    silent = Do("message", lambda message: np.full(len(message), "", dtype=object), start=2)
    history = rollout(talk(), Script(), rows=N, horizon=4, interventions=[silent])
    heard = history.observation["heard"]
    assert (heard[:, 3:] == "[]").all()
    assert not (heard[:, 2] == "[]").all()
    told = rollout(
        talk(), Script(), rows=N, horizon=1, interventions=[Do("message", np.full(N, "stay in", dtype=object))]
    )
    assert set(told.observation["heard"][:, 1]) <= {json.dumps(["stay in"] * k) for k in range(4)}


def test_a_lot_decides_among_many_and_each_is_heard_as_often():
    """One listener, 10 who speak, 3 heard: shares of 2,000 steps within 4.5 sigma, which fail once in 14,000 seeds."""
    source = torch.arange(1, 11)
    star = Contacts.from_edges(source, torch.zeros_like(source), N)
    world, message = talk(contacts=star), np.array([f"{i}" for i in range(N)], dtype=object)
    counts = np.zeros(11)
    for step in range(2000):
        for text in json.loads(world._heard(message, Draws(3, torch.arange(N), step, "world"))[0]):
            counts[int(text)] += 1
    assert counts[0] == 0
    assert counts.sum() == 6000
    assert np.abs(counts[1:] / 2000 - 0.3).max() < 4.5 * (0.3 * 0.7 / 2000) ** 0.5


def test_wrong_worlds_contacts_and_texts_are_refused():
    with pytest.raises(ValueError, match="contacts are of 3 people: expected 50"):
        talk(contacts=Contacts.from_edges(torch.tensor([0]), torch.tensor([1]), 3))
    with pytest.raises(ValueError, match=r"shows \['heard', 'notes'\] already"):
        talk(world=talk())
    with pytest.raises(ValueError, match="hears is 0"):
        talk(hears=0)
    with pytest.raises(TypeError, match="stored Contacts, for who heard whom must be known"):
        rollout(talk(contacts=RandomMeetings(N, 4)), Script(), rows=N, horizon=1)
    rollout(talk(contacts=Timetable([contacts(3), contacts(4)])), Script(), rows=N, horizon=2)
    for text, message in (("x" * 41, "of 41 characters"), ("caf\u00e9", "of 4 characters"), (3, "a int")):
        with pytest.raises(ValueError, match=f"message of row 0 is {message}: expected text of 40 at most"):
            talk()._checked("message", np.array([text] + [""] * (N - 1), dtype=object))
