"""Finds traces that repeat themselves: a model that lost its way and ran in a circle, often until it was cut.

    "… Wait, let me check again. 3 × 4 = 12. Wait, let me check again. 3 × 4 = 12. Wait, let me check …"

Two rules: the text ends in a unit that comes at least MIN_REPEATS times in a row, over MIN_CHARS characters; or one
paragraph comes at least MIN_PARAGRAPHS times and makes up MIN_SHARE of the text, wherever it stands.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

MIN_REPEATS, MIN_CHARS = 4, 240
MIN_PARAGRAPHS, MIN_SHARE = 5, 1 / 3
_SUFFIX_CHARS = 40
_PARAGRAPH_CHARS = 30  # shorter ones, as "Wait." or "$$", may well come often


class Loop(NamedTuple):
    """What is repeated, and how often."""

    unit: str
    repeats: int

    def describe(self) -> str:
        """For the drop's detail."""
        return f"{self.repeats} times: {self.unit.strip()[:200]}"


def repeated_loop(text: str) -> Loop | None:
    """The loop that makes a text degenerate, or None. Linear in the text's length."""
    return _at_end(text.rstrip()) or _of_paragraphs(text)


def _at_end(text: str) -> Loop | None:
    suffix = text[-_SUFFIX_CHARS:]
    before = text.rfind(suffix, 0, len(text) - 1)
    if before < 0 or len(suffix) < _SUFFIX_CHARS:
        return None
    period = len(text) - len(suffix) - before
    unit, repeats, end = text[-period:], 1, len(text) - period
    while text.endswith(unit, 0, end) and end >= period:
        repeats, end = repeats + 1, end - period
    if repeats < MIN_REPEATS or repeats * period < MIN_CHARS or not any(map(str.isalnum, unit)):
        return None
    return Loop(unit, repeats)


def _of_paragraphs(text: str) -> Loop | None:
    paragraphs = Counter(paragraph.strip() for paragraph in text.split("\n\n"))
    unit, repeats = max(
        paragraphs.items(), key=lambda item: (len(item[0]) >= _PARAGRAPH_CHARS) * item[1] * len(item[0])
    )
    long_enough = len(unit) >= _PARAGRAPH_CHARS and repeats * len(unit) >= MIN_SHARE * len(text)
    return Loop(unit, repeats) if repeats >= MIN_PARAGRAPHS and long_enough else None
