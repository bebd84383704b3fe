"""Fingerprints: what makes another run, however deep, and what does not."""

import enum
import os
import random
import subprocess
import sys
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from ethogram.simulator.checkpoints import fingerprint


class Plain:
    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Unpicklable(Plain):
    def __reduce_ex__(self, protocol):
        raise TypeError("it holds a connection")


class Kind(enum.Enum):
    A = 1
    B = 2


def linear(weight):
    module = torch.nn.Sequential(torch.nn.Linear(1, 1))
    module[0].weight.data.fill_(weight)
    module[0].bias.data.fill_(0)
    return module


def module(**names):
    made = ModuleType("mine")
    made.__dict__.update(names)
    return made


def defined(source, **names):
    """What a user's module that says this defines as ``it``."""
    space = {"__name__": "mine", "partial": partial, **names}
    exec(source, space)
    return space["it"]


def closed_over(value):
    return lambda x: x * value


def generator(draws):
    numbers = np.random.default_rng(0)
    numbers.random(draws)
    return numbers


CLASS = "class Base:\n    def f(self): return {}\nclass it(Base):\n    pass"
DIFFERENT = {
    "weights": lambda v: linear(v),
    "weights in an object": lambda v: Plain([{"net": linear(v)}]),
    "a nested plain object": lambda v: Plain(Plain(Plain(v))),
    "slots": lambda v: Plain(Slotted(v)),
    "what cannot be pickled": lambda v: Unpicklable(Plain(v)),
    "a tensor": lambda v: Plain(torch.tensor([v], dtype=torch.bfloat16)),
    "a sparse tensor": lambda v: Plain(torch.tensor([[0.0, v]]).to_sparse()),
    "numbers": lambda v: Plain(np.float32(v)),
    "text": lambda v: np.array(["a", "b" * v], dtype=object),
    "a generator of numbers": generator,
    "torch's generator": lambda v: Plain(torch.Generator().manual_seed(v)),
    "Python's generator": lambda v: Plain(random.Random(v)),
    "a deque": lambda v: Plain(deque([v])),
    "an ordered dict": lambda v: Plain(OrderedDict(a=v)),
    "a set": lambda v: Plain({"a", "b", str(v)}),
    "an enum": lambda v: Plain(Kind(v)),
    "a namespace": lambda v: SimpleNamespace(a=SimpleNamespace(b=v)),
    "what is closed over": closed_over,
    "what a partial holds": lambda v: partial(partial(closed_over, v), x=1),
    "a method's object": lambda v: Plain(v).__init__,
    "a cached function": lambda v: lru_cache(closed_over(v)),
    "a global": lambda v: defined("def it(): return (lambda: RATE)()", RATE=v),
    "a global's object": lambda v: defined("def it(): return RATES", RATES={"a": [Plain(v)]}),
    "a module's global": lambda v: defined("def it(): return model.sub.rate", model=module(sub=module(rate=v))),
    "a module's global, the module under another name": lambda v: defined(
        "def it(): same = model; return same.rate", model=module(rate=v)
    ),
    "a module's global by its name": lambda v: defined("def it(): return getattr(model, name)", model=module(rate=v)),
    "a module that a helper is given": lambda v: defined("def it(): return helper(model)", model=module(rate=[v])),
    "an object's module": lambda v: Plain(module(rate=v)),
    "a helper": lambda v: defined(f"def helper(): return {v}\ndef it(): return helper()"),
    "a default": lambda v: defined(f"def it(*, x={v}): return x"),
    "an edited class": lambda v: defined(CLASS.format(v)),
    "an object of an edited class": lambda v: Plain(defined(CLASS.format(v))()),
    "an edited dataclass": lambda v: Plain(
        dataclass(defined(f"class it:\n    a: int = 1\n    @property\n    def f(self): return {v}"))()
    ),
    "an edited static method": lambda v: defined(f"class it:\n    @staticmethod\n    def f(): return {v}"),
    "an edited nn.Module": lambda v: defined(
        f"class it(Module):\n    def forward(self, x): return x * {v}", Module=torch.nn.Module
    )(),
    "an edited method": lambda v: partial(defined(CLASS.format(v))().f),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_what_makes_another_run_makes_another_fingerprint(kind):
    make = DIFFERENT[kind]
    assert fingerprint(make(1)) == fingerprint(make(1))
    assert fingerprint(make(1)) != fingerprint(make(2))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_weights_of_a_scripted_module_make_another_run():
    net = torch.jit.script(linear(1))
    before = fingerprint(Plain(net))
    net.load_state_dict(linear(2).state_dict())
    assert fingerprint(Plain(net)) != before


REACHED = """
import sys
sys.path.insert(0, ".")
{}
def imports(): import mine; return mine.RATE
def from_it():
    from mine import RATE
    return RATE
print(*map(fingerprint, (imports, from_it)))
import mine
def alias(): same = mine; return same.RATE
print(*map(fingerprint, (imports, from_it, alias, [mine])))
"""


def test_an_edited_module_makes_another_run_however_it_is_reached(tmp_path):
    """A process each, which sees the file anew; that a function has not imported it yet makes no difference."""

    def printed(rate):
        (tmp_path / "mine.py").write_text(f"RATE = {rate}")
        script = REACHED.format("from ethogram.simulator.checkpoints import fingerprint")
        done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.split()

    one, other = printed(1), printed(2.5)
    assert one[:2] == one[2:4]
    assert all(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "source",
    [
        "def it(): import mine; return mine.RATE",
        "def it(): import mine.part as same; return same.RATE",
        "def it(): import mine.part; return mine.part.RATE",
        "def it(): from mine import RATE; return RATE",
        "def it(): from mine import part; return part.RATE",
        "def it(): from . import part; return part.RATE",
        "def it(): from .part import RATE; return RATE",
        "def it(): from . import RATE; return RATE",
        "class it:\n    def f(self): from mine.part import RATE; return RATE",
    ],
)
def test_a_module_changed_in_this_process_makes_another_run(tmp_path, monkeypatch, source):
    """Whoever imports it, and whether it was imported before."""
    (tmp_path / "mine").mkdir()
    for name in ("__init__", "part"):
        (tmp_path / "mine" / f"{name}.py").write_text("RATE, OTHER = [1], 1")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("mine", "mine.part"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    it = defined(source, __package__="mine")
    before = fingerprint(it)
    assert fingerprint(it) == before
    for name in {"mine", "mine.part"} & sys.modules.keys():
        sys.modules[name].RATE.append(2)
    assert fingerprint(it) != before


class Derived:
    def __init__(self):
        self.base = 2
        self.lock = threading.Lock()

    @cached_property
    def square(self):
        return self.base**2


def test_what_is_derived_or_a_memory_address_makes_no_difference():
    one, other = Derived(), Derived()
    assert one.square == 4
    assert fingerprint(one) == fingerprint(other)
    shared, equal = [1.5], [[1.5], [1.5]]
    assert fingerprint([shared, shared]) == fingerprint(equal)


def test_cycles_end():
    one, other = Plain(1), Plain(2)
    one.itself, other.itself = one, other
    assert fingerprint(one) != fingerprint(other)


def test_a_generator_whose_place_nobody_sees_is_refused():
    with pytest.raises(TypeError, match="is a generator: expected a function, or an object whose place can be seen"):
        fingerprint(Plain(i for i in range(3)))


class Cache:
    def __init__(self, known, rate=1):
        self.known, self.rate = known, rate

    def __fingerprint__(self):
        return self.rate


def test_an_object_may_say_itself_what_counts():
    assert fingerprint(Plain(Cache({}))) == fingerprint(Plain(Cache({1: 2})))
    assert fingerprint(Cache({})) != fingerprint(Cache({}, rate=2))


FRESH = """
import sys, numpy as np, torch
from ethogram.agents import Fixed
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Do, rollout
from ethogram.simulator.checkpoints import fingerprint
class Mine(Fixed):
    kinds = {"a", "b", "c", "d"}
    def act(self, observation, history, draws):
        return super().act(observation, history, draws) if str(draws) in {"x", "y", "z"} else np.zeros(1)
if sys.argv[1] == "late":
    rollout(CascadingSession(trap()), Fixed([0, 1]), rows=3, horizon=4, record="all")
print(fingerprint([CascadingSession(trap()), Mine(0), torch.nn.ReLU(), Do("click", lambda c: np.clip(c, 0, 1))]))
"""


def test_fresh_processes_agree_whatever_ran_before_and_however_they_hash():
    prints = {
        subprocess.run(
            [sys.executable, "-c", FRESH, when],
            env={**os.environ, "PYTHONHASHSEED": hashing},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for when, hashing in (("early", "1"), ("late", "2"))
    }
    assert len(prints) == 1


def test_an_empty_tensor_has_a_fingerprint_whatever_its_strides():
    """A layer without contacts has columns of stride 0, which torch cannot view as bytes."""
    empty = torch.empty_strided((0,), (0,), dtype=torch.int32)
    assert fingerprint(empty) == fingerprint(torch.empty(0, dtype=torch.int32)) != fingerprint(torch.empty(0))
