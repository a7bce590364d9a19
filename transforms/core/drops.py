"""What does not go on: the reasons, and the row that says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class DropReason(StrEnum):
    """Why a row did not go on. Closed: a new reason is a new member here."""

    INVALID_UTF8 = "invalid_utf8"  # the line is not UTF-8, or its JSON holds half a surrogate pair
    INVALID_JSON = "invalid_json"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    EMPTY_QUESTION = "empty_question"
    MISSING_ANSWER = "missing_answer"
    MISSING_TESTS = "missing_tests"
    TOO_LONG = "too_long"
    DUPLICATE_ID = "duplicate_id"
    DUPLICATE_QUESTION = "duplicate_question"
    SAME_PROBLEM = "same_problem"  # the row has another trace of a problem that is there
    PROBLEM_DROPPED = "problem_dropped"  # the trace's problem was dropped by ingest
    OTHER_REFERENCE = "other_reference"  # the trace's problem is there with another reference
    REQUEST_FAILED = "request_failed"  # the engine gave an error for this request
    EMPTY_TEXT = "empty_text"  # the model said nothing, or thought nothing
    TRUNCATED = "truncated"  # the model ran into its token limit
    NO_FINAL_ANSWER = "no_final_answer"
    REPEATED_LOOP = "repeated_loop"  # the model repeats itself
    BROKEN_TAGS = "broken_tags"  # thinking tags where none belong
    BENCHMARK_OVERLAP = "benchmark_overlap"  # the question is one of a benchmark's
    NO_SCORES = "no_scores"
    NO_ANNOTATIONS = "no_annotations"
    INCORRECT = "incorrect"
    UNDECIDED = "undecided"  # the verifier, or the re-check, could not tell
    LONGER_VERSION = "longer_version"  # another method made the trace as short or shorter
    NOT_CHOSEN = "not_chosen"  # another trace of the problem comes first, or the method is not asked for
    DUPLICATE_TRACE = "duplicate_trace"
    NEAR_DUPLICATE_TRACE = "near_duplicate_trace"
    FALSE_ARITHMETIC = "false_arithmetic"  # an equation of the version is false


class Reason(NamedTuple):
    """Why a row does not go on; `detail` is for people. `method` is whose version the row is, where it is one."""

    reason: DropReason
    detail: str
    method: str = ""


@dataclass(frozen=True)
class Drop:
    """A row that ends here. `detail` is for people and at most 300 characters."""

    id: str
    stage: str
    reason: str
    detail: str
    method: str = ""


def drop(id: str, stage: str, reason: str, detail: str = "", method: str = "") -> Drop:
    """A drop whose detail is cut to 300 characters and holds no half surrogate pairs."""
    return Drop(*map(whole_pairs, (id[:300], stage, str(reason), detail[:300], method)))


def whole_pairs(text: str) -> str:
    """The text with "?" for half surrogate pairs, which no file can hold."""
    return text.encode("utf-8", "replace").decode()
