"""One population over several processes or machines: the same bits as in one, with people divided among them.

Run a script under ``torchrun --nproc-per-node 2 script.py`` that begins with
``torch.distributed.init_process_group("gloo")`` ("nccl" on GPUs) and calls ``shards.rollout`` as it would call
``rollout``. Chance needs no coordination, because draws are functions of a person's id; all that travels is what
people send to their contacts, and counts. Sums over contacts are exact, so that no bit depends on the division.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..checkpoints import Checkpoint, check_writable
from ..history import History, map_column
from ..recording import Record, Recorder
from ..rollout import checked_run
from ..rollout import rollout as rollout_of_part
from ..sites import Do
from ..world import Policy, World
from .blocks import by_element
from .shard import Shard


def rollout(
    world: World,
    policy: Policy,
    *,
    rows: int | Tensor,
    horizon: int,
    seed: int = 0,
    interventions: Sequence[Do] = (),
    record: Sequence[str | Record] | str = (),
    scenario: str | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
) -> History:
    """``rollout`` of a population that is divided among the processes of ``torch.distributed``; the same History.

    world, policy: of all people; each process cuts out its own part, see ``Shard.of``, so that what they hold of
    people must be tensors with a person a row. interventions, record: as of ``rollout``. A function, of an intervention
    or a Record, is called in every process with everybody's values. Every process returns the whole History: reduce
    what is large.
    checkpoint: each process writes a file of its own, named after it and its number; after a crash (run with
    ``torchrun --max-restarts``) all go on from the last step that all have saved.

    Raises what ``rollout`` does; RuntimeError outside a process group, and where all people of a part have ended before
    the horizon, since the others cannot go on without it.
    """
    ids = checked_run(world, policy, rows, horizon, seed, interventions)
    asked, shard = Recorder(record, horizon, ids), Shard.mine(len(ids))
    history = rollout_of_part(
        shard.of(world),
        shard.of(policy),
        rows=ids[shard.people].to(device),
        horizon=horizon,
        seed=seed,
        interventions=[_of_part(do, shard) for do in interventions],
        record="all" if asked.everything else [_of_all(asked.wanted[name], shard) for name in asked.asked],
        scenario=scenario,
        progress=progress and shard.rank == 0,
        checkpoint=None if checkpoint is None else partial(ShardCheckpoint, Path(checkpoint), shard),
        checkpoint_every=checkpoint_every,
    )
    if history.num_steps < horizon:
        raise RuntimeError(
            f"all people of part {shard.rank + 1} of {shard.size} have ended after {history.num_steps} of {horizon} "
            "steps: expected some in each part until the end; shorten the horizon, or use one process"
        )
    return _whole(history, shard)


def _of_part(do: Do, shard: Shard) -> Do:
    """An intervention on all people, as it is on those of a part."""
    if isinstance(do.mechanism, Tensor) or by_element(do.mechanism):
        return shard.of(do)
    return Do(do.site, _Changed(shard, do), do.start, do.stop)


@dataclass(frozen=True, eq=False)
class _Changed:
    """The mechanism of an intervention that may look at everybody: it is given everybody's values, and cut."""

    shard: Shard
    do: Do

    def __call__(self, value: Any) -> Any:
        """The new values of the people here."""
        if not self.shard.has_rows(value):
            return self.do.apply(value)
        return map_column(lambda leaf: leaf[self.shard.people], self.do.apply(map_column(self.shard.gathered, value)))


def _of_all(record: Record, shard: Shard) -> Record:
    """A Record of all people, as each process keeps it: rows of its part, or what all amount to."""
    if record.reduce is None:
        return record
    return Record(record.site, record.every, _Reduced(shard, record))


@dataclass(frozen=True, eq=False)
class _Reduced:
    """The value that a Record makes of everybody's."""

    shard: Shard
    record: Record

    def __call__(self, value: Any) -> Any:
        """The same in every process."""
        shard, record = self.shard, self.record
        if not shard.has_rows(value):
            return record.reduced(value)
        if isinstance(record.reduce, str) and isinstance(value, Tensor) and value.dtype == torch.bool:
            by = None if record.by is None else record.by[shard.people]
            total = shard.total(record.added(value, by))  # counts are exact in any order, and little to send
            return total if record.reduce == "sum" else total / record.counts(shard.num_people, total)
        return record.reduced(map_column(shard.gathered, value))


def _whole(history: History, shard: Shard) -> History:
    """The History of all people."""

    def people_second(column: Any) -> Any:
        return shard.gathered(column.swapaxes(0, 1)).swapaxes(0, 1)

    return replace(
        history,
        _by_time={name: map_column(people_second, column) for name, column in history._by_time.items()},
        thinned={name: map_column(shard.gathered, column) for name, column in history.thinned.items()},
        length=shard.gathered(history.length),
        ids=shard.gathered(history.ids),
    )


class ShardCheckpoint(Checkpoint):
    """A part's file, saved at the same steps as the others', and the one before it: a crash may come in between."""

    def __init__(self, path: Path, shard: Shard, run: Mapping[str, Any], every: float) -> None:
        """path: what the files of all parts are named after."""
        super().__init__(path.with_name(f"{path.name}.{shard.rank}-of-{shard.size}"), run, every)
        self.before = self.path.with_name(f"{self.path.name}.before")

    def load(self, template: Any) -> tuple[int, Any, Any] | None:
        """The last step that all parts have saved."""
        check_writable(self.path)
        found = {saved["step"]: saved for path in (self.before, self.path) if (saved := self.read(path)) is not None}
        steps = [set[int]() for _ in range(dist.get_world_size())]
        dist.all_gather_object(steps, set(found))
        common = set.intersection(*steps)
        return self.restored(found[max(common)], template) if common else None

    def due(self) -> bool:
        """As the first part's clock says, or who was interrupted."""
        said = [(False, False)] * dist.get_world_size()
        dist.all_gather_object(said, (super().due(), self.interrupted))
        self.interrupted = any(interrupted for _, interrupted in said)
        return said[0][0] or self.interrupted

    def write(self, content: Any) -> None:
        """Save, and keep what was saved before."""
        if self.path.exists():
            os.replace(self.path, self.before)
        super().write(content)

    def remove(self) -> None:
        """The run is complete, everywhere."""
        dist.barrier()
        super().remove()
        self.before.unlink(missing_ok=True)
