"""Makes a problem of a source's row, or says what is wrong with the row."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

from transforms import sources
from transforms.answers.extract import final_answer
from transforms.answers.options import LETTERS, option_letter
from transforms.core.drops import Drop, DropReason, drop
from transforms.core.hashing import canonical_json
from transforms.core.records import CodeTests, Problem, asked
from transforms.sources import Raw, Slice, TraceRow
from transforms.sources.traces import TraceTable

MAX_ID_CHARS = 200


class _UnusableError(Exception):
    """Why a row is no problem: (reason, detail)."""


def to_problem(piece: Slice, row: Raw | TraceRow | Drop, max_question_chars: int) -> Problem | Drop:
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
            turns=asked(_question(raw.question, max_question_chars)),
            answer=answer,
            answer_kind=kind,
            entry=raw.entry,
            accepted=tuple(accepted),
            options=options,
            tests=_tests(raw) if kind == "code" else CodeTests(),
            license=source.license,
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


def question_digest(problem: Problem) -> bytes:
    """Equal for questions that are the same up to case and spaces."""
    return digest(" ".join(problem.question.casefold().split()))


def digest(text: str) -> bytes:
    """A checksum to group by."""
    return hashlib.sha256(text.encode()).digest()[:16]
