"""The stages of HAR: a warm-up in which thoughts seldom look back, and two rounds of practice on one's own errors."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ethogram.simulator import Draws, check_is, check_number, checked_int, checked_seed

from .. import gui_learning
from ..gui_learning import (
    Episodes,
    GuiPolicy,
    Prompts,
    asked,
    parsed,
    sentence,
    success,
    to_summarise,
    written,
)
from ..learning import GRPO, Measures, Training, masked_mean, rows_of, train
from .guidance import Guide, Judge, error_of, mentions, thoughts
from .practice import GAMMA, Practice, Worth, action_reward, errors, grounding, inference, reflection, stated

symbols = gui_learning.symbols
AWARE = 0.15  # share of the warm-up's thoughts that look back


class WarmUp(nn.Module):
    """Cross-entropy of what a teacher writes, at steps of four tasks: a ``Trainee``.

    Half of a batch are next actions with the teacher's thoughts, of which a share ``aware`` looks back; a quarter are
    elements to locate, an eighth sentences on actions, an eighth reflections on an action of another step.

    blind: the share of the thoughts that do not look back whose teacher does not know the past either, and acts as at
    any step with that goal and screen. The paper keeps right actions only, as 0 does; but then whether an action is
    right has nothing to do with what was thought.
    """

    def __init__(
        self,
        policy: GuiPolicy,
        episodes: Episodes,
        *,
        aware: float = AWARE,
        blind: float = 0.0,
        batch: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_is("policy", policy, GuiPolicy, "a GuiPolicy")
        check_is("episodes", episodes, Episodes, "Episodes, as episodes_of(history) makes them")
        check_reads_sentences(policy)
        for name, share in {"aware": aware, "blind": blind}.items():
            check_number(name, share, high=1)
        self.policy = policy
        self.batch, self.seed = checked_int("batch", batch, 8), checked_seed(seed)
        draws = Draws(self.seed, torch.arange(len(episodes.row)), scope="teacher")
        thought = thoughts(episodes, aware, draws)
        places = grounding(episodes)
        truth = episodes.truth
        did = (episodes.seen, truth["type"], truth["point"], truth["text"])
        self.lessons: list[tuple[int, Prompts, Tensor]] = [
            (2, asked(symbols.ANSWER, episodes.seen, episodes.sentences), _shown(episodes, aware, blind, draws)),
            (4, places.prompts, written(places.truth)),
            (8, to_summarise(*did), _ended(sentence(*did))),
            (8, *_reflected(episodes, thought, draws)),
        ]

    def losses(self, update: int) -> Iterator[tuple[Tensor, Measures]]:
        """One loss, of a batch of all tasks."""
        found, there = [], []
        for share, prompts, answer in self.lessons:
            rows = rows_of(update, self.batch // share, len(answer), self.seed)
            found.append(self.policy.log_probs_of(prompts.rows(rows), answer[rows]).flatten())
            there.append((answer[rows] > 0).flatten())
        yield -masked_mean(torch.cat(found)[None], torch.cat(there)[None]), {}


def check_reads_sentences(policy: GuiPolicy) -> None:
    """ValueError for a policy that would act on past screens, having learnt from sentences."""
    if policy.past == "screens":
        raise ValueError(
            "policy has past='screens', and HAR's past are sentences: expected GuiPolicy(past='sentences')"
        )


def _ended(said: Tensor) -> Tensor:
    """(m, 5) sentences of (m, 4) as they are written: what is not there is the end."""
    return torch.nn.functional.pad(torch.where(said == 0, symbols.END, said), (0, 1), value=symbols.END)


def _shown(episodes: Episodes, aware: float, blind: float, draws: Draws) -> Tensor:
    """(m, LENGTH) what the teacher thinks and does at each step; without looking back, it may do what is wrong."""
    looks_back = thoughts(episodes, aware, draws)[:, 0] >= symbols.FIRST_STEP
    guesses = (draws.uniform("blind") < blind) & ~looks_back
    group = alike(episodes)
    size = group.bincount()
    place = (size.cumsum(0) - size)[group] + (draws.uniform("alike") * size[group]).long()
    row = torch.where(guesses, group.argsort(stable=True)[place], torch.arange(len(group)))
    shown = episodes._replace(truth={name: column[row] for name, column in episodes.truth.items()})
    return written(shown.truth, thoughts(shown, aware, draws))


def alike(episodes: Episodes) -> Tensor:
    """(m,) int64 which steps have the same goal and screen, so that only the past can tell them apart: their number."""
    looks = [column.reshape(len(episodes.row), -1).double() for column in episodes.seen.values()]
    number: Tensor = torch.unique(torch.cat(looks, 1), dim=0, return_inverse=True)[1]
    return number


def needs_memory(episodes: Episodes) -> Tensor:
    """(m,) bool, steps with a past where goal and screen do not tell what is right: at others it is another action."""
    screens = alike(episodes)
    size = screens.bincount()
    first = screens.argsort(stable=True)[(size.cumsum(0) - size)[screens]]
    parts = [(right != right[first]).reshape(len(screens), -1).any(1) for right in episodes.truth.values()]
    differs = torch.zeros(len(screens)).scatter_reduce(0, screens, torch.stack(parts).any(0).float(), "amax")
    return (differs[screens] > 0) & (episodes.sentences[..., 0] > 0).any(1)


def _reflected(episodes: Episodes, thought: Tensor, draws: Draws) -> tuple[Prompts, Tensor]:
    """Prompts and answers of reflections, at steps where the action of a step drawn at random is wrong."""
    other = (draws.uniform("wrong") * len(episodes.row)).long()
    answer = written({name: column[other] for name, column in episodes.truth.items()})
    wrong = error_of(parsed(answer), episodes) > 0
    there, answer = episodes.rows(wrong.nonzero()[:, 0]), answer[wrong]
    told = torch.cat([stated(parsed(answer), there), written(there.truth, thought[wrong])], 1)
    order = (told == 0).to(torch.int8).argsort(dim=1, stable=True)  # zeros go behind
    return reflection(there, answer).prompts, told.gather(1, order)


class Course(NamedTuple):
    """The course of a policy through both rounds."""

    errors: int  # steps that it did wrong after the warm-up
    first: Training  # reflection
    second: Training  # the inference format, mixed with grounding


def collected(policy: GuiPolicy, episodes: Episodes, seed: int = 0) -> tuple[Episodes, Tensor]:
    """The steps at which a policy errs, answering once at temperature 0.7, and its wrong answers, (k, LENGTH)."""
    rows, answer = errors(policy, episodes, Draws(seed, torch.arange(len(episodes.row)), scope="errors"))
    if not len(rows):
        raise ValueError("the policy makes no error at these steps: expected some to learn from; take harder tasks")
    return episodes.rows(rows), answer


def har(
    policy: GuiPolicy,
    episodes: Episodes,
    updates: tuple[int, int],
    *,
    rate: float = 1e-4,
    prompts: int = 16,
    group: int = 8,
    gamma: float = GAMMA,
    judge: Judge = mentions,
    worth: Worth = action_reward,
    hints: bool | Guide = True,
    located: bool = True,
    forced: bool = False,
    kl: float = 0.01,
    seed: int = 0,
    progress: bool = True,
) -> Course:
    """Learning from failure: a warmed-up policy's errors, reflected on (round 1) and tried again (round 2).

    It changes the policy. updates: of each round; 0 leaves it out. gamma: the weight of the memory reward, in both
    rounds; whether the paper has it in the second is not known. judge: who says that a thought holds what was done,
    such as ``AskedJudge``; worth: of actions, as in ``Practice``. hints: guidelines in round 1, scripted or by a
    ``Guide`` such as ``AskedGuide``. located: half of round 2 are elements to locate, so that pointing is not
    forgotten; the ratio is inferred from the released samples. forced: round 2 is told to look back and has to, in
    form (the paper's GRPO*), as measures of it are then to be told.
    """
    check_is("policy", policy, GuiPolicy, "a GuiPolicy")
    check_is("episodes", episodes, Episodes, "Episodes, as episodes_of(history) makes them")
    check_reads_sentences(policy)
    checked_int("prompts", prompts, 2 if located else 1)  # of one, none would be to locate an element
    for count in updates:
        checked_int("updates", count, 0)
    if forced and located:
        raise ValueError("forced and located are both True: expected one at most, since their prompts differ in form")
    wrong, answer = collected(policy, episodes, seed)
    again = (inference(wrong, forced=forced), *((grounding(episodes),) if located else ()))
    rounds = []
    for count, exercises in zip(updates, ((reflection(wrong, answer, hints),), again), strict=True):
        learner = GRPO(policy, Practice(exercises, gamma, judge, worth), prompts=prompts, group=group, kl=kl, seed=seed)
        rounds.append(train(learner, count, rate=rate, progress=progress) if count else Training({}))
    return Course(len(answer), *rounds)


def _answers(policy: GuiPolicy, episodes: Episodes, temperature: float = 0, forced: bool = False) -> Tensor:
    prompts = inference(episodes, forced=forced).prompts
    draws = Draws(0, torch.arange(len(episodes.row)))
    return policy.generate(prompts, draws, temperature=temperature, drop_at=policy.drop_at, drop=policy.drop)


def succeeds(policy: GuiPolicy, episodes: Episodes, forced: bool = False) -> Tensor:
    """(m,) float32, 1 where the likeliest answer is right; the past is told truly. forced: to look back is demanded."""
    return success(parsed(_answers(policy, episodes, forced=forced)), episodes.truth).float()


def located(policy: GuiPolicy, episodes: Episodes) -> Tensor:
    """(k,) float32, 1 where the element that a description names is pointed at; of the steps that tap one."""
    asking = grounding(episodes)
    draws = Draws(0, torch.arange(len(asking.sentences)))
    answer = policy.generate(asking.prompts, draws, temperature=0, drop_at=policy.drop_at, drop=policy.drop)
    return success(parsed(answer), asking.truth).float()


def awareness(policy: GuiPolicy, episodes: Episodes, forced: bool = False) -> Tensor:
    """(k,) float32, 1 where an answer's thought says something true of the past; of the steps that have one.

    Answers are drawn at temperature 1: the likeliest thought would hide a habit of one in eight. forced: as in
    ``succeeds``.
    """
    past = episodes.rows((episodes.sentences[..., 1:] > 0).any(-1).any(1).nonzero()[:, 0])
    return mentions(_answers(policy, past, 1.0, forced), past.sentences).float()


def moved_by_history(policy: GuiPolicy, episodes: Episodes, forced: bool = False) -> Tensor:
    """(k,) float32, 1 where another episode's past, at a step of the same number, makes another action of it.

    Of steps with a past. The action counts as another if its type, its word, its direction or its cell differs.
    forced: as in ``succeeds``.
    """
    past = episodes.rows((episodes.sentences[..., 0] > 0).any(1).nonzero()[:, 0])
    order = past.step.argsort(stable=True)
    same = past.step[order] == past.step[order].roll(1)
    swapped = past.sentences.clone()
    swapped[order[same]] = past.sentences[order.roll(1)[same]]
    parts = (past, past._replace(sentences=swapped))
    first, then = (parsed(_answers(policy, part, forced=forced)) for part in parts)
    other = (first.type != then.type) | (first.text != then.text) | (first.direction != then.direction)
    changed = other | (first.at != then.at).any(1)
    return changed[(swapped != past.sentences).flatten(1).any(1)].float()
