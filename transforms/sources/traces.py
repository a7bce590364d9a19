"""Rows of files that hold reasoning traces: a question, and one or more answers of a teacher to it.

    {"problem": "2 + 3?", "answer": "5", "generations": ["<think>…</think>5", "…"], "correctness_math_verify": [true, false]}
        → TraceRow(raw=Raw(question="2 + 3?", answer="5"), traces=(RecordedTrace(text="<think>…", correct="correct"), …))

Which column holds what is said by `fields`, or by the name of a public data set's layout (LAYOUTS), whose fields can be
replaced one by one. A column may be a path: `api_metadata.completion_tokens`. A column of traces may hold a list; what is
recorded of them is then a list too.
"""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from transforms.core.config import Config as BaseConfig
from transforms.core.drops import DropReason, Reason, whole_pairs
from transforms.inference.requests import finish_reason
from transforms.sources.base import HubDataset, JsonlFile, ParquetFile, Raw, Rows, as_text

NOTHING = ("", "n/a", "None", "null")  # what data sets write where there is nothing
_ROLES = {"user": "user", "human": "user", "prompt": "user", "assistant": "assistant", "gpt": "assistant", "model": "assistant"}  # fmt: skip
_YES, _NO = ("true", "yes", "1", "correct"), ("false", "no", "0", "incorrect")


class TraceFields(BaseConfig):
    """Which column holds what. The traces are in `text` (thinking and answer), or in `thinking` and `response`, or in `messages`.

    `messages` is a list of turns (role and content, or from and value): the last of the assistant is the trace, with its
    `reasoning_content`, `reasoning` or `thinking`, and the last of the user before it the question, unless `question`
    says otherwise. `id` names the problem, `trace` the trace. The rest is what is recorded of a trace.
    """

    question: str | None = None
    messages: str | None = None
    text: str | None = None
    thinking: str | None = None
    response: str | None = None
    answer: str | None = None
    id: str | None = None
    options: str | None = None
    tests: str | None = None
    entry_point: str | None = None
    prefix: str | None = None
    setup: str | None = None
    prompt: str | None = None
    trace: str | None = None
    model: str | None = None
    correct: str | None = None
    num_tokens: str | None = None
    finish_reason: str | None = None

    def columns(self) -> list[str]:
        """The distinct columns that are read: of paths, their first part."""
        return list(dict.fromkeys(path.split(".")[0] for path in self.model_dump().values() if path is not None))


_RECORDED = ("prompt", "trace", "model", "correct", "num_tokens", "finish_reason", "id")  # may be missing
_CONVERSATION = {"messages": "conversations"}

# Layouts of public data sets: from their cards and published code, see docs/import.md.
LAYOUTS: dict[str, dict[str, Any]] = {
    "messages": {"fields": {"messages": "messages"}},
    "openthoughts": {"fields": _CONVERSATION, "model": "DeepSeek-R1"},
    "openthoughts_metadata": {
        "fields": {"question": "problem", "thinking": "deepseek_reasoning", "response": "deepseek_solution", "answer": "ground_truth_solution"},
        "answer_is": "solution",
        "model": "DeepSeek-R1",
    },
    "openthoughts2": {"fields": _CONVERSATION, "model": "DeepSeek-R1"},
    "openthoughts3": {"fields": _CONVERSATION, "model": "QwQ-32B"},
    "openr1_math": {
        "fields": {
            "question": "problem", "text": "generations", "answer": "answer", "id": "uuid",
            "correct": "correctness_math_verify", "finish_reason": "finish_reasons",
        },
        "model": "DeepSeek-R1",
    },
    "codeforces_cots": {
        "fields": {
            "question": "prompt", "text": "generation", "id": "id", "tests": "examples",
            "num_tokens": "api_metadata.completion_tokens", "finish_reason": "finish_reason",
        },
        "answer_kind": "code",
        "model": "DeepSeek-R1",
    },
    "s1k_1_1": {
        "fields": {
            "question": "question", "thinking": "deepseek_thinking_trajectory", "response": "deepseek_attempt",
            "answer": "solution", "correct": "deepseek_grade",
        },
        "answer_is": "solution",
        "model": "DeepSeek-R1",
    },
    "s1k_1_1_gemini": {
        "fields": {
            "question": "question", "thinking": "gemini_thinking_trajectory", "response": "gemini_attempt",
            "answer": "solution", "correct": "gemini_grade",
        },
        "answer_is": "solution",
        "model": "Gemini 2.0 Flash Thinking",
    },
    "s1k": {
        "fields": {"question": "question", "thinking": "thinking_trajectories", "response": "attempt", "answer": "solution"},
        "answer_is": "solution",
        "model": "Gemini 2.0 Flash Thinking",
    },
    "numina_cot": {"fields": {"question": "problem", "text": "solution", "answer": "solution"}, "answer_is": "solution"},
    "qwq_longcot": {"fields": {"question": "problem", "text": "qwq"}, "model": "QwQ-32B-Preview"},
    "sky_t1": {"fields": _CONVERSATION, "model": "QwQ-32B-Preview"},
    "bespoke_stratos": {"fields": _CONVERSATION, "model": "DeepSeek-R1"},
    "openmathreasoning": {
        "fields": {"question": "problem", "text": "generated_solution", "answer": "expected_answer", "model": "generation_model"},
    },
    "am_distilled": {"fields": {"messages": "messages", "answer": "messages.0.info.reference_answer"}, "model": "DeepSeek-R1"},
}  # fmt: skip


class TraceTable(Rows):
    """A source of traces in rows. `model` is the teacher's name where no column has it.

    `answer_is`: the reference is a `value`, or a `solution` that states it.
    """

    layout: str | None = None
    fields: TraceFields = TraceFields()
    answer_is: Literal["value", "solution"] = "value"
    model: str = Field("unknown", min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _of_layout(cls, values: Any) -> Any:
        """The layout's settings, where the source does not say otherwise."""
        if not isinstance(values, dict) or values.get("layout") is None:
            return values
        layout = LAYOUTS.get(values["layout"]) if isinstance(values["layout"], str) else None
        if layout is None:
            near = difflib.get_close_matches(str(values["layout"]), LAYOUTS, n=1)
            names = (f"did you mean {near[0]!r}? " if near else "") + "allowed: " + ", ".join(LAYOUTS)
            raise PydanticCustomError("source", "no such layout; {names}", {"key": "layout", "names": names})
        given = values.get("fields") or {}
        return {**layout, **values, "fields": {**layout["fields"], **given} if isinstance(given, dict) else given}

    @model_validator(mode="after")
    def _says_where_things_are(self) -> TraceTable:
        fields = self.fields
        ways = [fields.text is not None, fields.response is not None, fields.messages is not None]
        if not any(ways) or (ways[0] and ways[1]) or (fields.thinking is not None and fields.response is None):
            raise PydanticCustomError(
                "source", "fields must name the traces, in one way: text, or thinking and response, or messages; or name a layout", {"key": "fields"}
            )  # fmt: skip
        if fields.question is None and fields.messages is None:
            raise PydanticCustomError("source", "fields must name the question, or messages", {"key": "fields"})
        return self

    def columns(self) -> dict[str, str]:
        """The columns that must be there, by role: without a layout all that are named."""
        named = {role: path.split(".")[0] for role, path in self.fields.model_dump().items() if path is not None}
        return {role: column for role, column in named.items() if self.layout is None or role not in _RECORDED}

    def row(self, row: int, values: Mapping[str, Any]) -> TraceRow | Reason:
        """A row of the file, or why it has no trace."""
        return _row(self, row, values)


class TraceJsonl(JsonlFile, TraceTable):
    """Traces in JSON lines."""


class TraceParquet(ParquetFile, TraceTable):
    """Traces in a Parquet file."""


class TraceHuggingFace(HubDataset, TraceTable):
    """Traces in a Hugging Face dataset."""


TraceSource = Annotated[TraceJsonl | TraceParquet | TraceHuggingFace, Field(discriminator="kind")]


class RecordedTrace(NamedTuple):
    """A teacher's answer as it was recorded. `correct` is correct | incorrect | "" where nothing is said."""

    text: str
    reasoning: str
    finish_reason: str
    num_tokens: int
    model: str
    correct: str
    origin: str
    prompt: str


class TraceRow(NamedTuple):
    """A row: what makes a problem of it, and its traces."""

    raw: Raw
    traces: tuple[RecordedTrace, ...]


def _row(source: TraceTable, number: int, values: Mapping[str, Any]) -> TraceRow | Reason:
    fields = source.fields
    found = {role: _at(values, path) for role, path in fields.model_dump().items() if path is not None}
    asked, answered, beside = _last_turns(found.get("messages"))
    if fields.messages is not None and fields.text is None and fields.response is None and answered is None:
        detail = f"{fields.messages!r} is no list of turns with one of the assistant"
        return Reason(DropReason.MISSING_FIELD, detail)
    texts = _list(found["text"]) if fields.text else _list(found["response"]) if fields.response else [answered]
    thinking = _list(found["thinking"]) if fields.thinking else [beside]
    if any(text is not None and not isinstance(text, str) for text in [*texts, *thinking]):
        return Reason(DropReason.WRONG_TYPE, "a trace is no text")
    if fields.thinking is not None and len(thinking) != len(texts):
        return Reason(DropReason.WRONG_TYPE, f"{len(thinking)} times thinking for {len(texts)} responses")
    traces = tuple(
        RecordedTrace(
            text=_something(text),
            reasoning=_something(thinking[index] if fields.thinking else beside),
            finish_reason=finish_reason(_something(_nth(found.get("finish_reason"), index))),
            num_tokens=_count(_nth(found.get("num_tokens"), index)),
            model=_something(_nth(found.get("model"), index)) or source.model,
            correct=_correct(_nth(found.get("correct"), index)),
            origin=_something(as_text(_nth(found.get("trace"), index))),
            prompt=_something(found.get("prompt")),
        )
        for index, text in enumerate(texts)
    )
    if not any(trace.text or trace.reasoning for trace in traces):
        return Reason(DropReason.MISSING_FIELD, "the row has no trace")
    roles = ("answer", "id", "options", "tests", "entry_point", "prefix", "setup")
    question = found["question"] if fields.question else asked
    raw = Raw(number, question, **{"answer": None} | {role: found.get(role) for role in roles if role in found})
    return TraceRow(raw, traces)


def _at(values: Any, path: str) -> Any:
    """What is at a path of keys and list indices, or None."""
    for part in path.split("."):
        if isinstance(values, Mapping):
            values = values.get(part)
        elif isinstance(values, list) and part.isdecimal() and int(part) < len(values):
            values = values[int(part)]
        else:
            return None
    return values


def _last_turns(turns: Any) -> tuple[str | None, str | None, str | None]:
    """(question, answer, reasoning beside it): the last turn of the assistant, and of the user before it."""
    known = [(role, turn) for role, turn in _turns(turns)]
    last = max((number for number, (role, _) in enumerate(known) if role == "assistant"), default=None)
    if last is None:
        return None, None, None
    asked = [_content(turn) for role, turn in known[:last] if role == "user"]
    turn = known[last][1]
    beside = next((turn[key] for key in ("reasoning_content", "reasoning", "thinking") if turn.get(key)), None)
    return (asked[-1] if asked else None), _content(turn), beside if isinstance(beside, str) else None


def _turns(turns: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(turns, str) and turns.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            turns = json.loads(turns)
    for turn in turns if isinstance(turns, list) else []:
        if isinstance(turn, Mapping):
            role = str(turn.get("role") or turn.get("from")).lower()
            yield _ROLES.get(role, role), turn


def _content(turn: Mapping[str, Any]) -> str | None:
    """The text of a turn; of a list of parts, their texts."""
    content = turn.get("content") if turn.get("content") is not None else turn.get("value")
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _nth(value: Any, index: int) -> Any:
    """The index-th of a list, or None where it is too short; a lone value is that of all traces."""
    if isinstance(value, list):
        return value[index] if index < len(value) else None
    return value


def _something(value: Any) -> str:
    """The text, or "" where there is nothing in it; half surrogate pairs as "?"."""
    text = whole_pairs(value) if isinstance(value, str) else ""
    return "" if text.strip() in NOTHING else text


def _count(value: Any) -> int:
    text = as_text(value) or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0


def _correct(value: Any) -> str:
    text = (as_text(value) or str(value)).strip().lower() if value is not None else ""
    return "correct" if text in _YES else "incorrect" if text in _NO else ""
