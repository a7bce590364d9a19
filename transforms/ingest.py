"""Problems from sources, in one schema, without duplicates.

    {"question": "2 + 3 = ?", "answer": 5} → Problem(id="sums-000000", question="2 + 3 = ?", answer="5", …)

Rows are dropped, with their reason, when they cannot be read, have no question or answer, are too long,
overlap a benchmark, or repeat an id or a question; of repeats, the first in the order of the sources stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import apache_beam as beam
from pydantic import Field, field_validator, model_validator

from transforms import sources
from transforms.answers.extract import final_answer
from transforms.answers.options import LETTERS, option_letter
from transforms.core.config import Config as BaseConfig
from transforms.core.config import combination
from transforms.core.errors import InputError
from transforms.core.records import CodeTests, Drop, DropReason, Problem, drop
from transforms.shards.mapping import AttachNotes, Guarded, Mark, Shard
from transforms.sources import Benchmark, Raw, Slice, Source, TraceRow
from transforms.sources.base import MAX_ROWS
from transforms.sources.traces import TraceTable
from transforms.storage.folders import canonical_json
from transforms.text.overlap import Config as OverlapConfig
from transforms.text.overlap import Index

MAX_ID_CHARS = 200


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
        check_names(self.sources, "ingest.sources")
        return self


def check_names(given: Sequence[Any], key: str) -> None:
    """Raises a validation error if two sources have the same name."""
    names = [sources.source_name(source) for source in given]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise combination(
                f"{key}.{number}.name", f"{name!r} is taken by an earlier source; give each source a name of its own"
            )


def read_problems(shard: Shard, config: Config) -> Iterator[Problem | Drop]:
    """The rows of a shard's slices as problems or drops."""
    for piece in shard.source:
        for raw in sources.read(piece):
            yield to_problem(piece, raw, config)


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


class _UnusableError(Exception):
    """Why a row is no problem: (reason, detail)."""


def to_problem(piece: Slice, row: Raw | TraceRow | Drop, config: Config) -> Problem | Drop:
    """One row as a problem, or why it is none."""
    if isinstance(row, Drop):
        return row
    raw = row.raw if isinstance(row, TraceRow) else row
    source, name = piece.source, sources.row_name(piece, raw.row)
    generated, recorded = source.kind == "reasoning_gym", isinstance(source, TraceTable)
    kind = "reasoning_gym" if generated else source.answer_kind
    try:
        if not generated and source.fields.id is not None and not (recorded and raw.id is None):
            name = _identifier(raw.id, source.fields.id)
        options = _options(raw.options) if raw.options is not None else ()
        answer, *accepted = _answers(
            raw.answer,
            None if generated else source.answer_after,
            kind,
            options,
            generated or source.fields.answer is not None,
            recorded and source.answer_is == "solution",
        )
        problem = Problem(
            id=name,
            source=piece.name,
            family=source.dataset if generated else piece.name,
            question=_question(raw.question, config.max_question_chars),
            answer=answer,
            answer_kind=kind,
            entry=raw.entry,
            accepted=tuple(accepted),
            options=options,
            tests=_tests(raw) if kind == "code" else CodeTests(),
        )
        canonical_json(asdict(problem)).encode("utf-8")
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


def _answers(
    value: Any, after: str | None, kind: str, options: tuple[str, ...], wanted: bool, solution: bool
) -> list[str]:
    """The reference answer first, then others that are accepted; [""] where there is none, as the source says."""
    if not wanted:
        return [""]
    if kind == "code":  # a reference solution; its tests decide
        return [sources.as_text(value) or ""]
    if solution and isinstance(value, str):
        stated = final_answer(value)
        bare = value if len(value.strip().splitlines()) == 1 else None  # the answer and no more
        value = stated.answer if stated else bare
    values = value if isinstance(value, list) and value else [value]
    return [_answer(one, after, kind, options) for one in values]


def _answer(value: Any, after: str | None, kind: str, options: tuple[str, ...]) -> str:
    if kind == "choice" and isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(options):
        return LETTERS[value]  # the option's number, from 0, as MMLU has it
    text = sources.as_text(value)
    if text is None and value is not None:
        raise _UnusableError(
            DropReason.WRONG_TYPE, f"the answer is a {type(value).__name__}, neither text nor a finite number"
        )
    if text and after:
        _, found, rest = text.rpartition(after)
        text = rest if found else ""
    if not text or not text.strip():
        raise _UnusableError(DropReason.MISSING_ANSWER)
    if kind == "choice" and not option_letter(text, options):
        raise _UnusableError(
            DropReason.WRONG_TYPE,
            f"the answer {text!r} names none of the options"
            + ("" if options else "; fields.options names their column"),
        )
    return text.strip()


def _options(value: Any) -> tuple[str, ...]:
    texts = [sources.as_text(option) for option in value] if isinstance(value, list) else []
    if not 2 <= len(texts) <= len(LETTERS) or None in texts:
        raise _UnusableError(DropReason.WRONG_TYPE, f"the options are no list of 2 to {len(LETTERS)} texts")
    return tuple((text or "").strip() for text in texts)


def _tests(raw: Raw) -> CodeTests:
    """The tests of a code problem, in the shapes of HumanEval, MBPP and stdin/stdout pairs."""
    value = raw.tests
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    if _calls_functions(value):
        detail = "pairs of a function's arguments and result are not supported, only those of standard input and output"
        raise _UnusableError(DropReason.MISSING_TESTS, detail)
    asserts: list[Any] = []
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, str):
        asserts = [value]
    elif isinstance(value, dict) and isinstance(value.get("inputs"), list) and isinstance(value.get("outputs"), list):
        pairs = list(zip_longest(value["inputs"], value["outputs"]))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        pairs = [(item.get("input"), item.get("output")) for item in value]
    elif isinstance(value, list):
        asserts = value
    texts = [
        raw.prefix or "",
        raw.setup or "",
        raw.entry_point or "",
        *asserts,
        *(text for pair in pairs for text in pair),
    ]
    if not all(isinstance(text, str) for text in texts) or not (pairs or any(text.strip() for text in asserts)):
        raise _UnusableError(DropReason.MISSING_TESTS, "no asserts, and no pairs of input and output, as text")
    return CodeTests(
        prefix=raw.prefix or "",
        setup=raw.setup or "",
        entry_point=raw.entry_point or "",
        asserts=tuple(asserts),
        inputs=tuple(given for given, _ in pairs),
        outputs=tuple(expected for _, expected in pairs),
    )


def _calls_functions(tests: Any) -> bool:
    """Whether the pairs are for a function, as APPS and LiveCodeBench mark them."""
    if isinstance(tests, dict):
        return bool(tests.get("fn_name"))
    return isinstance(tests, list) and any(
        isinstance(item, dict) and item.get("testtype") == "functional" for item in tests
    )


def _identifier(value: Any, column: str) -> str:
    text = (sources.as_text(value) or "").strip()
    if not text:
        raise _UnusableError(DropReason.MISSING_FIELD, f"{column!r} is no id: {value!r}")
    if len(text) > MAX_ID_CHARS:
        raise _UnusableError(DropReason.TOO_LONG, f"the id is longer than {MAX_ID_CHARS} characters")
    return text


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
            mark = Mark(DropReason.BENCHMARK_OVERLAP, hit.describe())
            yield beam.pvalue.TaggedOutput("overlaps", (shard.number, (row, mark)))
        else:
            yield _digest(problem.id), (shard.number, row, question_digest(problem), is_trace)


def question_digest(problem: Problem) -> bytes:
    """Equal for questions that are the same up to case and spaces."""
    return _digest(" ".join(problem.question.casefold().split()))


def _first_by_id(group: tuple[bytes, Iterable[tuple[int, int, bytes, bool]]]) -> Iterator[Any]:
    (shard, row, question, is_trace), *repeats = sorted(group[1])
    yield question, (shard, row, is_trace)
    for index, number, other, also_trace in repeats:
        reason = DropReason.SAME_PROBLEM if also_trace and other == question else DropReason.DUPLICATE_ID
        mark = Mark(reason, f"the same id as row {row} of part {shard}")
        yield beam.pvalue.TaggedOutput("repeated", (index, (number, mark)))


def _repeated_questions(
    group: tuple[bytes, Iterable[tuple[int, int, bool]]],
) -> Iterator[tuple[int, tuple[int, Mark]]]:
    (shard, row, _), *repeats = sorted(group[1])
    for index, number, is_trace in repeats:
        reason = DropReason.SAME_PROBLEM if is_trace else DropReason.DUPLICATE_QUESTION
        yield index, (number, Mark(reason, f"the same question as row {row} of part {shard}"))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]
