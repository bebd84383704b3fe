"""One population over several processes or machines: the same bits as in one, with people divided among them.

Run a script under ``torchrun --nproc-per-node 2 script.py`` that begins with
``torch.distributed.init_process_group("gloo")`` ("nccl" on GPUs) and calls ``shards.rollout`` as it would call
``rollout``. Chance needs no coordination, because draws are functions of a person's id; all that travels is what
people send to their contacts, and counts. Sums over contacts are exact, so that no bit depends on the division.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..checkpoint import Checkpoint
from ..files import check_writable
from ..history import History, map_column
from ..recording import Record
from ..rollout import rollout as rollout_of_part
from ..sites import Do
from ..world import Policy, World
from .shard import Shard


def rollout(
    world: World,
    policy: Policy,
    *,
    rows: int,
    horizon: int,
    seed: int = 0,
    interventions: Sequence[Do] = (),
    record: Sequence[str | Record] = (),
    scenario: str | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
) -> History:
    """``rollout`` of a population that is divided among the processes of ``torch.distributed``; the same History.

    world, policy, interventions: of all ``rows`` people; each process cuts out its own part, see ``Shard.of``, so
    that what they hold of people must be tensors with a person a row. record: as of ``rollout``, but a Record that
    reduces must do so by "mean" or "sum". Every process returns the whole History: reduce what is large.
    checkpoint: each process writes a file of its own, named after it and its number; after a crash (run with
    ``torchrun --max-restarts``) all go on from the last step that all have saved.

    Raises ValueError for a record that cannot be put together, and RuntimeError outside a process group.
    """
    shard = Shard.mine(rows)
    records = [Record(r) if isinstance(r, str) else r for r in record]
    if odd := [r.site for r in records if callable(r.reduce)]:
        raise ValueError(f"Records of {odd} reduce by a function: expected 'sum' or 'mean', which parts can be put to")
    kept = [replace(shard.of(r), reduce="sum") if r.reduce == "mean" else shard.of(r) for r in records]
    people = torch.arange(shard.people.start, shard.people.stop, device=device)
    history = rollout_of_part(
        shard.of(world),
        shard.of(policy),
        rows=people,
        horizon=horizon,
        seed=seed,
        interventions=shard.of(list(interventions)),
        record=kept,
        scenario=scenario,
        progress=progress and shard.rank == 0,
        checkpoint=None if checkpoint is None else partial(ShardCheckpoint, Path(checkpoint), shard),
        checkpoint_every=checkpoint_every,
    )
    return _whole(history, shard, {r.site: r for r in records})


def _whole(history: History, shard: Shard, records: Mapping[str, Record]) -> History:
    """The History of all people."""

    def rows_first(column: Tensor) -> Tensor:
        return shard.gathered(column.contiguous())

    def people_second(column: Tensor) -> Tensor:
        return rows_first(column.transpose(0, 1)).transpose(0, 1)

    def series(name: str, column: Any) -> Any:
        how = records[name]
        if how.reduce is None:  # of nobody in particular
            return column
        total = shard.total(column)
        if how.reduce == "sum":
            return total
        if how.by is None:
            return total / shard.num_people
        return total / how.by.bincount(minlength=total.shape[1]).view(1, -1, *[1] * (total.dim() - 2))

    return replace(
        history,
        _by_time={name: map_column(people_second, column) for name, column in history._by_time.items()},
        series={name: series(name, column) for name, column in history.series.items()},
        thinned={name: map_column(rows_first, column) for name, column in history.thinned.items()},
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
