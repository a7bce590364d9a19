"""Is what a text computes right? Each equation of numbers is judged exactly; "false" only where nothing else can be meant.

    "3 × 4 = 12." → true     "2 ÷ 3 = 0.67." → rounded     "51 × 68 = 3528." → false     "…, no: 51 × 68 = 3468." → corrected
    "6*30=180-100=80" → unknown, as its first side is not all that is compared

False is an equation whose left side works something out, whose right side is one number, and beside which nothing stands that may belong
to it (`expressions.Equation.clean`); it is no rounding, and not a hundred or a thousand times what is right, or
that part of it (percent, cents, thousands). All
else that is not equal is unknown. It is corrected where the true value follows in the same step or the next two, or the same left
side is computed rightly later.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from transforms.coherence.expressions import read
from transforms.coherence.reading import Equation, Reading, values_of
from transforms.core.records import Arithmetic

_SOON = 2  # steps
_LOST_POWER = re.compile(r"(?<![\d.,])(\d{1,3})([23])(?![\d.,]*\d)")
_OTHER_UNITS = (Fraction(100), Fraction(1, 100), Fraction(1000), Fraction(1, 1000))
_CLOSE = Fraction(1, 1000)


class Verdict(StrEnum):
    """What is known of an equation."""

    TRUE = "true"
    ROUNDED = "rounded"
    FALSE = "false"
    CORRECTED = "corrected"
    UNKNOWN = "unknown"


class Judged(NamedTuple):
    """An equation of a step, and what is known of it."""

    step: int
    equation: Equation
    verdict: Verdict


def judged(texts: Sequence[str], readings: Sequence[Reading]) -> Iterator[Judged]:
    """The equations of a text in steps, in order."""
    for step, reading in enumerate(readings):
        for number, equation in enumerate(reading.equations):
            verdict = _verdict(equation)
            if verdict == Verdict.FALSE and _has_lost_powers(texts[step][equation.start : equation.end]):
                verdict = Verdict.UNKNOWN
            if verdict == Verdict.FALSE and _is_corrected(equation, number, readings[step:]):
                verdict = Verdict.CORRECTED
            yield Judged(step, equation, verdict)


def arithmetic(texts: Sequence[str], readings: Sequence[Reading]) -> Arithmetic:
    """What is known of all equations of a text in steps, and which of them are false."""
    found = list(judged(texts, readings))
    counts = Counter(one.verdict for one in found)
    false = [texts[one.step][one.equation.start : one.equation.end] for one in found if one.verdict == Verdict.FALSE]
    return Arithmetic(
        **{f"num_{verdict}": counts[verdict] for verdict in Verdict},
        false_equations=tuple(" ".join(text.split()) for text in false),
    )


def _verdict(equation: Equation) -> Verdict:
    left, right = Fraction(equation.left), Fraction(equation.right)
    if left == right:
        return Verdict.TRUE
    unit = Fraction(1, 10 ** max(equation.places, 0))
    if equation.places >= 0:
        is_cut = bool(left % unit)  # it has more places than the right side shows
        if is_cut and abs(left - right) < unit:
            return Verdict.ROUNDED
        if abs(left - right) <= unit / 2 + max(Fraction(equation.slack), abs(left) * _CLOSE if is_cut else Fraction(0)):
            return Verdict.ROUNDED
    tolerance = unit if equation.places > 0 else Fraction(0)
    if not equation.clean or any(abs(left - right * factor) <= factor * tolerance for factor in _OTHER_UNITS):
        return Verdict.UNKNOWN
    return Verdict.FALSE


def _has_lost_powers(text: str) -> bool:
    """Whether it is right with squares whose exponents have become digits: 82 + 152 = 172."""
    left, relation, right = text.rpartition("=")
    powers = _LOST_POWER.sub(r"\1^\2", left)
    readings = (read(f"{powers}{relation}{side}") for side in (right, _LOST_POWER.sub(r"\1^\2", right)))
    return any(one.left == one.right for reading in readings for one in reading.equations)


def _is_corrected(equation: Equation, number: int, readings: Sequence[Reading]) -> bool:
    """`readings` are of the equation's step and all later ones."""
    later = [*readings[0].equations[number + 1 :], *(one for reading in readings[1:] for one in reading.equations)]
    if any(one.left == equation.left == one.right for one in later):
        return True
    behind = {one.value for one in readings[0].mentions if one.start >= equation.end}
    return abs(equation.left) in behind.union(*(values_of(reading.mentions) for reading in readings[1 : 1 + _SOON]))
