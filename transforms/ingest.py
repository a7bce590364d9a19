"""Problems from sources, in one schema, without duplicates.

    {"question": "2 + 3 = ?", "answer": 5} → Problem(id="sums-000000", question="2 + 3 = ?", answer="5", …)

Rows are dropped, with their reason, when they cannot be read, have no question or answer, are too long,
or repeat an id or a question; of repeats, the first in the order of the sources stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from pydantic import Field, model_validator

from transforms import sources
from transforms.configuration import Config as BaseConfig
from transforms.configuration import combination
from transforms.shards import AttachNotes, Guarded, Mark, Shard
from transforms.sources import Raw, Slice, Source
from transforms.types import Drop, DropReason, Problem, drop

MAX_ID_CHARS = 200


class Config(BaseConfig):
    """`sources` in the order in which duplicates are decided."""

    sources: tuple[Source, ...] = Field(min_length=1, strict=False)
    max_question_chars: int = Field(20_000, ge=1)

    @model_validator(mode="after")
    def _distinct_names(self) -> Config:
        names = [sources.source_name(source) for source in self.sources]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise combination(
                    f"ingest.sources.{number}.name",
                    f"{name!r} is taken by an earlier source; give each source a name of its own",
                )
        return self


def read_problems(shard: Shard, config: Config) -> Iterator[Problem | Drop]:
    """The rows of a shard's slices as problems or drops."""
    for piece in shard.source:
        for raw in sources.read(piece):
            yield raw if isinstance(raw, Drop) else to_problem(piece, raw, config)


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


class _UnusableError(Exception):
    """Why a row is no problem: (reason, detail)."""


def to_problem(piece: Slice, raw: Raw, config: Config) -> Problem | Drop:
    """One row as a problem, or why it is none."""
    name, source = sources.row_name(piece, raw.row), piece.source
    generated = source.kind == "reasoning_gym"
    try:
        problem = Problem(
            id=name if generated or source.fields.id is None else _identifier(raw.id, source.fields.id),
            source=piece.name,
            family=source.dataset if generated else piece.name,
            question=_question(raw.question, config.max_question_chars),
            answer=_answer(raw.answer, None if generated else source.answer_after),
            answer_kind="reasoning_gym" if generated else source.answer_kind,
            entry=raw.entry,
        )
        (problem.id + problem.question + problem.answer).encode("utf-8")
    except _UnusableError as error:
        return drop(name, "ingest", *error.args)
    except UnicodeEncodeError:
        return drop(name, "ingest", DropReason.INVALID_UTF8, "half a surrogate pair")
    return problem


def _question(value: Any, max_chars: int) -> str:
    if value is not None and not isinstance(value, str):
        raise _UnusableError(DropReason.WRONG_TYPE, f"the question is a {type(value).__name__}, not text")
    if value is None or not value.strip():
        raise _UnusableError(DropReason.EMPTY_QUESTION)
    if len(value) > max_chars:
        raise _UnusableError(DropReason.TOO_LONG, f"{len(value)} characters, ingest.max_question_chars is {max_chars}")
    return value


def _answer(value: Any, after: str | None) -> str:
    text = sources.as_text(value)
    if text is None and value is not None:
        raise _UnusableError(
            DropReason.WRONG_TYPE, f"the answer is a {type(value).__name__}, neither text nor a finite number"
        )
    if text and after:
        _, found, rest = text.rpartition(after)
        text = rest if found else ""
    if not (text or "").strip():
        raise _UnusableError(DropReason.MISSING_ANSWER)
    return (text or "").strip()


def _identifier(value: Any, column: str) -> str:
    text = (sources.as_text(value) or "").strip()
    if not text:
        raise _UnusableError(DropReason.MISSING_FIELD, f"{column!r} is no id: {value!r}")
    if len(text) > MAX_ID_CHARS:
        raise _UnusableError(DropReason.TOO_LONG, f"the id is longer than {MAX_ID_CHARS} characters")
    return text


@dataclass
class MarkDuplicates(beam.PTransform):
    """Shards → shards that know which of their rows repeat an earlier id, or an earlier question."""

    config: Config

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[Shard]:
        config = self.config
        by_id = (
            shards
            | "Read the ids and questions" >> beam.ParDo(Guarded(_keys, config))
            | "Group by id" >> beam.GroupByKey()
            | "First of each id" >> beam.FlatMap(_first_by_id).with_outputs("repeated", main="first")
        )
        by_question = (
            by_id["first"]
            | "Group by question" >> beam.GroupByKey()
            | "First of each question" >> beam.FlatMap(_repeated_questions)
        )
        marks = (by_id["repeated"], by_question) | "Both kinds of repeats" >> beam.Flatten()
        return (shards, marks) | AttachNotes()


def _keys(shard: Shard, config: Config) -> Iterator[tuple[bytes, tuple[int, int, bytes]]]:
    for row, problem in enumerate(read_problems(shard, config)):
        if isinstance(problem, Problem):
            question = " ".join(problem.question.casefold().split())
            yield _digest(problem.id), (shard.number, row, _digest(question))


def _first_by_id(group: tuple[bytes, Iterable[tuple[int, int, bytes]]]) -> Iterator[Any]:
    (shard, row, question), *repeats = sorted(group[1])
    yield question, (shard, row)
    for index, number, _ in repeats:
        mark = Mark(DropReason.DUPLICATE_ID, f"the same id as row {row} of part {shard}")
        yield beam.pvalue.TaggedOutput("repeated", (index, (number, mark)))


def _repeated_questions(group: tuple[bytes, Iterable[tuple[int, int]]]) -> Iterator[tuple[int, tuple[int, Mark]]]:
    (shard, row), *repeats = sorted(group[1])
    for index, number in repeats:
        yield index, (number, Mark(DropReason.DUPLICATE_QUESTION, f"the same question as row {row} of part {shard}"))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]
