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
from transforms.inference.requests import Exchange, Request
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


class Batch(NamedTuple):
    """What a shard asks of a model: one list of requests a row. `rows` are there where a job asks again."""

    shard: Shard
    rows: list[Any]
    requests: list[Sequence[Request]]


class Answers(NamedTuple):
    """What was asked for each row of a `Batch`, and answered."""

    shard: Shard
    exchanges: list[list[Exchange]]


@dataclass(frozen=True)
class Job:
    """What a stage does with a shard, in plain functions that Beam can pickle.

    Each row read gives exactly one outcome, or as many as `num_outcomes` says: records, or drops with their reason.
    `read` may itself give a drop for a row it cannot read. A job that has `ask` needs a model, and its `map` takes the
    row and the exchanges: what `ask` gave for it, answered. `again` may then ask more: it gets the rows for which
    something was asked last, with all their exchanges, and gives the further requests of each, until there are none.
    """

    stage: str
    record: type
    read: Callable[[Shard], Iterator[Any]]
    map: Callable[..., Iterable[Any]]
    ask: Callable[[Any], Sequence[Request]] | None = None
    again: Callable[[Sequence[Any], Sequence[list[Exchange]]], list[list[Request]]] | None = None
    num_outcomes: Callable[[Any, list[Exchange]], int] | None = None
    splits: tuple[str, ...] = ("",)
    split: Callable[[Any], str] | None = None


def map_rows(job: Job, folder: StageFolder, shard: Shard, exchanges: list[list[Exchange]] | None = None) -> Receipt:
    """Runs the job over one shard and writes its part."""
    kept: dict[str, list[Any]] = {split: [] for split in job.splits}
    drops: list[Drop] = []
    num_read = num_outcomes = 0
    for row in outcomes(job, shard, exchanges):
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


def outcomes(job: Job, shard: Shard, exchanges: list[list[Exchange]] | None = None) -> Iterator[list[Any]]:
    """What becomes of each row of the shard: records and drops.

    Raises:
        AssertionError: the job gave too few or too many for a row.
    """
    notes = dict(shard.notes)
    for number, row in enumerate(job.read(shard)):
        note, expected = notes.get(number), 1
        if isinstance(row, Drop):
            found = [row]
        elif isinstance(note, Reason):
            found = [drop(row_id(row), job.stage, *note)]
        elif exchanges is not None:
            found = list(job.map(row, exchanges[number]))
        else:
            found = list(job.map(row) if note is None else job.map(row, note))
        if job.num_outcomes and not isinstance(row, Drop) and not isinstance(note, Reason):
            expected = job.num_outcomes(row, exchanges[number] if exchanges is not None else [])
        assert len(found) == expected, f"{job.stage}: {len(found)} outcomes for a row, not {expected}"
        yield found


def requests_of(job: Job, shard: Shard) -> Batch:
    """What the shard's rows ask of the model."""
    assert job.ask is not None
    rows = list(job.read(shard))
    return Batch(shard, rows if job.again else [], [job.ask(row) for row in rows])


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
    """Shards → receipts, through `job`; with `engine`, all requests of a shard are one element of RunInference."""

    job: Job
    folder: str
    engine: ModelHandler[Batch, Answers, Any] | None = None

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[Receipt]:
        job, folder = self.job, StageFolder(self.folder)
        if (job.ask is None) != (self.engine is None):
            raise ValueError(f"{job.stage}: a job that asks needs an engine, and only such a job")
        if self.engine is None:
            return shards | "Map each shard" >> beam.ParDo(Guarded(lambda shard: [map_rows(job, folder, shard)]))
        from apache_beam.ml.inference.base import RunInference  # brings torch, a second that most stages need not wait

        return (
            shards
            | "Collect each shard's requests" >> beam.ParDo(Guarded(lambda shard: [requests_of(job, shard)]))
            | "Ask the model" >> RunInference(self.engine)
            | "Write each part"
            >> beam.ParDo(Guarded(lambda answers: [map_rows(job, folder, answers.shard, answers.exchanges)]))
        )


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
