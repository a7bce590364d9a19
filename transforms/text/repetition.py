"""Finds traces that repeat themselves: a model that lost its way and ran in a circle, often until it was cut.

    "… Wait, let me check again. 3 × 4 = 12. Wait, let me check again. 3 × 4 = 12. Wait, let me check …"

Two rules: the text ends in a unit that comes at least MIN_REPEATS times in a row, over MIN_CHARS characters (a unit without
letters, as the digits of 1/7, over MIN_CHARS_WITHOUT_LETTERS); or paragraphs that come at least MIN_PARAGRAPHS times make up
MIN_SHARE of the text, wherever they stand.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

MIN_REPEATS, MIN_CHARS, MIN_CHARS_WITHOUT_LETTERS = 4, 240, 2000
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
    enough = MIN_CHARS if any(map(str.isalpha, unit)) else MIN_CHARS_WITHOUT_LETTERS
    if repeats < MIN_REPEATS or repeats * period < enough:
        return None
    return Loop(unit, repeats)


def _of_paragraphs(text: str) -> Loop | None:
    counted = Counter(paragraph.strip() for paragraph in text.split("\n\n"))
    often = {
        paragraph: count
        for paragraph, count in counted.items()
        if count >= MIN_PARAGRAPHS and len(paragraph) >= _PARAGRAPH_CHARS
    }
    if sum(count * len(paragraph) for paragraph, count in often.items()) < MIN_SHARE * len(text) or not often:
        return None
    return Loop(*max(often.items(), key=lambda item: item[1] * len(item[0])))
