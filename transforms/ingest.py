"""Problems from sources, in one schema, without duplicates.

    {"question": "2 + 3 = ?", "answer": 5} → Problem(id="sums-000000", question="2 + 3 = ?", answer="5", …)

Rows are dropped, with their reason, when they cannot be read, have no question or answer, are too long,
overlap a benchmark, or repeat an id or a question; of repeats, the first in the order of the sources stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import apache_beam as beam
from pydantic import Field, field_validator, model_validator

from transforms import sources
from transforms.core.config import Config as BaseConfig
from transforms.core.drops import Drop, DropReason, Reason
from transforms.core.errors import InputError
from transforms.core.records import Problem
from transforms.shards.mapping import AttachNotes, Guarded, Shard
from transforms.sources import Benchmark, Slice, Source
from transforms.sources.base import MAX_ROWS
from transforms.sources.problems import digest, question_digest, to_problem
from transforms.sources.traces import TraceTable
from transforms.text.overlap import Config as OverlapConfig
from transforms.text.overlap import Index


class Config(BaseConfig):
    """`sources` in the order in which duplicates are decided.

    A problem that overlaps a question of `benchmarks` is dropped; `overlap` has the rule.
    """

    sources: tuple[Source, ...] = Field(strict=False)
    max_question_chars: int = Field(20_000, ge=1)
    benchmarks: tuple[Benchmark, ...] = Field((), strict=False)
    overlap: OverlapConfig = OverlapConfig()

    @field_validator("benchmarks")
    @classmethod
    def _questions_only(cls, benchmarks: tuple[Any, ...]) -> tuple[Any, ...]:
        """A benchmark needs no column but its questions'."""
        return tuple(
            one.model_copy(update={"fields": sources.Fields(question=one.fields.question, answer=None)})
            for one in benchmarks
        )

    @model_validator(mode="after")
    def _distinct_names(self) -> Config:
        sources.check_names(self.sources, "ingest.sources")
        return self


def read_problems(shard: Shard, config: Config) -> Iterator[Problem | Drop]:
    """The rows of a shard's slices as problems or drops."""
    for piece in shard.source:
        for raw in sources.read(piece):
            yield to_problem(piece, raw, config.max_question_chars)


@lru_cache(maxsize=1)  # once for each process
def _benchmark_index(benchmarks: tuple[Any, ...], rule: OverlapConfig) -> Index:
    """The questions of all benchmarks. Raises InputError."""
    rows = []
    for benchmark in benchmarks:
        pieces, _ = sources.plan(benchmark, 0, MAX_ROWS, "ingest.benchmarks")
        read: Iterator[Any] = (raw for piece in pieces for raw in sources.read(piece))
        for raw in read:
            if isinstance(raw, Drop) or not isinstance(raw.question, str):
                name = raw.id if isinstance(raw, Drop) else sources.row_name(pieces[0], raw.row)
                raise InputError(
                    f"ingest.benchmarks: {name} has no question; a benchmark must be readable in all its rows"
                )
            rows.append((pieces[0].name, sources.row_name(pieces[0], raw.row), raw.question))
    return Index(rows, rule)


def pack(slices: Iterable[Slice], shard_rows: int) -> list[Shard]:
    """Shards of consecutive slices, as many as fit into `shard_rows` rows: small sources share a shard."""
    packed: list[list[Slice]] = []
    room = 0
    for piece in slices:
        size = piece.stop - piece.start
        if size > room:
            packed.append([])
            room = shard_rows
        packed[-1].append(piece)
        room -= size
    return [Shard(number, tuple(pieces)) for number, pieces in enumerate(packed)]


@dataclass
class MarkRepeats(beam.PTransform):
    """Shards → shards that know which of their rows overlap a benchmark, or repeat an earlier id or question."""

    config: Config

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[Shard]:
        config = self.config
        read = shards | "Read the ids and questions" >> beam.ParDo(Guarded(_keys, config)).with_outputs(
            "overlaps", main="ids"
        )
        by_id = (
            read["ids"]
            | "Group by id" >> beam.GroupByKey()
            | "First of each id" >> beam.FlatMap(_first_by_id).with_outputs("repeated", main="first")
        )
        by_question = (
            by_id["first"]
            | "Group by question" >> beam.GroupByKey()
            | "First of each question" >> beam.FlatMap(_repeated_questions)
        )
        marks = (read["overlaps"], by_id["repeated"], by_question) | "All marks" >> beam.Flatten()
        return (shards, marks) | AttachNotes()


def _keys(shard: Shard, config: Config) -> Iterator[Any]:
    """(id, (shard, row, question)), and a mark for each overlap; ids and questions as checksums."""
    index = _benchmark_index(config.benchmarks, config.overlap) if config.benchmarks else None
    is_trace = any(isinstance(piece.source, TraceTable) for piece in shard.source)
    for row, problem in enumerate(read_problems(shard, config)):
        if not isinstance(problem, Problem):
            continue
        if hit := index.find(problem.question) if index else None:
            mark = Reason(DropReason.BENCHMARK_OVERLAP, hit.describe())
            yield beam.pvalue.TaggedOutput("overlaps", (shard.number, (row, mark)))
        else:
            yield digest(problem.id), (shard.number, row, question_digest(problem), is_trace)


def _first_by_id(group: tuple[bytes, Iterable[tuple[int, int, bytes, bool]]]) -> Iterator[Any]:
    (shard, row, question, is_trace), *repeats = sorted(group[1])
    yield question, (shard, row, is_trace)
    for index, number, other, also_trace in repeats:
        reason = DropReason.SAME_PROBLEM if also_trace and other == question else DropReason.DUPLICATE_ID
        mark = Reason(reason, f"the same id as row {row} of part {shard}")
        yield beam.pvalue.TaggedOutput("repeated", (index, (number, mark)))


def _repeated_questions(
    group: tuple[bytes, Iterable[tuple[int, int, bool]]],
) -> Iterator[tuple[int, tuple[int, Reason]]]:
    (shard, row, _), *repeats = sorted(group[1])
    for index, number, is_trace in repeats:
        reason = DropReason.SAME_PROBLEM if is_trace else DropReason.DUPLICATE_QUESTION
        yield index, (number, Reason(reason, f"the same question as row {row} of part {shard}"))
