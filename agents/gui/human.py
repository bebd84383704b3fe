"""Human: any policy for symbolic screens, carried out by a hand that takes time, misses, and types key by key."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ethogram.envs.gui.apps import EMPTY
from ethogram.envs.gui.words import VOCABULARY
from ethogram.simulator import Draws, History, Policy, check_has, check_is

from .timing import HumanTiming

TAP, TYPE = 1, 7  # of the action schema
PAGE = (160, 210)  # pixels of the page on which the timing was measured, as which a screen counts
_LETTERS = torch.tensor([len(word) for word in VOCABULARY])


@dataclass(frozen=True)
class Human:
    """A policy's intentions with human pace and aim, after ``HumanTiming``; chance that is the policy's stays as it is.

    A tap, and a word that is typed into an element, go where the hand lands, in or beside the element's box, and within
    the screen: "point" is that place, "element" what stands there, 0 for nothing, which is a miss. Actions get one more
    part, "time_ms" (n,) float32: when the action was complete, in ms since the row's first screen. The pointer starts
    in the middle of the screen.

    What needs no place takes as long as a click where the pointer is; a wait's own duration is not added. A point that
    the policy chose itself is aimed at as the element that it lies in, or as a spot where it lies in none.

    misses: False for the what-if of a hand that never misses: what would have landed outside lands at the edge instead.

    Draws, of the policy's scope with ", human" behind it: "aim" (n, 2), "pace", "slip", "keys".
    """

    policy: Policy
    timing: HumanTiming = field(default_factory=HumanTiming)
    misses: bool = True

    def __post_init__(self) -> None:
        check_has("policy", self.policy, "a policy with act(observation, history, draws)", "act")
        check_is("timing", self.timing, HumanTiming, "HumanTiming, as fit_human_timing gives")
        check_is("misses", self.misses, bool, "True or False")

    def act(self, observation: dict[str, Tensor], history: History, draws: Draws) -> dict[str, Tensor]:
        """The action a row, as carried out, from the screen, (n, 8, …)."""
        meant = self.policy.act(observation, history, draws)
        timing, own = self.timing, draws.scoped(f"{draws.scope}, human")
        page = torch.tensor(PAGE, dtype=torch.float64, device=own.ids.device)
        points = (meant["type"] == TAP) | (meant["type"] == TYPE)
        middle, size = _target(observation, meant)
        middle, size = middle * page, size * page
        off = timing.spread(size) * torch.special.ndtri(own.uniform("aim", 2).double())
        landed = middle + (off if self.misses else off.clamp(-0.499 * size, 0.499 * size))
        at, before = _pointer(history, meant["point"])
        width = size.amin(1).clamp(min=4.133 * timing.aim)  # as wide as a spot seems that is hit in 96 of 100 times
        bits = ((landed - at * page).norm(dim=1) / width + 1).log2()
        first = history.num_steps == 0
        pace = timing.mean(bits.where(points, 0)) if not first else torch.full_like(bits, timing.first)
        took = pace * timing.luck(own, "pace")
        keys = _LETTERS.to(meant["text"].device)[meant["text"]]
        took = took + timing.typing(keys, own).where(meant["type"] == TYPE, 0)
        point = (landed / page).clamp(0, 1).to(meant["point"].dtype)
        point = point.where(points[:, None], meant["point"])
        hit, there = _at(observation, point)
        return {
            **meant,
            "point": point,
            "element": torch.where(points, (hit + 1) * there, meant["element"]),
            "time_ms": (before + took).to(torch.float32),
        }


def _at(observation: dict[str, Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) int64 the first place whose element has the point in its box, and (n,) bool whether there is one."""
    box, corner = observation["box"], point[:, None]
    inside = (box[..., :2] <= corner).all(2) & (corner <= box[..., 2:]).all(2) & (observation["kind"] != EMPTY)
    return inside.long().argmax(1), inside.any(1)


def _target(observation: dict[str, Tensor], meant: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(n, 2) float64 each, fractions of the screen: the middle and size of what is to be hit."""
    box, (hit, there) = observation["box"], _at(observation, meant["point"])
    element = torch.where(meant["element"] > 0, meant["element"] - 1, hit)
    found = (meant["element"] > 0) | there
    chosen = box[torch.arange(len(box), device=box.device), element].double()
    spot = meant["point"].double()
    middle = ((chosen[:, :2] + chosen[:, 2:]) / 2).where(found[:, None], spot)
    return middle, (chosen[:, 2:] - chosen[:, :2]) * found[:, None]


def _pointer(history: History, like: Tensor) -> tuple[Tensor, Tensor]:
    """Where the pointer is, (n, 2) float64, and the time, (n,) ms."""
    middle = torch.full_like(like, 0.5, dtype=torch.float64)
    if not history.num_steps:
        return middle, middle[:, 0] * 0
    did = history.action
    pointed = (did["type"] == TAP) | (did["type"] == TYPE)  # (n, T)
    last = pointed.shape[1] - 1 - pointed.flip(1).long().argmax(1)
    point = did["point"][torch.arange(len(last), device=last.device), last].double()
    return point.where(pointed.any(1)[:, None], middle), did["time_ms"][:, -1].double()
