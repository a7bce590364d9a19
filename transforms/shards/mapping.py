"""One element is one shard: read a part, map its rows, write the part of the same number.

Flows in: `Shard(number=3, source=("data/traces/part-00003.parquet",))`.
Flows out: the `Receipt` of each part, after the part itself is on disk.

Memory is bounded by a shard per worker; a failed bundle can be retried anywhere, since writing a part
again gives the same bytes. Where a stage needs to see all rows (duplicates, a choice per problem) it
groups ids and numbers into notes on rows first; `AttachNotes` hands each shard its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import apache_beam as beam

from transforms.core import schema
from transforms.core.drops import Drop, Reason, drop
from transforms.core.errors import UserError, mark
from transforms.core.records import row_id
from transforms.inference.dialogue import Dialogue, Respond, play
from transforms.storage.folders import Receipt, StageFolder

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler


class Shard(NamedTuple):
    """A piece of a stage's input. `source` is what the job's `read` needs: usually paths of parts.

    `notes` are (row, note) pairs: a `Reason` ends the row, anything else is a second argument to the job's `map`.
    """

    number: int
    source: Any
    notes: tuple[tuple[int, Any], ...] = ()


@dataclass(frozen=True)
class Job:
    """What a stage does with a shard, in plain functions that Beam can pickle.

    Each row read gives exactly one outcome, or as many as `num_outcomes` says (a dialogue at least as many): records, or drops with their
    reason. `read` may itself give a drop for a row it cannot read. Outcomes come of `map`; or, where a model is asked, of `dialogue`, a
    generator a row that returns its outcome (a list of them with `num_outcomes`). `work` answers the `Work` that dialogues ask for: items of all rows of a round, a result each.
    """

    stage: str
    record: type
    read: Callable[[Shard], Iterator[Any]]
    map: Callable[..., Iterable[Any]] | None = None
    dialogue: Callable[[Any], Dialogue[Any]] | None = None
    work: Callable[[list[Any]], Iterable[Any]] | None = None
    num_outcomes: Callable[[Any], int] | None = None
    splits: tuple[str, ...] = ("",)
    split: Callable[[Any], str] | None = None


def map_rows(job: Job, folder: StageFolder, shard: Shard, respond: Respond | None = None) -> Receipt:
    """Runs the job over one shard and writes its part; `respond` answers what its dialogues ask."""
    kept: dict[str, list[Any]] = {split: [] for split in job.splits}
    drops: list[Drop] = []
    num_read = num_outcomes = 0
    for row in outcomes(job, shard) if respond is None else played(job, shard, respond):
        num_read += 1
        num_outcomes += len(row)
        for outcome in row:
            if isinstance(outcome, Drop):
                drops.append(outcome)
            else:
                kept[job.split(outcome) if job.split else ""].append(outcome)
    # A split without rows has no file: `datasets` fails on Parquet files without rows.
    tables = {split: schema.to_table(job.record, rows) for split, rows in kept.items() if rows or not split}
    return folder.write(shard.number, num_read, tables, drops, num_outcomes)


def outcomes(job: Job, shard: Shard) -> Iterator[list[Any]]:
    """What becomes of each row of the shard: records and drops.

    Raises:
        AssertionError: the job gave too few or too many for a row.
    """
    assert job.map is not None
    notes = dict(shard.notes)
    for number, row in enumerate(job.read(shard)):
        note = notes.get(number)
        if (ended := _ended(job, row, note)) is not None:
            yield [ended]
        else:
            yield _checked(job, row, list(job.map(row) if note is None else job.map(row, note)))


def played(job: Job, shard: Shard, respond: Respond) -> list[list[Any]]:
    """The same of a job whose rows ask a model: their dialogues are played side by side."""
    assert job.dialogue is not None
    notes, rows = dict(shard.notes), list(job.read(shard))
    ended = [_ended(job, row, notes.get(number)) for number, row in enumerate(rows)]
    found = iter(play([job.dialogue(row) for row, end in zip(rows, ended, strict=True) if end is None], respond))
    given = (one if job.num_outcomes else [one] for one in found)
    return [[end] if end else _checked(job, row, next(given)) for row, end in zip(rows, ended, strict=True)]


def _ended(job: Job, row: Any, note: Any) -> Drop | None:
    """The drop of a row that could not be read, or that a note ends."""
    if isinstance(row, Drop):
        return row
    return drop(row_id(row), job.stage, *note) if isinstance(note, Reason) else None


def _checked(job: Job, row: Any, found: list[Any]) -> list[Any]:
    expected = job.num_outcomes(row) if job.num_outcomes else 1
    is_right = len(found) >= expected if job.num_outcomes and job.dialogue else len(found) == expected
    assert is_right, f"{job.stage}: {len(found)} outcomes for a row, not {expected}"
    return found


class Guarded(beam.DoFn):
    """Runs a plain function whose results are the elements, and marks a user's error so that the driver can show it."""

    def __init__(self, function: Callable[..., Iterable[Any]], *arguments: Any):
        self.function, self.arguments = function, arguments

    def process(self, element: Any) -> Iterator[Any]:
        try:
            yield from self.function(element, *self.arguments)
        except UserError as error:
            raise RuntimeError(mark(error)) from error


@dataclass
class MapShards(beam.PTransform):
    """Shards → receipts, through `job`; one whose rows ask a model is run by `engine` (`transforms.shards.asking`)."""

    job: Job
    folder: str
    engine: ModelHandler[Shard, Receipt, Any] | None = None

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[Receipt]:
        job, folder = self.job, StageFolder(self.folder)
        if (job.dialogue is None) != (self.engine is None):
            raise ValueError(f"{job.stage}: a job that asks needs an engine, and only such a job")
        if self.engine is None:
            return shards | "Map each shard" >> beam.ParDo(Guarded(lambda shard: [map_rows(job, folder, shard)]))
        from apache_beam.ml.inference.base import RunInference  # brings torch, a second that most stages need not wait

        return shards | "Ask about each shard" >> RunInference(self.engine)


@dataclass
class AttachNotes(beam.PTransform):
    """(shards, (shard number, (row, note)) pairs) → the shards with their notes. Only numbers and short texts are grouped."""

    def expand(self, inputs: tuple[beam.PCollection, beam.PCollection]) -> beam.PCollection[Shard]:
        shards, notes = inputs
        keyed = shards | "Key shards by number" >> beam.Map(lambda shard: (shard.number, shard))
        return (
            {"shard": keyed, "notes": notes}
            | "Group notes by shard" >> beam.CoGroupByKey()
            | "Attach" >> beam.FlatMap(_with_notes)
        )


def _with_notes(group: tuple[int, dict[str, Sequence[Any]]]) -> Iterator[Shard]:
    for shard in group[1]["shard"]:
        yield shard._replace(notes=tuple(sorted(group[1]["notes"], key=lambda note: note[0])))
