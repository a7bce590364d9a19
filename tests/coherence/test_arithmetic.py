"""False is only what cannot be right; what cannot be told is unknown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.coherence.arithmetic import arithmetic, judged
from transforms.coherence.expressions import read
from transforms.core.records import Arithmetic


def verdicts(*texts: str) -> list[str]:
    return [one.verdict.value for one in judged(texts, [read(text) for text in texts])]


TRUE = [
    "3 \\times 400 = 1,\\!200",
    "- 12 × 5 = 60",
    "The model says 51 × 68 = 3468.",
    "3 × 4 = 12.",
    "\\[ 51 \\cdot 68 + 16 = 3484 \\]",
    "15 times 3 is 45.",
    "20% of $100 is $20.",
    "10 mph * 3 hours = 30 miles",
    "9 divided by 3/4 is 12.",
    "\\frac{12}{4} = 3",
    "multiplying 3 by 4, which gives 12",
    "4! = 24",
]
ROUNDED = ["12 - 2.333 = 9.666", "2 ÷ 3 = 0.67", "80 / 3 = 26.6", "100 / 7 = 14", "4.285 * 7 = 30", "1 / 3 = 0.333..."]
FALSE = [
    "- 12 × 5 = 62",
    "The model says 51 × 68 = 3528.",
    "$1,250.50 + $3,000.25 = $4,254.75",
    "$120.50 + $10.25 = $130.85",
    "12345 / 2 = 6178.5",
    "$12.50 × 200 = $2,501",
    "51 × 68 = 3528.",
    "\\[ 51 \\cdot 68 = 3528 \\]",
    "3032 + 2136 is 5068.",
    "15 times 3 equals 46.",
    "10 miles + 3 miles = 14 miles",
    "141 + 10 is 151, plus 2 is 453",
    "195 divided by 3 is 85.",
    "2.40 * 5 = 12.50",
    "multiplying 3 by 4, which gives 13",
    "\\frac{12}{4} = 5",
    "20% of 80 is 18.",
    "50 - (4 + 11 + 33) = 12",
]
UNKNOWN = [  # (real traces have all of these): they look false to a parser that reads less than is there
    "2A + 30 = 56",
    "12L + 4*(2L) = 120",
    "7N + 53 = 208",
    "2Tri + 14 + 3Tri = 44",
    "So 90 + year2 + 45 = 200.",
    "If 1/3 is 5 pages, go on.",
    "1/4 gallon would be 2 pints.",
    "6*30=180-100",
    "900, minus 2*30 = 60",
    "30*30=900, minus 2*30=60",
    "320, plus 8 times 4 is 32",
    "6 inches + 3 feet = 42 inches",
    "3 h + 24 min = 4 h",
    "400-488 is 89 numbers",
    "-50 + 100 = 190",
    "4 fewer seconds * 30 points = -120",
    "$600 + 30% = $780",
    "40 minutes minus 10% of 40, which is 4 minutes",
    "6 multiplied by (20 -12)=8",
    "multiply by 4/3=1.417",
    "sqrt(0 +0 +81)=9",
    "ln(7/3)/ln(2) = 0",
    "100800 + 60480 = 169, 344",
    "82 + 152 = 172",
    "130 - 82=66, so sqrt(66)",
    "2^13 = 2 mod 7",
    "0.2 × 3 = 60",
    "log3 + log4 = 12",
    "I have 3/4 cups, 9 are in it.",
    "3 and 4 * 5 = 23",
    "x(3) + 4 = 9",
    "two plus 3 = 6",
    "So it is (62.5 /75)*100 = 83.3%.",
    "Is 12 × 5 = 70?",
    "If 12 × 5 = 70, then",
    "In base 6, 5 * 5 = 41.",
    "11 + 3 = 2 on the clock",
    "7*21=147,147+53=200",
    "10, 000 + 5 = 10,005",
    "5 hours 30 minutes * 2 = 11 hours",
    "2\\text{Tri} + 14 + 3\\text{Tri} = 44",
    "447,897,600,000 / 1024 = 437,399,999,999.999...",
    "\\frac{11}{4} = 2\\frac{3}{4}",
]


@pytest.mark.parametrize("text", TRUE)
def test_true(text: str) -> None:
    assert set(verdicts(text)) == {"true"}


@pytest.mark.parametrize("text", ROUNDED)
def test_right_by_rounding(text: str) -> None:
    assert verdicts(text) == ["rounded"]


@pytest.mark.parametrize("text", FALSE)
def test_false(text: str) -> None:
    assert verdicts(text)[-1] == "false"


@pytest.mark.parametrize("text", UNKNOWN)
def test_unknown(text: str) -> None:
    assert "false" not in verdicts(text)


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["3032 + 2136 = 5068.", "Wait, it's 5168."], "corrected"),
        (["3032 + 2136 = 5068.", "Hmm.", "Hm.", "Hm.", "Again: 3032 + 2136 = 5168."], "corrected"),
        (["3032 + 2136 = 5068.", "Hmm.", "Hm.", "5168 more."], "false"),
        (["3032 + 2136 = 5068.", "So it is right."], "false"),
        (["It is 5168.", "3032 + 2136 = 5068."], "false"),
        (["3032 + 2136 = 5068, no wait, 5168."], "corrected"),
    ],
)
def test_corrected_later(texts: list[str], first: str) -> None:
    assert first in verdicts(*texts)


def test_counts_and_what_is_false() -> None:
    texts = ["3 + 4 = 7 and 2 / 3 = 0.67.", "51 × 68\n= 3528.", "x(3) + 4 = 9, 3 + 5 = 9.", "It is 8."]
    found = arithmetic(texts, [read(text) for text in texts])
    assert found == Arithmetic(
        num_true=1, num_rounded=1, num_false=1, num_corrected=1, num_unknown=1, false_equations=("51 × 68 = 3528",)
    )


@given(
    st.integers(0, 10**6),
    st.integers(1, 10**6),
    st.sampled_from(["+", "-", "×", "÷", "times", "divided by"]),
    st.data(),
)
def test_exactness(left: int, right: int, sign: str, data: Any) -> None:
    """What is right is true or rounded, whatever its size; one digit more or less is not."""
    value = {"+": left + right, "-": left - right}.get(sign, left * right if sign in ("×", "times") else left // right)
    if value < 0 or (sign in ("÷", "divided by") and left % right):
        return
    assert verdicts(f"So {left:,} {sign} {right} = {value:,}.") == ["true"]
    wrong = value + data.draw(st.sampled_from([-1, 1, 7]))
    said = f"So {left:,} {sign} {right} = {wrong:,}."
    if value and wrong > value / 10 and wrong not in (right, 100 * value, 1000 * value):
        assert verdicts(said) == ["false"]
