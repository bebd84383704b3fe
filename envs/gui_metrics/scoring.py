"""A file of predictions scored by every metric in one call: a table and a plot, with baselines and intervals."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ethogram.simulator import check_callable, check_is, checked_int, checked_seed

from ..gui import GuiAction
from ..gui_codecs import ParseError
from .baselines import Predictions, chance, random_taps, reference, wrong_neighbour
from .match import RULES, Rule
from .mind2web import MIND2WEB_RULES
from .recorded import RecordedEpisode

if TYPE_CHECKING:
    import pandas

METRICS: Mapping[str, Rule] = {**RULES, **MIND2WEB_RULES}
_NOTHING = GuiAction("noop")  # stands for a prediction that is missing, or no action: wrong by every rule


class Interval(NamedTuple):
    """A number with its 95 % bootstrap interval over episodes; NaN where there is one episode only."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """One metric's view of all predictions. Shares are 0 to 1.

    step: the mean over the steps that count. success: episodes with every counted step right. progress: the share of an
    episode's steps before the first wrong one, on average. type: steps of the right type, of all with a reference.
    grounding: of these the ones with the right point, where the metric asks. by_episode, by_group: means of episodes'
    and of groups' means. chance, random_taps, wrong_neighbour: the step score of these baselines. counted, left_out:
    numbers of steps.
    """

    metric: str
    step: Interval
    success: Interval
    progress: Interval
    type: float
    grounding: float
    by_episode: float
    by_group: float
    chance: float
    random_taps: float
    wrong_neighbour: float
    counted: int
    left_out: Mapping[str, int]


class _Judged(NamedTuple):
    """A metric's verdicts on steps in order, (S,) each, and the episode of each."""

    episode: np.ndarray[Any, Any]
    step: np.ndarray[Any, Any]
    type: float  # share of the right type, of all steps with a reference
    grounding: np.ndarray[Any, Any]  # NaN where it was not asked
    left_out: Mapping[str, int]


def _judge(rule: Rule, recording: Sequence[RecordedEpisode], predictions: Predictions, pointless: bool) -> _Judged:
    """pointless: the rule can do without a reference."""
    rows, types, left_out = [], list[bool](), Counter[str]()
    for number, (episode, predicted) in enumerate(zip(recording, predictions, strict=True)):
        for step, action in zip(episode.steps, predicted, strict=True):
            if step.reference is None and not pointless:
                left_out["without a reference"] += 1
                continue
            verdict = rule(step, action or _NOTHING)
            types.append(verdict.type)
            if not verdict.counted:
                left_out["of a type that the metric does not count"] += 1
                continue
            asked = math.nan if verdict.grounding is None or not verdict.type else float(verdict.grounding)
            rows.append((number, float(verdict.step), asked))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return _Judged(columns[0].astype(np.int64), columns[1], _mean(np.array(types)), columns[2], dict(left_out))


def _by_episode(judged: _Judged, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Sums of step scores, numbers of steps, and steps before the first miss, (E,) each."""
    sums = np.bincount(judged.episode, judged.step, count)
    steps = np.bincount(judged.episode, minlength=count)
    reached = np.zeros(count)
    missed: set[int] = set()
    for episode, right in zip(judged.episode.tolist(), judged.step.tolist(), strict=True):
        if right < 1:
            missed.add(episode)
        reached[episode] += episode not in missed
    return sums, steps, reached


def _interval(top: np.ndarray[Any, Any], bottom: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> Interval:
    """A ratio of sums over episodes, with weights (B, E): how often each is in a resample."""
    if bottom.sum() == 0:
        return Interval(math.nan, math.nan, math.nan)
    value = float(top.sum() / bottom.sum())
    if len(top) < 2:
        return Interval(value, math.nan, math.nan)
    with np.errstate(invalid="ignore"):
        low, high = np.nanquantile((weights @ top) / (weights @ bottom), (0.025, 0.975)).tolist()
    return Interval(value, low, high)


def _mean(values: np.ndarray[Any, Any]) -> float:
    values = values[~np.isnan(values.astype(np.float64))]
    return float(values.mean()) if len(values) else math.nan


def _scored(
    metric: str,
    recording: Sequence[RecordedEpisode],
    predictions: Predictions,
    baselines: list[Predictions],
    weights: Any,
) -> Score:
    rule, pointless = METRICS[metric], metric in MIND2WEB_RULES
    judged = _judge(rule, recording, predictions, pointless)
    sums, steps, reached = _by_episode(judged, len(recording))
    has = steps > 0
    share = np.where(has, sums / np.maximum(steps, 1), np.nan)
    groups = sorted({episode.group for episode in recording} - {""})
    by_group = [_mean(share[[episode.group == group for episode in recording]]) for group in groups]
    others = [_mean(_judge(rule, recording, other, pointless).step) for other in baselines]
    return Score(
        metric,
        step=_interval(sums, steps, weights),
        success=_interval((has & (reached == steps)).astype(float), has.astype(float), weights),
        progress=_interval(np.where(has, reached / np.maximum(steps, 1), 0.0), has.astype(float), weights),
        type=judged.type,
        grounding=_mean(judged.grounding),
        by_episode=_mean(share),
        by_group=_mean(np.array(by_group)),
        chance=others[0],
        random_taps=others[1],
        wrong_neighbour=others[2],
        counted=int(steps.sum()),
        left_out=judged.left_out,
    )


@dataclass(frozen=True)
class Scores:
    """The scores by metric of one set of predictions; printing it gives the table.

    missing: steps without a prediction. unparsed: what was said of predictions that are no action. Both count as wrong.
    """

    rows: tuple[Score, ...]
    episodes: int
    missing: int
    unparsed: tuple[str, ...]

    def __getitem__(self, metric: str) -> Score:
        """The score by one metric. Raises LookupError that lists those there are."""
        found = next((row for row in self.rows if row.metric == metric), None)
        if found is None:
            raise LookupError(f"no metric {metric!r}: scored {[row.metric for row in self.rows]}")
        return found

    def table(self) -> "pandas.DataFrame":
        """One row a metric, the fields of ``Score``; of intervals also _low and _high."""
        import pandas as pd

        rows = []
        for row in self.rows:
            cells: dict[str, Any] = {}
            for field in fields(row):
                value = getattr(row, field.name)
                cells[field.name] = value.value if isinstance(value, Interval) else value
                if isinstance(value, Interval):
                    cells |= {f"{field.name}_low": value.low, f"{field.name}_high": value.high}
            rows.append(cells | {"left_out": sum(row.left_out.values())})
        return pd.DataFrame(rows).set_index("metric")

    def __str__(self) -> str:
        head = ("step, 95 %", "success, 95 %", "type", "ground.", "chance", "taps", "neighbour", "steps", "left out")
        lines = [f"{'metric':<20}{head[0]:>22}{head[1]:>22}" + "".join(f"{name:>10}" for name in head[2:])]
        for row in self.rows:
            ranges = "".join(
                f"{_percent(i.value)} ({_percent(i.low)} to {_percent(i.high)})".rjust(22)
                for i in (row.step, row.success)
            )
            shares = (row.type, row.grounding, row.chance, row.random_taps, row.wrong_neighbour)
            counts = f"{row.counted:>10,}{sum(row.left_out.values()):>10,}"
            lines.append(f"{row.metric:<20}{ranges}" + "".join(_percent(share).rjust(10) for share in shares) + counts)
        lacking = f"{self.missing:,} steps without a prediction, {len(self.unparsed):,} with one that is no action"
        return "\n".join([*lines, f"{self.episodes:,} episodes; {lacking}", *self.unparsed[:3]])

    def plot(self, path: str | Path) -> Path:
        """Write the step scores beside their baselines as a PNG; returns the path."""
        from ethogram.simulator import report

        plots = report.plots
        ax = plots.axes(
            "One set of predictions, by each metric", "", "steps right (share)", size=(1.2 * len(self.rows) + 2, 4.2)
        )
        zeros = [0.0] * len(self.rows)
        half = [np.nan_to_num((row.step.high - row.step.low) / 2) for row in self.rows]
        bars = {"predictions (95 % interval)": ([row.step.value for row in self.rows], half)}
        for name in ("wrong_neighbour", "random_taps", "chance"):
            bars[name.replace("_", " ")] = ([getattr(row, name) for row in self.rows], zeros)
        plots.bars(ax, [row.metric.replace("/", "\n") for row in self.rows], bars)
        return plots.save(ax, path)


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


Decode = Callable[[Any], GuiAction]


def score(
    predictions: str | Path | Iterable[Mapping[str, Any]] | Predictions,
    recording: Sequence[RecordedEpisode],
    metrics: Sequence[str] | None = None,
    *,
    decode: Decode = GuiAction.from_json,
    resamples: int = 1000,
    seed: int = 0,
) -> Scores:
    """Predictions by every metric, beside what the same metric gives to chance, random taps and the wrong neighbour.

    predictions: a JSON Lines file, or objects, of ``{"episode_id": …, "step": 0, "action": …}``, steps from 0; or the
        actions themselves, [episode][step], as the baselines give them.
    recording: the episodes of what a reader of ``gui_logs`` gives, or of your own.
    metrics: names of METRICS; None: "match/…" where every step has a reference, else "mind2web/…" as well.
    decode: how "action" is read: as ``GuiAction.as_json`` writes it, or ``decode`` of a codec for text of a model. What
        it refuses with ParseError or ValueError is wrong by every metric, and told.
    resamples, seed: of the bootstrap, which draws whole episodes, since the steps of one are not independent.

    Raises ValueError, with the line, for a file that is no JSON Lines, a step that was not recorded or comes twice.
    """
    check_callable("decode", decode, "a function from an action as it was written to a GuiAction")
    resamples, seed = checked_int("resamples", resamples, 1), checked_seed(seed)
    check_is("recording", recording, list | tuple, "a list of RecordedEpisode, such as load_android_control().episodes")  # type: ignore[arg-type]
    if not recording:
        raise ValueError("the recording is empty: expected one RecordedEpisode or more")
    for episode in recording:
        check_is("one of the recording", episode, RecordedEpisode, "a RecordedEpisode")
    if metrics is None:
        whole = all(step.reference is not None for episode in recording for step in episode.steps)
        metrics = list(RULES if whole else METRICS)
    if unknown := [name for name in metrics if name not in METRICS]:
        raise LookupError(f"no metric named {unknown}: there are {list(METRICS)}")
    unparsed: list[str] = []
    given: Any = predictions
    if isinstance(given, list) and given and isinstance(given[0], list):
        _check_shape(given, recording)
        read = given
    else:
        check_is("predictions", given, (Path, Iterable), "a path, or objects with episode_id, step and action")
        lines = _lines(given) if isinstance(given, str | Path) else enumerate(given, 1)
        read, unparsed = _aligned(lines, recording, decode)
    weights = np.random.default_rng(seed).multinomial(len(recording), [1 / len(recording)] * len(recording), resamples)
    baselines = [chance(recording, seed), random_taps(recording, seed), wrong_neighbour(recording)]
    rows = tuple(_scored(name, recording, read, baselines, weights) for name in metrics)
    missing = sum(action is None for episode in read for action in episode) - len(unparsed)
    return Scores(rows, len(recording), missing, tuple(unparsed))


def _check_shape(predictions: Predictions, recording: Sequence[RecordedEpisode]) -> None:
    shapes = [[len(episode) for episode in predictions], [len(episode.steps) for episode in recording]]
    if shapes[0] != shapes[1]:
        at = next((i for i, (a, b) in enumerate(zip(*shapes, strict=False)) if a != b), min(map(len, shapes)))
        raise ValueError(f"the predictions do not fit the recording from episode {at} on: expected one for every step")


def _lines(path: str | Path) -> Iterable[tuple[int, Any]]:
    with Path(path).open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except json.JSONDecodeError as error:
                    raise ValueError(f"line {number} of {path} is no JSON: {error}") from None


def _aligned(
    lines: Iterable[tuple[int, Any]], recording: Sequence[RecordedEpisode], decode: Decode
) -> tuple[Predictions, list[str]]:
    places = {episode.id: i for i, episode in enumerate(recording)}
    read: Predictions = [[None] * len(episode.steps) for episode in recording]
    seen, unparsed = set[tuple[str, int]](), []
    for line, record in lines:
        keys = ("episode_id", "step", "action")
        if not isinstance(record, Mapping) or any(key not in record for key in keys):
            raise ValueError(f"line {line} is {record!r:.80}: expected an object with {', '.join(keys)}")
        name, step = str(record["episode_id"]), record["step"]
        if name not in places or type(step) is not int or not 0 <= step < len(read[places[name]]):
            raise ValueError(f"line {line}: step {step!r} of episode {name!r} was not recorded; steps count from 0")
        if (name, step) in seen:
            raise ValueError(f"line {line}: step {step} of episode {name!r} comes twice: expected one prediction")
        seen.add((name, step))
        try:
            read[places[name]][step] = decode(record["action"])
        except (ParseError, ValueError) as error:
            unparsed.append(f"line {line}: {error}")
    return read, unparsed


def write_predictions(
    path: str | Path, recording: Sequence[RecordedEpisode], predictions: Predictions | None = None
) -> Path:
    """Write predictions as the JSON Lines that ``score`` reads; None: the reference, as a start for one's own."""
    read = reference(recording) if predictions is None else predictions
    _check_shape(read, recording)
    with Path(path).open("w", encoding="utf-8") as file:
        for episode, actions in zip(recording, read, strict=True):
            for number, action in enumerate(actions):
                if action is not None:
                    record = {"episode_id": episode.id, "step": number, "action": action.as_json()}
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return Path(path)
