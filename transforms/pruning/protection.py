"""Steps that no method with a budget deletes: the first, the last one that has the final answer, and code that the response quotes."""

from __future__ import annotations

from collections.abc import Sequence

from transforms.answers.statements import fenced, has_answer, lines
from transforms.core.records import (
    SegmentedTrace,
)

QUOTED = "code that the response quotes"


def protected(trace: SegmentedTrace) -> dict[int, str]:
    """The steps that no ranking may delete, and why."""
    texts = trace.texts
    spared = dict.fromkeys(quoted_steps(trace), QUOTED)
    if (last := _last_with(trace.answer, texts)) is not None:
        spared[last] = "has the final answer"
    if texts:
        spared[0] = "the first step"
    return spared


def _last_with(answer: str, texts: Sequence[str]) -> int | None:
    """The last text that has the answer as a value of its own."""
    if not answer:
        return None
    return next((number for number in reversed(range(len(texts))) if has_answer(texts[number], answer)), None)


def quoted_steps(trace: SegmentedTrace) -> list[int]:
    """The steps with a fenced block of code whose lines stand in the response, one after another, however far indented."""
    places = [_lined(trace.response), *map(_lined, fenced(trace.response))]
    bodies = [[body for body in map(_lined, fenced(text)) if body.strip()] for text in trace.texts]
    return [step for step, found in enumerate(bodies) if any(body in place for body in found for place in places)]


def _lined(code: str) -> str:
    """Its lines, each between two ends of lines."""
    return "\n" + "\n".join(line.strip() for line in lines(code)) + "\n"
