r"""Lossless steps: spans that tile a text, cut where the unit says, never inside a construct.

    "First, 2 + 3 = 5.\n\n\[\n5\n\]\n" → Step(0, 19, "prose"), Step(19, 27, "display_math")

| unit | a step ends |
|---|---|
| paragraph | at a blank line |
| sentence | where a sentence ends (spaCy), and at a line that does not go on with a small letter |
| cue | before a sentence that opens with a turn of the discourse: "Wait", "Alternatively", "Step 3" … |
| confidence | before a token that the scorer finds unlikely, as AdaptiveStep does (arXiv 2502.13943) |

White space belongs to the step before it, at the start of a text to the first step. Only the unit confidence gives the
space before its token to the new step, so that a token never lies in two steps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal

from transforms.core.records import Step
from transforms.inference.requests import TokenScores
from transforms.text.constructs import blocks, kind, outside, whole
from transforms.text.discourse import opens_with_a_turn, sentence_starts

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*+\n)+")
_VISIBLE = re.compile(r"\S")
_NEW_LINE = re.compile(r"\n\s*+")
_DISPLAY_MATHS = ("\\[", "\\]", "$$")  # a line of it goes on with the sentence


def split_steps(text: str, unit: Literal["paragraph", "sentence", "cue"] = "paragraph") -> tuple[Step, ...]:
    """Spans that tile `text`: joined, they are the text, for any string. The empty text has no steps.

    No step is only white space, unless the whole text is.
    """
    if unit == "paragraph":
        return _steps(text, outside((found.end() for found in _BLANK_LINES.finditer(text)), blocks(text)))
    constructs = whole(text)
    candidates = {found.end() for found in _BLANK_LINES.finditer(text)} | set(sentence_starts(text))
    for found in _NEW_LINE.finditer(text):
        if not text.startswith(_DISPLAY_MATHS, found.end()) and not text[found.end() : found.end() + 1].islower():
            candidates.add(found.start() + found[0].rindex("\n") + 1)
    starts = list(outside(sorted(candidates - {len(text)}), constructs))
    return _steps(text, starts if unit == "sentence" else opens_with_a_turn(text, starts))


def split_at_doubt(text: str, tokens: TokenScores, quantile: float) -> tuple[Step, ...]:
    """Steps that begin where the scorer is least sure of the token: the `quantile` of them, never inside a construct.

    AdaptiveStep (arXiv 2502.13943) takes one threshold for a corpus; here it is each trace's own, so that steps do not
    depend on other traces.
    """
    known = sorted(
        (value, start)
        for start, value in list(zip(tokens.starts, tokens.logprobs_nats, strict=True))[1:]
        if value is not None and not math.isnan(value)
    )
    doubtful = {start for _, start in known[: max(round(quantile * len(known)), 1)]}
    return _steps(text, outside(sorted(doubtful), whole(text)))


def _steps(text: str, starts: Iterable[int]) -> tuple[Step, ...]:
    """The steps that begin at the given places, in order; a place that would leave a step blank is passed over."""
    if not text:
        return ()
    taken, end = [0], len(text.rstrip())
    visible = _first_visible(text, 0)
    for start in starts:
        if visible < start < end:
            taken.append(start)
            visible = _first_visible(text, start)
    ends = [*taken[1:], len(text)]
    return tuple(Step(start, end, kind(text, start, end)) for start, end in zip(taken, ends, strict=True))


def _first_visible(text: str, start: int) -> int:
    found = _VISIBLE.search(text, start)
    return found.start() if found else len(text)
