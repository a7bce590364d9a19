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
from transforms.shards import AttachNotes, Mark, Shard, drop
from transforms.sources import Raw, Slice, Source
from transforms.types import Drop, DropReason, Problem


class Config(BaseConfig):
    """`sources` in the order in which duplicates are decided."""

    sources: tuple[Source, ...] = Field(min_length=1, strict=False)
    max_question_chars: int = Field(20_000, ge=1)

    @model_validator(mode="after")
    def _distinct_names(self) -> Config:
        names = [sources.source_name(source) for source in self.sources]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise combination(f"ingest.sources.{number}.name", f"{name!r} is taken by an earlier source; give each source a name of its own")
        return self


def read_problems(shard: Shard, config: Config) -> Iterator[Problem | Drop]:
    """The rows of a shard's slice as problems or drops."""
    piece: Slice = shard.source
    for raw in sources.read(piece):
        yield raw if isinstance(raw, Drop) else to_problem(piece, raw, config)


def to_problem(piece: Slice, raw: Raw, config: Config) -> Problem | Drop:
    """One row as a problem, or why it is none."""
    name = sources.row_name(piece, raw.row)
    source = piece.source
    answer = _as_text(raw.answer)
    if raw.answer is not None and answer is None:
        return drop(name, "ingest", DropReason.WRONG_TYPE, f"the answer is a {type(raw.answer).__name__}, not text or a number")
    if not isinstance(raw.question, str | None):
        return drop(name, "ingest", DropReason.WRONG_TYPE, f"the question is a {type(raw.question).__name__}, not text")
    if not (raw.question or "").strip():
        return drop(name, "ingest", DropReason.EMPTY_QUESTION)
    if getattr(source, "answer_after", None) and answer is not None:
        answer = answer.rpartition(source.answer_after)[2] if source.answer_after in answer else ""
    if not (answer or "").strip():
        return drop(name, "ingest", DropReason.MISSING_ANSWER)
    if len(raw.question) > config.max_question_chars:
        return drop(name, "ingest", DropReason.TOO_LONG, f"{len(raw.question)} characters, ingest.max_question_chars is {config.max_question_chars}")
    given = _as_text(raw.id)
    if source.kind != "reasoning_gym" and source.fields.id and not (given or "").strip():
        return drop(name, "ingest", DropReason.MISSING_FIELD, f"{source.fields.id!r} is no id: {raw.id!r}")
    identifier = given.strip() if given else name
    try:
        (identifier + raw.question + (answer or "")).encode("utf-8")
    except UnicodeEncodeError as error:
        return drop(name, "ingest", DropReason.INVALID_UTF8, f"half a surrogate pair: {error.reason}")
    if len(identifier) > 200:
        return drop(name, "ingest", DropReason.TOO_LONG, "the id is longer than 200 characters")
    return Problem(
        id=identifier,
        source=piece.name,
        family=source.dataset if source.kind == "reasoning_gym" else piece.name,
        question=raw.question,
        answer=(answer or "").strip(),
        answer_kind="reasoning_gym" if source.kind == "reasoning_gym" else source.answer_kind,
        entry=raw.entry,
    )


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass
class MarkDuplicates(beam.PTransform):
    """Shards → shards that know which of their rows repeat an earlier id, or an earlier question."""

    config: Config

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[Shard]:
        config = self.config
        by_id = (
            shards
            | "Read the ids and questions" >> beam.FlatMap(_keys, config)
            | "Group by id" >> beam.GroupByKey()
            | "First of each id" >> beam.FlatMap(_first_by_id).with_outputs("repeated", main="first")
        )
        by_question = by_id["first"] | "Group by question" >> beam.GroupByKey() | "First of each question" >> beam.FlatMap(_repeated_questions)
        marks = (by_id["repeated"], by_question) | "Both kinds of repeats" >> beam.Flatten()
        return (shards, marks) | AttachNotes()


def _keys(shard: Shard, config: Config) -> Iterator[tuple[bytes, tuple[int, int, bytes]]]:
    for row, problem in enumerate(read_problems(shard, config)):
        if isinstance(problem, Problem):
            question = " ".join(problem.question.casefold().split())
            yield _digest(problem.id), (shard.index, row, _digest(question))


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
