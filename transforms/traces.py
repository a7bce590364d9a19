r"""Tells the thinking from the answer in a teacher's raw text.

    tags           "2 + 3 = 5.</think>The answer is 5."   → "2 + 3 = 5." | "The answer is 5."
    before_answer  "2 + 3 = 5.\n\nSo it is \boxed{5}."    → "2 + 3 = 5." | "So it is \boxed{5}."

`before_answer` is for teachers that do not mark their thinking: the response starts with the line that
states the final answer (or the display maths it stands in), the reasoning is what comes before. Where code is asked
for, the response starts with the last code block.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from transforms.segment import construct_start
from transforms.types import DropReason
from transforms.verify.extract import final_answer, stated_answer

Thinking = Literal["auto", "tags", "before_answer"]
_CLOSE = "</think>"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class Parts(NamedTuple):
    """Both stripped of outer white space."""

    thinking: str
    response: str


class Unparsable(NamedTuple):
    """Why a text has no parts."""

    reason: DropReason
    detail: str


def split_thinking(raw: str, mode: Thinking = "auto", kind: str = "math") -> Parts | Unparsable:
    """Thinking and response of `raw`; `auto` takes tags where there are any. `kind` is the problem's answer_kind."""
    if mode == "tags" or (mode == "auto" and _CLOSE in raw):
        return _by_tags(raw)
    return _before_answer(raw, kind)


def _by_tags(raw: str) -> Parts | Unparsable:
    thinking, close, response = raw.partition(_CLOSE)
    if not close:
        return Unparsable(DropReason.NO_FINAL_ANSWER, f"no {_CLOSE}: the thinking never ended")
    before, opened, inside = thinking.partition("<think>")
    if opened and before.strip():
        return Unparsable(DropReason.BROKEN_TAGS, f"text before <think>: {before.strip()[:120]}")
    return _checked(inside if opened else thinking, response)


def _before_answer(raw: str, kind: str) -> Parts | Unparsable:
    answer = stated_answer(raw, kind) if kind == "code" else final_answer(raw)
    if answer is None or answer.rule == "whole":
        return Unparsable(DropReason.NO_FINAL_ANSWER, f"no final-answer statement; the text ends: {raw.strip()[-120:]}")
    start = construct_start(raw, answer.start)
    if not raw[:start].strip():  # all in one line: the last sentence is the statement
        ends = [found.end() for found in _SENTENCE_END.finditer(raw, 0, answer.start)]
        start = ends[-1] if ends else 0
    return _checked(raw[:start], raw[start:])


def _checked(thinking: str, response: str) -> Parts | Unparsable:
    parts = Parts(thinking.strip(), response.strip())
    if any(tag in text for tag in ("<think>", _CLOSE) for text in parts):
        return Unparsable(DropReason.BROKEN_TAGS, "thinking tags inside the thinking or the response")
    if not parts.thinking:
        return Unparsable(DropReason.EMPTY_TEXT, "no reasoning before the answer")
    if not parts.response:
        return Unparsable(DropReason.NO_FINAL_ANSWER, "nothing after the thinking")
    return parts
