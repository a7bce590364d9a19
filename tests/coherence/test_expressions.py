"""What a sentence computes is read exactly, or not at all."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.coherence.expressions import read
from transforms.coherence.tokens import Tokens, Value
from transforms.coherence.vocabulary import Kind


def numbers(text: str) -> list[str]:
    return [str(one.value) for one in read(text).mentions]


def made(text: str) -> set[str]:
    return {str(one.value) for one in read(text).made}


def equations(text: str) -> list[tuple[str, str]]:
    return [(str(one.left), str(one.right)) for one in read(text).equations]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He has 1,234 pens and .5 kg.", ["1234", "1/2"]),
        ("2{,}500 metres", ["2500"]),
        ("It costs $30k, or 1.2 million, or 1,\\!200.", ["30000", "1200000", "1200"]),
        ("2\\frac{3}{4} cups", ["11/4"]),
        ("- 12 pens\n• 13 pens\n* 14", ["12", "13", "14"]),
        ("a 20% discount", ["20"]),
        ("5 1/2 cups and 5½ more", ["11/2", "11/2"]),
        ("twenty-five and two-thirds", ["25", "2/3"]),
        ("a third of 45", ["1/3", "45"]),
        ("the third of 5 books", ["1/3", "5"]),  # "of" decides
        ("the third book has 45 pages", ["45"]),
        ("3 million people", ["3000000"]),
        ("1. First, 7 pens.\n2) Then 8.\n - 3. Then 9.", ["7", "8", "9"]),
        ("Step 3: in case 4, equation (5) and the 6th, #7, at 8:30, 9 stay.", ["5", "9"]),
        ("x1 is 4, x_2 is 5", ["4", "5"]),
        ("K must be at least26", ["26"]),
        ("10mph and 12 Tri", ["10", "12"]),
        (f"{'9' * 41} and 3", ["3"]),
        ("", []),
    ],
)
def test_numbers(text: str, expected: list[str]) -> None:
    assert numbers(text) == expected


def test_a_percentage_is_two_values() -> None:
    one = read("25% of 80 is 20").mentions[0]
    assert (one.value, one.share) == (25, Fraction(1, 4))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15 times 3.", {"45"}),
        ("10 mph * 3 hours = 30 miles", {"30"}),
        ("80 (Monday) + 12 (Tuesday and Wednesday) + 28", {"92", "120"}),
        ("5 questions/hour * 6 hours", {"30"}),
        ("$3/bag × 4 bags", {"12"}),
        ("half of 40, and 25% of the remaining $80", {"20"} | {"20"}),
        ("3/5 of 700", {"3/5", "420"}),
        ("9 divided by 3/4", {"3/4", "12"}),
        ("60/5/3", {"12", "4"}),
        ("\\[ 9 \\times \\frac{2}{3} = 6 \\text{ hours} \\]", {"2/3", "6"}),
        ("\\frac12 + \\dfrac{1}{2}", {"1/2", "1"}),
        ("3(4 + 5) and (2)(3)", {"9", "27", "6"}),
        ("5! / (2! × 3!)", {"120", "2", "6", "12", "10"}),
        ("5² + 2^3 + \\sqrt{16} + √9", {"25", "8", "33", "4", "37", "3", "40"}),
        ("two dozen", {"24"}),
        ("twice 8", {"16"}),
        ("multiplying 3 by 2, then adding 4 and 5, subtracting 2 from 9", {"6", "9", "7"}),
        ("the sum of 3 and 4", {"7"}),
        ("-3 + 5", {"2"}),
        ("5(C + 7)", {"35"}),
        ("3x = 180", set()),  # to solve it is a step of its own
        ("x + (x + 20) + (x + 10)", {"2", "3", "30"}),
        ("4 x 3", {"12"}),
        ("56 over 2", {"28"}),
        ("$2.40 * 5", {"12"}),
    ],
)
def test_expressions(text: str, expected: set[str]) -> None:
    assert made(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "400-488 is a range that x + y has",  # 400 − 488 is worked out, and nothing else
        "f(2) = 4",
        "2A + 30 = x",
        "3 apples, 4 pears",
        "10/0",
        "2^999999999",
        "10 million million^64",
    ],
)
def test_what_cannot_be_worked_out_is_left(text: str) -> None:
    assert made(text) <= {"88", "10000000"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3 × 4 = 12", [("12", "12")]),
        ("6 + (4*2) = 6 +8=14, then 14*8=112.", [("14", "14"), ("14", "14"), ("112", "112")]),
        ("141 + 10 is 151, plus 2 is 153", [("151", "151"), ("153", "153")]),
        ("4 times 3, which is 12", [("12", "12")]),
        ("so 3 weeks is indeed 21 days", [("3", "21")]),
        ("x = 5", []),
        ("\\boxed{3 + 4 = 7}", [("7", "7")]),
    ],
)
def test_equations(text: str, expected: list[tuple[str, str]]) -> None:
    assert equations(text) == expected


def test_names() -> None:
    reading = read("Let x be the number of pens, so y = 2x + 3 on the x-axis; I have a pen.")
    assert (reading.uses, reading.sets) == ({"x", "y"}, {"x", "y"})
    assert read("2x + 3 = 13").sets == frozenset()


def test_known_names_are_numbers() -> None:
    known: dict[str, Value] = {}
    read("L = 9", known)
    assert [str(one.value) for one in read("L + 7 = 16", known).made] == ["16"]
    read("L is 8", known)
    assert known == {"L": 8}


@pytest.mark.parametrize(
    ("text", "operands", "chained", "supposed"),
    [
        ("So 3 + 4 = 7.", [True, True, False], [False, False, True], [False] * 3),
        ("She has 7.", [False], [False], [False]),
        ("If x = 5, say, 6", [False, False], [False, False], [True, True]),
    ],
)
def test_how_numbers_are_mentioned(text: str, operands: list[bool], chained: list[bool], supposed: list[bool]) -> None:
    mentions = read(text).mentions
    assert [one.operand for one in mentions] == operands
    assert [one.chained for one in mentions] == chained
    assert [one.supposed for one in mentions] == supposed


class Said(NamedTuple):
    """An expression in words and signs, and as Python computes it; None where it divides by zero."""

    text: str
    value: Fraction | None


OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add, "plus": operator.add, "−": operator.sub, "×": operator.mul, "times": operator.mul, "\\cdot": operator.mul,
    "÷": operator.truediv, "/": operator.truediv, "divided by": operator.truediv,
}  # fmt: skip


@st.composite
def sums(draw: st.DrawFn, depth: int = 3) -> Said:
    """In brackets, so that nothing depends on which sign binds first."""
    sign = draw(st.sampled_from(sorted(OPERATIONS)))
    left, right = (draw(sums(depth - 1)) if depth and draw(st.booleans()) else draw(literals) for _ in range(2))
    text = f"({left.text} {sign} {right.text})"
    if left.value is None or right.value is None:
        return Said(text, None)
    try:
        return Said(text, OPERATIONS[sign](left.value, right.value))
    except ZeroDivisionError:
        return Said(text, None)


literals = st.integers(0, 9999).map(lambda value: Said(f"{value:,}", Fraction(value))) | st.decimals(
    0, 99, places=2
).map(lambda value: Said(str(value), Fraction(value)))


@given(sums())
def test_values_are_those_of_python(said: Said) -> None:
    if said.value is not None:
        assert abs(said.value) in {one.value for one in read(f"So {said.text} it is.").made}


@given(st.text(alphabet="0123456789.,+-*/=()[]{}^%!$\\ \nabxyz½²√", max_size=60))
def test_any_text_is_read(text: str) -> None:
    reading = read(text)
    assert all(one.value >= 0 for one in reading.mentions)
    assert all(0 <= one.start < one.end <= len(text) for one in reading.equations)


@given(st.text(max_size=80))
def test_tokens_are_in_order(text: str) -> None:
    tokens = Tokens(text)
    assert tokens.kinds[-1] == Kind.BREAK
    assert all(start <= end for start, end in zip(tokens.starts, tokens.ends, strict=True))
    assert tokens.starts == sorted(tokens.starts)


@pytest.mark.parametrize(
    "piece",
    ["(", "-", "3 + ", "1,", "√", "2^", "x = ", "\\frac{", "3 (a) ", "one ", "9", "a ", "* ", "3 is ", "(1) ", "\n1."],
)
def test_time_is_linear(piece: str) -> None:
    def seconds(size: int) -> float:
        text, found = piece * (size // len(piece)), []
        for _ in range(3):
            started = time.process_time()
            read(text)
            found.append(time.process_time() - started)
        return min(found)

    assert seconds(40_000) < 10 * max(seconds(10_000), 0.005)
