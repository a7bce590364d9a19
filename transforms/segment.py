r"""Lossless steps: spans that tile a text, cut at blank lines, never inside a construct.

    "First, 2 + 3 = 5.\n\n\[\n5\n\]\n" → Step(0, 19, "prose"), Step(19, 27, "display_math")

A step ends at a blank line unless a code fence, display maths (\[…\], $$…$$) or a LaTeX environment is
open there; what is never closed ends with the text. Blank lines belong to the step before them (to the
first step at the start). Tables and list items hold no blank lines, so they are never cut. One pass
over the lines: time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from transforms.configuration import Config as BaseConfig
from transforms.types import Drop, DropReason, SegmentedTrace, Step, Trace

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FENCE = re.compile(
    r"(?:[-*+][ \t]|\d{1,9}[.)][ \t]|[ \t])*+(`{3,}|~{3,})"
)  # in a list too; possessive: no backtracking
_MATH = re.compile(r"\\\\|\\\[|\\\]|\$\$|\\(begin|end)\{([A-Za-z]+\*?)\}")
_KINDS = (
    ("code", re.compile(r"\s*(?:`{3,}|~{3,})")),
    ("display_math", re.compile(r"\s*(?:\\\[|\$\$|\\begin\{)")),
    ("table", re.compile(r"\s*\|")),
    ("list", re.compile(r"\s*(?:[-*+•]|\d+[.)])\s")),
)
_CLOSERS = {"\\[": "\\]", "$$": "$$"}


class Config(BaseConfig):
    """`unit` is what a step is. Sentences and discourse cues are not there yet."""

    unit: Literal["paragraph"] = "paragraph"


def split_steps(text: str) -> tuple[Step, ...]:
    """Spans that tile `text`: joined, they are the text, for any string. The empty text has no steps.

    No step is only white space, unless the whole text is.
    """
    if not text:
        return ()
    starts = [0]
    after_blank = False
    for start, line, inside in _lines(text):
        blank = not line.strip()
        if not blank and after_blank and not inside and text[starts[-1] : start].strip():
            starts.append(start)
        after_blank = blank and not inside
    return tuple(
        Step(start, end, _kind(text, start)) for start, end in zip(starts, [*starts[1:], len(text)], strict=True)
    )


def construct_start(text: str, position: int) -> int:
    """Where the line that holds `position` starts, or the construct (fence, maths) that the line is in."""
    opened = 0
    for start, line, inside in _lines(text):
        if not inside:
            opened = start
        if start <= position < start + len(line):
            return opened
    return opened


def segment(trace: Trace, config: Config) -> Iterator[SegmentedTrace | Drop]:
    """A trace in steps, or a drop if it has no thinking."""
    steps = split_steps(trace.thinking)
    if not trace.thinking.strip():
        yield Drop(trace.id, "segment", DropReason.EMPTY_TEXT, "there is no thinking")
        return
    yield SegmentedTrace(trace.id, trace.problem, trace.model, trace.prompt, trace.thinking, trace.response, steps)


def _lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """(start, line, whether a construct was open where the line starts) for each line."""
    fence = ""
    open_math: list[str] = []
    for found in _LINE.finditer(text):
        line = found[0]
        inside = bool(fence or open_math)
        yield found.start(), line, inside
        marker = _FENCE.match(line)
        if fence:
            if marker and marker[1].startswith(fence) and not line[marker.end() :].strip():
                fence = ""
        elif marker and not open_math:
            fence = marker[1]
        else:
            _follow_math(line, open_math)


def _follow_math(line: str, open_math: list[str]) -> None:
    """Updates the stack of closers that display maths waits for."""
    for token in _MATH.finditer(line):
        if open_math and token[0] == open_math[-1]:
            open_math.pop()
        elif token[0] in _CLOSERS and not (open_math and open_math[-1] in _CLOSERS.values()):
            open_math.append(_CLOSERS[token[0]])
        elif token[1] == "begin":
            open_math.append(f"\\end{{{token[2]}}}")


def _kind(text: str, start: int) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.match(text, start)), "prose")
