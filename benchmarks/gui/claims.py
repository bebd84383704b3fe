"""Claims on ways of learning, as paired differences over seeds: measured, kept in a file, and told in tables.

A part of the benchmarks beside it. A row has what was measured with a seed, by "way, measure". A claim is a difference
of two ways within a seed; its interval is 95 %, by Student's t over seeds.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ethogram.simulator.whatif import Effect

Row = dict[str, float]
SECONDS = "CPU seconds"  # of a seed
EQUAL = 5.0  # points within which an interval is to lie where two ways are said to do as well


class Claim(NamedTuple):
    """That one way has more of something than another, or as much."""

    said: str
    measure: str
    more: str
    less: str
    equal: bool = False


def rows_of(
    seeds: Iterable[int], one_seed: Callable[[int], Iterator[Row]], names: Iterable[str], kept: Path | None = None
) -> list[Row]:
    """A row a seed, of the parts that ``one_seed`` gives one after another.

    kept: a file of JSON lines that each part is added to at once. Seeds for which it has all ``names`` are not measured
    again; what it has of other seeds is told too.
    """
    rows: dict[int, Row] = {}
    if kept is not None and kept.exists():
        for line in map(json.loads, kept.read_text().splitlines()):
            rows.setdefault(int(line["seed"]), {}).update(line)
    for seed in seeds:
        if all(name in rows.get(seed, {}) for name in names):
            continue
        began = time.process_time()
        for part in one_seed(seed):
            _keep(rows.setdefault(seed, {"seed": seed}), part, kept)
        _keep(rows[seed], {SECONDS: time.process_time() - began}, kept)
    return list(rows.values())


def _keep(row: Row, part: Row, kept: Path | None) -> None:
    row.update(part)
    if kept is not None:
        with kept.open("a") as file:
            file.write(json.dumps({"seed": row["seed"], **part}) + "\n")


def column(rows: Iterable[Row], name: str) -> Tensor:
    """(seeds,) float64, of the seeds that have it."""
    return torch.tensor([row[name] for row in rows if name in row], dtype=torch.float64)


def verdict(more: Tensor, less: Tensor, equal: bool = False) -> str:
    """The difference of shares, (seeds,) each, in points, its interval, and what follows for the claim."""
    effect = Effect(100 * less, 100 * more, tuple(range(len(more))))
    low, high = effect.interval()
    if equal:
        said = "holds" if low > -EQUAL and high < EQUAL else "fails" if low > 0 or high < 0 else "open"
    else:
        said = "holds" if low > 0 else "reversed" if high < 0 else "open"
    return f"{effect.mean:+6.1f} [{low:+.1f}, {high:+.1f}]  {said}"


def show_claims(rows: Sequence[Row], claims: Iterable[Claim]) -> None:
    """A table of what is claimed and what was measured, over the seeds that have both ways."""
    print(f"\n{'claim':48}{'of':18}measured, points [95 % interval]  verdict")
    for claim in claims:
        names = [f"{way}, {claim.measure}" for way in (claim.more, claim.less)]
        paired = [row for row in rows if all(name in row for name in names)]
        more, less = (column(paired, name) for name in names)
        told = verdict(more, less, claim.equal) if paired else "not measured"
        print(f"{claim.said:48}{claim.measure:18}{told}")


def show_means(rows: Sequence[Row], ways: Iterable[str], measures: Sequence[str]) -> None:
    """A table of means over seeds, in per cent."""
    print(f"\n{'in %, means over seeds':26}{'seeds':>6}" + "".join(f"{name:>14}" for name in measures))
    for way in ways:
        of = [column(rows, f"{way}, {name}") for name in measures]
        print(f"{way:26}{len(of[0]):6}" + "".join(f"{100 * values.mean():14.1f}" for values in of))
