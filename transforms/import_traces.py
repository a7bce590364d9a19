"""Traces that exist already, in place of a teacher: each is matched with its problem, numbered, and told apart like any other.

    a row of 3 recorded traces of sums-2, of which 2 came in earlier rows → Trace(id="sums-2/2", …), "sums-2/3", "sums-2/4"

Problems come from the same files: `ingest` has read them, and dropped what overlaps a benchmark. A trace whose problem was
dropped, or is there with another reference, is a counted drop. Only checksums and numbers are grouped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import apache_beam as beam

from transforms import sources
from transforms.core.drops import Drop, DropReason, Reason, drop
from transforms.core.hashing import canonical_json
from transforms.core.records import Problem, Trace
from transforms.generate import Config, to_trace
from transforms.inference.requests import Completion
from transforms.shards.mapping import AttachNotes, Guarded, Shard
from transforms.sources import RecordedTrace, TraceRow
from transforms.sources.problems import question_digest, to_problem
from transforms.storage.parts import read_part


class ImportedRow(NamedTuple):
    """A row of a file of traces, and the problem in it."""

    id: str
    problem: Problem
    traces: tuple[RecordedTrace, ...]


class Place(NamedTuple):
    """Where the traces of a row belong: to this problem, from this sample on."""

    problem_id: str
    source: str
    family: str
    first_sample: int


class Match(NamedTuple):
    """A row's problem: where its traces belong, or why they belong nowhere. A `Reason` alone would end the row as one outcome."""

    found: Place | Reason


def read_rows(shard: Shard, max_question_chars: int) -> Iterator[ImportedRow | Drop]:
    """The rows of a shard's slices; a drop for each that holds no trace of a problem."""
    for piece in shard.source:
        for row in sources.read(piece):
            problem = to_problem(piece, row, max_question_chars)
            if isinstance(problem, Drop):
                yield replace(problem, stage="generate")
            else:
                assert isinstance(row, TraceRow)
                yield ImportedRow(sources.row_name(piece, row.raw.row), problem, row.traces)


def traces(row: ImportedRow, match: Match, config: Config) -> Iterator[Trace | Drop]:
    """A trace or drop for each recorded one."""
    place = match.found
    for number, recorded in enumerate(row.traces):
        origin = recorded.origin or (f"{row.id}:{number}" if len(row.traces) > 1 else row.id)
        if isinstance(place, Reason):
            yield drop(origin, "generate", *place)
            continue
        problem = replace(row.problem, id=place.problem_id, source=place.source, family=place.family)
        completion = Completion(recorded.text, recorded.finish_reason, 0, recorded.num_tokens, None, recorded.reasoning)
        made = to_trace(problem, place.first_sample + number, completion, config, recorded.model)
        if isinstance(made, Trace):
            made = replace(made, origin=origin, recorded=recorded.correct, prompt=recorded.prompt or made.prompt)
        yield made


def num_traces(row: ImportedRow) -> int:
    """How many traces or drops a row gives."""
    return len(row.traces)


@dataclass
class MatchProblems(beam.PTransform):
    """Shards of files with traces → shards whose rows know their problem. `problems` are the parts of problems/."""

    problems: list[str]
    max_question_chars: int

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[Shard]:
        known = (
            shards.pipeline
            | "Parts of the problems" >> beam.Create(self.problems, reshuffle=False)
            | "Read the problems" >> beam.ParDo(Guarded(_known))
        )
        rows = shards | "Read the questions" >> beam.ParDo(Guarded(_rows, self.max_question_chars))
        notes = (
            {"known": known, "rows": rows}
            | "Group by question" >> beam.CoGroupByKey()
            | "Match" >> beam.FlatMap(_match)
        )
        return (shards, notes) | AttachNotes()


def _known(path: str) -> Iterator[tuple[bytes, tuple[Place, bytes]]]:
    for problem in read_part(Problem, path):
        yield question_digest(problem), (Place(problem.id, problem.source, problem.family, 0), _reference(problem))


def _rows(shard: Shard, max_question_chars: int) -> Iterator[tuple[bytes, tuple[int, int, int, bytes]]]:
    for number, row in enumerate(read_rows(shard, max_question_chars)):
        if isinstance(row, ImportedRow):
            yield question_digest(row.problem), (shard.number, number, len(row.traces), _reference(row.problem))


def _reference(problem: Problem) -> bytes:
    """Equal for problems whose answers are judged in the same way."""
    slim = replace(problem, id="", source="", family="", turns=(), license="")
    return hashlib.sha256(canonical_json(asdict(slim)).encode()).digest()[:16]


def _match(group: tuple[bytes, dict[str, Iterable[Any]]]) -> Iterator[tuple[int, tuple[int, Match]]]:
    known = list(group[1]["known"])
    sample = 0
    for shard, row, count, reference in sorted(group[1]["rows"]):
        if not known:
            yield shard, (row, Match(Reason(DropReason.PROBLEM_DROPPED, "its problem was dropped by ingest")))
            continue
        place, expected = known[0]
        if reference != expected:
            yield shard, (row, Match(Reason(DropReason.OTHER_REFERENCE, f"{place.problem_id} has another reference")))
            continue
        yield shard, (row, Match(place._replace(first_sample=sample)))
        sample += count
