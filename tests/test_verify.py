"""Answers found and judged; hangs and crashes cost only themselves."""

from __future__ import annotations

import gzip
import json
import os
import re
import time
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import reasoning_gym
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import problem
from tests.conftest import shared
from transforms.answers.extract import plain
from transforms.answers.numbers import lone_number, stated_number
from transforms.core.records import Outcome, Problem
from transforms.judging import Config, final_answer, judge_response, judge_within, stated_answer, workers
from transforms.judging.gym_scorers import EVALUATES_ANSWERS
from transforms.judging.judgement import Judgement
from transforms.judging.workers import judge_all
from transforms.sandbox.bubblewrap import Limits


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("so \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}", "boxed"),
        ("\\boxed{1}\n\nthen \\boxed{2}", "2", "boxed"),
        ("\\boxed{1} then \\boxed{2", "1", "boxed"),
        ("\\boxed {7}", "7", "boxed"),
        ("The final answer is 42.", "42", "statement"),
        ("**Answer:** 3.5", "3.5", "statement"),
        ("The answer is $\\frac{3}{4}$.", "\\frac{3}{4}", "statement"),
        ("The answer is 1,234. I am sure.", "1,234", "statement"),
        ("The answer is 5.\nSo the answer is clear.", "5", "statement"),
        ("The answer is 5 because 2+3", "5", "statement"),
        ("Answer:\n5", "5", "statement"),
        ("### Final Answer\n\n5", "5", "statement"),
        ("The answer is\n\\[ 5 \\]", "5", "statement"),
        ("The answer is Paris.", "Paris", "statement"),
    ],
)
def test_final_answer(text: str, answer: str, rule: str) -> None:
    found = final_answer(text)
    assert found is not None
    assert (plain(found.answer), found.rule) == (plain(answer), rule)


@pytest.mark.parametrize(
    ("response", "kind", "answer", "rule"),
    [
        ("She needs **25** eggs.\n\nSo Ann buys **3 boxes** of them.", "math", "3 boxes", "bold"),
        ("Answer: Ann has 25 eggs, and 3 boxes hold them.\n\nThus **84 eggs**.", "math", "84 eggs", "bold"),
        ("Answer: Ann has 25 eggs. Half of them make 12. Therefore, the answer is 12.", "math", "12", "statement"),
        ("There are\n\n18 eggs left.", "math", "18 eggs left.", "closing"),
        ("C", "choice", "C", "closing"),
        ("The others are wrong. Thus, (A) is the correct answer.", "choice", "A", "statement"),
        ("FINAL ANSWER: C", "choice", "C", "statement"),
        ("Paris", "text", "Paris", "closing"),
        ("It is in France.\nI think so.", "text", None, None),
        ("x", "code", "x", "whole"),
        ("First\n```python\na = 1\n```\nthen\n```python\nb = 2\n```\nand\n```\n3\n```\n", "code", "b = 2\n", "fence"),
        ("```\nb = 2\n```", "code", "b = 2\n", "fence"),
        ("```python\nb = 2", "code", None, None),
        (" ", "math", None, None),
    ],
)
def test_the_answer_of_a_whole_response(response: str, kind: str, answer: str | None, rule: str | None) -> None:
    found = stated_answer(response, kind)
    assert (found and found.answer, found and found.rule) == (answer, rule)
    if found:
        assert response[found.answer_start : found.answer_end] == found.answer


@given(st.text() | st.text(alphabet="\\boxed{}answer is:1 \n*`A"), st.sampled_from(["math", "choice", "text", "code"]))
def test_an_answer_is_where_it_says(response: str, kind: str) -> None:
    found = stated_answer(response, kind)
    assert found is None or response[found.answer_start : found.answer_end] == found.answer


@pytest.mark.parametrize(
    ("sentence", "value"),
    [
        ("Gerald has \\$50 left", 50),
        ("Jordan would earn \\$1,140 in one week", 1140),
        ("The temperature is −5 degrees", -5),
        ("Tom has **3** of the 7 cards", 3),
        ("It costs $2.50 a piece", Fraction(5, 2)),
        *(
            (text, None)
            for text in (
                "3 or 4 eggs",
                "not 5",
                "it isn't 5",
                "5 million people",
                "half of 10",
                "x^2 is 5",
                "5 plus one",
                "about 3/4 of it",
                "5-6 eggs",
                "is it 5?",
                "twice 5 eggs",
                "**3** and **4**",
                "room 5b",
            )
        ),
    ],
)
def test_the_number_that_a_sentence_states(sentence: str, value: Fraction | None) -> None:
    found = stated_number(sentence)
    assert (found and found.value) == value


@given(st.text() | st.text(alphabet="0123456789.,/-+ %ab()\\*$"))
def test_stated_number_takes_any_text(text: str) -> None:
    stated_number(text)


@pytest.mark.parametrize(
    ("response", "kind", "answer", "rule"),
    [
        ("The two roots are $\\boxed{3}$ and $\\boxed{5}$.", "math", "3, 5", "boxes"),
        ("First \\boxed{3}.\n\nSo in all \\boxed{5}.", "math", "5", "boxed"),
        ("$\\boxed{\\boxed{5}}$", "math", "5", "boxed"),
        ("The answer is not \\boxed{18}.", "math", "18", "retracted"),
        ("\\boxed{18}\n\nWait, that's wrong. **Answer: 20**", "math", "18", "retracted"),
        ("\\boxed{18} is wrong; it is 20.", "math", "18", "retracted"),
        ("The answer is 18. Wait, that is wrong. It should be 20.", "math", "18", "retracted"),
        ("\\boxed{C}. Option A is incorrect because it is blue.", "choice", "C", "boxed"),
        ("So the final answer is:\n\n\\[\n18\n\\]", "math", "18", "statement"),
        ("**Answer: $\\frac{1}{2}$**", "math", "\\frac{1}{2}", "statement"),
        ("**The correct answer is C.**", "choice", "C.", "statement"),
        ("To find the answer: 3 apples. Then **18** in all.", "math", "18", "bold"),
        ("Answer - 18", "math", "18", "statement"),
        ("<answer>C</answer>", "choice", "C", "tagged"),
        ("Statement A is correct.\n\nStatement B is false.\n\nThe answer is (B).", "choice", "(B).", "statement"),
        ("I don't think C is correct.", "choice", "I don't think C is correct.", "closing"),
        ("Either A or C is correct.\nI cannot say.", "choice", None, None),
        ("Reasoning.\n\n**C**", "choice", "**C**", "closing"),
        ("The answer is A. London", "choice", "A. London", "statement"),
        ("Answer: St. Louis", "text", "St. Louis", "statement"),
        (
            "```python\ndef f(x):\n    return x\n```\n\nUse it so:\n```python\nprint(f(3))\n```",
            "code",
            "def f(x):\n    return x\n",
            "fence",
        ),
        ("1. So:\n   ```python\n   def f(x):\n       return x\n   ```\n", "code", "def f(x):\n    return x\n", "fence"),
        ("I cannot write this program.", "code", None, None),
    ],
)
def test_what_a_response_states_in_less_usual_ways(
    response: str, kind: str, answer: str | None, rule: str | None
) -> None:
    found = stated_answer(response, kind)
    assert (found and found.answer, found and found.rule) == (answer, rule)


@pytest.mark.parametrize(
    "response",
    [
        "x = \\boxed{6}",
        "\\[ \\boxed{6} \\]",
        "\\[\n\\boxed{6}\n\\]",
        "\\boxed{6} dollars",
        "**\\boxed{6}**",
        "__\\boxed{6}__",
        "\\boxed{6}.",
        "\\boxed{6}!",
        "$\\boxed{6}$ apples",
        "3 \\times 2 = \\boxed{6}",
        "$\\frac{12}{2}= \\boxed{6}$",
        "$3!=\\boxed{6}$",
        "\\therefore \\boxed{6}",
        "\\approx \\boxed{6}",
        "n \\in \\boxed{6}",
        "\\[ r = 2\\pi \\]\n\n\\boxed{6}",
        "- \\boxed{6}",
        "* \\boxed{6}",
        "2. \\boxed{6}",
        "> \\boxed{6}",
        "=> \\boxed{6}",
        "<b>\\boxed{6}</b>",
        "Answer - \\boxed{6}",
        "\\boxed{6} - this is the answer.",
        "\\text{Answer: }\\boxed{6}",
        "\\textbf{\\boxed{6}}",
        "\\textcolor{red}{\\boxed{6}}",
        "\\underline{\\boxed{6}}",
        "(\\boxed{6})",
        "\\$\\boxed{6}",
        "\\boxed{6}\\%",
        "$\\boxed{6}^\\circ$",
        "\\boxed{6}\\text{ cm}^2",
        "\\boxed{6}th floor",
        "\\boxed{6} dozen eggs",
        "\\boxed{6} to 2 decimal places",
        "\\begin{align*}\nx &= 12 - 6 \\\\\n&= \\boxed{6}\n\\end{align*}",
        "x \\equiv \\boxed{6} \\pmod{7}",
        "The students who did not vote are \\boxed{6}.",
        "Since $x \\neq 2$, \\boxed{6}",
        "If not, \\boxed{6}.",
        "$\\boxed{6}$ (not 7)",
        "\\boxed{6} \\qquad \\square",
        "No, it's \\boxed{6}.",
        "\\boxed{6}\n\n2 of them are odd, and no other is.",
        "\\boxed{6}. So the answer is 6.",
        "答案是 \\boxed{6}。",
    ],
)
def test_what_stands_around_a_box_and_changes_nothing(response: str) -> None:
    found = stated_answer(response, "math")
    assert found is not None
    assert (found.answer, found.rule) == ("6", "boxed")


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        *(
            (response, "math")
            for response in (
                "$-\\boxed{6}$",
                "x = - \\boxed{6}",
                "5 - \\boxed{6}",
                "\\frac{1}{\\boxed{6}}",
                "\\frac{\\boxed{6}}{2}",
                "\\frac{1}{2}\\boxed{6}",
                "\\sqrt{\\boxed{6}}",
                "\\sqrt[3]{\\boxed{6}}",
                "2\\boxed{6}",
                "2 \\times \\boxed{6}",
                "x\\boxed{6}",
                "2^{\\boxed{6}}",
                "f(\\boxed{6})",
                "0.\\boxed{6}",
                "\\boxed{6}^2",
                "{\\boxed{6}}^2",
                "\\boxed{6}²",
                "\\boxed{6}.5",
                "\\boxed{6},000",
                "\\boxed{6}\\pi",
                "\\boxed{6} \\times 10^3",
                "\\boxed{6} + 1",
                "\\boxed{6}/7",
                "\\boxed{6}x",
                "$\\boxed{6}!$",
                "\\boxed{6} million dollars",
                "$\\boxed{6} \\text{ million}$",
                "\\boxed{6} thousand",
                "\\boxed{6} squared",
                "x \\neq \\boxed{6}",
                "x \\not= \\boxed{6}",
                "x != \\boxed{6}",
                "x ≠ \\boxed{6}",
                "x < \\boxed{6}",
                "x > $\\boxed{6}$",
                "x <= \\boxed{6}",
                "\\boxed{6} < x",
                "Either \\boxed{6} or 7.",
                "\\boxed{6} or $7$",
                "\\boxed{6}\\text{ or }7",
                "It cannot be \\boxed{6}.",
                "It isn't \\boxed{6}, it is 5.",
                "It is not equal to $\\boxed{6}$.",
                "less than \\boxed{6}",
                "The wrong answer is \\boxed{6}.",
                "So \\boxed{6}. Actually, no: the answer should be 5.",
                "\\boxed{6}. Actually, 5.",
                "\\boxed{6}\n\nActually 5.",
                "\\boxed{6}. On second thought, it's 5.",
                "\\boxed{6}. That is not correct.",
                "\\boxed{6}. Sorry, 5 is right.",
                "\\boxed{16}. So the answer is 6.",
                "The answer is 6. Actually, 5.",
                "**6** is not the answer.",
                "Is it \\boxed{6}?",
                "\\boxed{6} does not work.",
                "\\boxed{6} (wrong)",
                "\\boxed{6}. But that can't be right.",
                "(\\boxed{6})^2",
                "x \\in (\\boxed{6}, 7)",
                "-\\left(\\boxed{6}\\right)",
                "\\log_{2} \\boxed{6}",
                "\\boxed{6}{,}000",
                "\\boxed{6}\\ldots",
            )
        ),
        ("\\boxed{B} Actually A.", "choice"),
        ("\\boxed{B} or C.", "choice"),
        ("The answer is B.\n\nActually, I think the answer might be A.", "choice"),
        ("The answer is B.\nNo, it's A.", "choice"),
    ],
)
def test_what_changes_an_answer_or_takes_it_back(response: str, kind: str) -> None:
    found = stated_answer(response, kind)
    assert found is not None
    assert not found.stands


@pytest.mark.parametrize("words", ["incorrect option", "wrong answer", "least likely answer"])
def test_a_statement_of_another_answer_than_the_right_one(words: str) -> None:
    _, judgement = judge_response(f"The {words} is B.", problem("B", "choice"), Config())
    assert judgement.outcome == Outcome.UNDECIDED
    extracted, judgement = judge_response(f"The answer is B. The {words} is A.", problem("B", "choice"), Config())
    assert extracted.startswith("B")
    extracted, judgement = judge_response(f"The {words} is A.\nThe answer is B.", problem("B", "choice"), Config())
    assert judgement.outcome == Outcome.CORRECT


PILES = [
    "#",
    "*",
    "`",
    "~",
    "\n",
    " ",
    "(",
    "$",
    "\\boxed{",
    "\\boxed{1}",
    "**a",
    "answer: ",
    "answer is ",
    "# a",
    "```\n",
    "```python\n",
    "A is ",
    "<answer>",
    "word ",
    "the answer is x. ",
    "\\boxed{1} or ",
    "-\\boxed{1}",
    "not ",
    "\\text{",
    "no, ",
    "wrong answer is ",
]


@pytest.mark.parametrize("kind", ["math", "choice", "text", "code"])
@pytest.mark.parametrize("piece", PILES)
def test_finding_an_answer_takes_linear_time(piece: str, kind: str) -> None:
    """Loops of one piece are what degenerate outputs are made of. Quadratic time would be minutes here."""
    started = time.monotonic()
    stated_answer(piece * (200_000 // len(piece)), kind)
    assert time.monotonic() - started < 5


def test_no_final_answer() -> None:
    assert final_answer("I do not know") is None
    assert final_answer("\\boxed{}") is None


@given(st.text() | st.text(alphabet="\\boxed{}answer is:1 \n"))
def test_extraction_takes_any_text(text: str) -> None:
    found = final_answer(text)
    assert found is None or (found.answer and 0 <= found.start < len(text))


@pytest.mark.parametrize(
    ("answer", "given_problem", "outcome"),
    [
        ("5", problem("5"), Outcome.CORRECT),
        ("6", problem("5"), Outcome.INCORRECT),
        ("0.5", problem("\\frac{1}{2}"), Outcome.CORRECT),
        ("\\$1,234", problem("1234"), Outcome.CORRECT),
        ("x = 36", problem("36"), Outcome.CORRECT),
        ("18 eggs", problem("18"), Outcome.CORRECT),
        ("18 \\text{ eggs}", problem("18"), Outcome.CORRECT),
        ("18 (eggs)", problem("18"), Outcome.CORRECT),
        ("70,000 dollars", problem("70000"), Outcome.CORRECT),
        ("17 eggs", problem("18"), Outcome.INCORRECT),
        ("1{,}200", problem("1200"), Outcome.CORRECT),
        ("36.0", problem("36"), Outcome.CORRECT),
        ("50\\%", problem("50"), Outcome.CORRECT),
        ("3=5", problem("5"), Outcome.UNDECIDED),
        ("3 + 4 = 8", problem("8"), Outcome.UNDECIDED),
        ("y=5", problem("x=5"), Outcome.INCORRECT),
        ("x=5", problem("x=5"), Outcome.CORRECT),
        ("Harry slept 3 hours more than James", problem("3"), Outcome.CORRECT),
        ("Harry slept 3 hours more than James", problem("4"), Outcome.INCORRECT),
        ("Emma should make **18 more vlogs** to complete her target of 20", problem("18"), Outcome.CORRECT),
        ("7 km", problem("7 kg"), Outcome.UNDECIDED),
        ("7000 m", problem("7 km"), Outcome.UNDECIDED),
        ("7 Kilometers", problem("7 kilometer"), Outcome.CORRECT),
        ("72\\, \\text{Mb/h}", problem("72"), Outcome.CORRECT),
        ("280\\ \\text{feet}", problem("280"), Outcome.CORRECT),
        ("2:00\\ \\text{pm}", problem("2"), Outcome.UNDECIDED),
        ("50\\%", problem("0.5"), Outcome.CORRECT),
        ("0.5", problem("50\\%"), Outcome.CORRECT),
        ("60\\%", problem("0.5"), Outcome.INCORRECT),
        ("0.5\\%", problem("50"), Outcome.INCORRECT),
        ("E", problem("\\text{east}"), Outcome.UNDECIDED),
        ("west", problem("\\text{east}"), Outcome.INCORRECT),
        ("East", problem("\\text{east}"), Outcome.CORRECT),
        ("\\frac{2}{4}", problem("\\frac{1}{2}"), Outcome.CORRECT),
        ("(-\\infty, 3]", problem("(-\\infty,3]"), Outcome.CORRECT),
        ("(-\\infty, 3)", problem("(-\\infty,3]"), Outcome.INCORRECT),
        ("[2, 5]", problem("[2,5)"), Outcome.INCORRECT),
        ("\\{3, 1, 2\\}", problem("\\{1,2,3\\}"), Outcome.CORRECT),
        ("\\{1, 2\\}", problem("\\{1,2,3\\}"), Outcome.INCORRECT),
        (
            "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}",
            problem("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}"),
            Outcome.CORRECT,
        ),
        (
            "\\begin{pmatrix} 1 & 2 \\\\ 3 & 5 \\end{pmatrix}",
            problem("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}"),
            Outcome.INCORRECT,
        ),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", problem("5"), Outcome.INCORRECT),
        ("90", problem("90^\\circ"), Outcome.CORRECT),
        ("7", problem("5", accepted=("6", "7")), Outcome.CORRECT),
        ("8", problem("5", accepted=("6", "7")), Outcome.INCORRECT),
        ("five", problem("5", accepted=("6",)), Outcome.UNDECIDED),
        ("5", problem(""), Outcome.UNDECIDED),
        ("Paris", problem("B", "choice", options=("London", "Paris")), Outcome.CORRECT),
        ("London", problem("B", "choice", options=("London", "Paris")), Outcome.INCORRECT),
        ("B. Paris", problem("Paris", "choice", options=("London", "Paris")), Outcome.CORRECT),
        ("B. London", problem("B", "choice", options=("London", "Paris")), Outcome.UNDECIDED),
        ("C", problem("B", "choice", options=("London", "Paris")), Outcome.UNDECIDED),
        ("Rome", problem("B", "choice", options=("London", "Paris")), Outcome.UNDECIDED),
        ("A", problem("B", "choice", options=("B", "A")), Outcome.INCORRECT),
        *(
            (f"{words} 18", problem("18"), Outcome.UNDECIDED)
            for words in (
                "negative",
                "at least",
                "greater than",
                "the square root of",
                "the reciprocal of",
                "anything but",
                "roughly",
                "March",
                "everything except",
                "a multiple of",
            )
        ),
        *(
            (f"5\\text{{ {words}}}", problem("5"), Outcome.UNDECIDED)
            for words in ("millions", "dozens", "tenths", "crore", "factorial", "twice", "below zero", "k", "M")
        ),
        *((text, problem("5"), Outcome.UNDECIDED) for text in ("5?", "5...", "\\sim 5", "5 L", "5'", "3, 5", "3 or 5")),
        *((f"5\\text{{ {unit}}}", problem("5"), Outcome.CORRECT) for unit in ("m/s", "L", "J", "m/s^2", "cm")),
        ("5\\text{ m}^2", problem("5"), Outcome.CORRECT),
        ("5^\\circ\\text{C}", problem("5"), Outcome.CORRECT),
        ("5\\text{ cm}", problem("5\\text{ m}"), Outcome.UNDECIDED),
        ("500\\text{ cm}", problem("5\\text{ m}"), Outcome.UNDECIDED),
        ("5 cm", problem("5 m"), Outcome.UNDECIDED),
        ("5\\text{ cm}", problem("5 m"), Outcome.UNDECIDED),
        ("5 kg", problem("5 g"), Outcome.UNDECIDED),
        ("500 cm", problem("5 m"), Outcome.UNDECIDED),
        ("5 ml", problem("5 L"), Outcome.UNDECIDED),
        ("5 m", problem("5 m"), Outcome.CORRECT),
        ("5xy", problem("5x"), Outcome.INCORRECT),
        ("3.0 \\times 10^{8} \\text{ m/s}", problem("3 \\times 10^8"), Outcome.CORRECT),
        ("1 3/4", problem("1\\frac{3}{4}"), Outcome.CORRECT),
        ("\\frac74", problem("1 3/4"), Outcome.CORRECT),
        ("5e3", problem("5000"), Outcome.CORRECT),
        ("3,5", problem("3.5"), Outcome.UNDECIDED),
        ("12.345.678", problem("12345678"), Outcome.UNDECIDED),
        ("11,\\! 111", problem("11111"), Outcome.CORRECT),
        ("1, 200", problem("1,200"), Outcome.UNDECIDED),
        ("1234", problem("1,234"), Outcome.CORRECT),
        ("x=3, y=4", problem("x=4, y=3"), Outcome.INCORRECT),
        ("y=3, x=4", problem("x=4, y=3"), Outcome.CORRECT),
        ("2,2,3", problem("2,3,3"), Outcome.INCORRECT),
        ("5, 3", problem("3,5"), Outcome.CORRECT),
        ("\\frac{1}{2} \\text{ and } 3", problem("3, 0.5"), Outcome.CORRECT),
        ("1 \\pm \\sqrt{5}", problem("1+\\sqrt{5}, 1-\\sqrt{5}"), Outcome.CORRECT),
        ("\\{2,3\\}", problem("(2,3)"), Outcome.UNDECIDED),
        ("(3,2)", problem("(2,3)"), Outcome.INCORRECT),
        ("x \\in (1,2)", problem("(1,2)"), Outcome.CORRECT),
        ("101_2", problem("101_3"), Outcome.UNDECIDED),
        ("101", problem("101_2"), Outcome.UNDECIDED),
        ("10:30 \\text{ am}", problem("10:30 \\text{ pm}"), Outcome.UNDECIDED),
        ("x>3 \\text{ and } x<-1", problem("x>3 \\text{ or } x<-1"), Outcome.UNDECIDED),
        ("f'(x)", problem("f(x)"), Outcome.UNDECIDED),
        ("0.5\\%", problem("0.5"), Outcome.UNDECIDED),
        ("\\textbf{(B)}", problem("B", "choice", options=("London", "Paris")), Outcome.CORRECT),
        ("B - Paris", problem("B", "choice", options=("London", "Paris")), Outcome.CORRECT),
        ("A. Paris", problem("A", "choice", options=("London", "Paris")), Outcome.UNDECIDED),
        ("A, B", problem("A", "choice", options=("London", "Paris")), Outcome.UNDECIDED),
        ("\\text{Paris}", problem("B", "choice", options=("London", "Paris")), Outcome.CORRECT),
        ("\\text{New York}.", problem("new york", "text"), Outcome.CORRECT),
        ("“café”", problem("cafe\u0301", "text"), Outcome.CORRECT),
        ("J", problem("J", "choice", options=tuple("0123456789")), Outcome.CORRECT),
        ("9", problem("J", "choice", options=tuple("0123456789")), Outcome.CORRECT),
        ("\\{1,200\\}", problem("1200"), Outcome.INCORRECT),
        ("(1,200)", problem("(1200)"), Outcome.INCORRECT),
        ("A or B", problem("A", "choice"), Outcome.UNDECIDED),
        ("A. or B", problem("A", "choice"), Outcome.UNDECIDED),
        ("A) and C)", problem("A", "choice"), Outcome.UNDECIDED),
        ("A) because of this", problem("A", "choice"), Outcome.CORRECT),
        ("x = 5", problem("y = 5", "text"), Outcome.INCORRECT),
        ("$5", problem("€5", "text"), Outcome.INCORRECT),
        *(
            (f"5 {words}", problem("5"), Outcome.UNDECIDED)
            for words in ("million", "dozen", "halves", "squared", "plus one", "is wrong", "cents")
        ),
        ("5 million", problem("5000000"), Outcome.UNDECIDED),
        ("5 pi", problem("5"), Outcome.UNDECIDED),
        ("5 x", problem("5"), Outcome.INCORRECT),
        ("5\\text{ cm}^2", problem("5"), Outcome.CORRECT),
        ("five", problem("5"), Outcome.UNDECIDED),
        ("1 000", problem("1000"), Outcome.UNDECIDED),
        ("a cat", problem("A", "choice"), Outcome.UNDECIDED),
        ("I think it is B", problem("B", "choice"), Outcome.UNDECIDED),
        ("…", problem("5"), Outcome.UNDECIDED),
        ("(B)", problem("B", "choice"), Outcome.CORRECT),
        ("b. Paris", problem("B", "choice"), Outcome.CORRECT),
        ("C", problem("B", "choice"), Outcome.INCORRECT),
        ("neither", problem("B", "choice"), Outcome.UNDECIDED),
        *(
            (answer, problem(reference), Outcome.UNDECIDED)
            for answer, reference in (
                ("5cm", "5m"),
                ("500cm", "5m"),
                ("2km", "2m"),
                ("20min", "20h"),
                ("5\\,cm", "5\\,m"),
                ("5~cm", "5~m"),
                ("2\\ cm", "2\\ m"),
                ("5 g", "5 m"),
                ("5 s", "5 m"),
                ("20 s", "20 h"),
                ("5t", "5h"),
                ("\\frac{5}{2} cm", "\\frac{5}{2} m"),
                ("5\\pi \\text{ cm}", "5\\pi \\text{ m}"),
                ("10\\pi cm", "10\\pi m"),
                ("x\\text{ cm}", "x\\text{ m}"),
                ("5\\text{ m}^2", "5\\text{ m}^3"),
                ("5 miles", "5 miles per hour"),
                ("She walks 5 m in all", "5\\text{ cm}"),
                ("\\$5", "5 cents"),
                ("$5", "5 euros"),
                ("€5", "\\$5"),
                ("2¢", "\\$2"),
                ("\\$5 per hour", "\\$5 per day"),
                ("50\\%", "50 cm"),
                ("5^\\circ C", "5^\\circ F"),
                ("5 a.m.", "5 p.m."),
                ("5am", "5pm"),
                ("10 or 20", "10 and 20"),
                ("x=1 or x=2", "x=1 and x=2"),
                ("20\\% increase", "20\\% decrease"),
                ("(2 cm, 3 cm)", "(2 m, 3 m)"),
                ("EUR 5", "5 dollars"),
                ("5 \\rm{cm}", "5 \\rm{m}"),
                ("5\\text{ тысяч}", "5"),
                ("5～7", "5"),
                ("5万", "5"),
                ("5", "5万"),
                ("5 тысяч", "5"),
                ("6‰", "6"),
                ("(y,x)=(1,2)", "(1,2)"),
                *(
                    (f"{sign} 6", "6")
                    for sign in ("\\not=", "\\not", "\\ngtr", "\\gtrsim", "\\simeq", "\\cong", "7 \\to")
                ),
                *(
                    (f"6{words}", "6")
                    for words in (
                        " bn",
                        " mn",
                        " \\text{ grand}",
                        " doubled",
                        " \\text{ incorrect}",
                        " Millionen",
                        " Mio.",
                        " negative",
                        "♯",
                    )
                ),
            )
        ),
        *(
            (answer, problem(reference), Outcome.CORRECT)
            for answer, reference in (
                ("5 cm", "5\\text{ cm}"),
                ("10\\pi cm", "10\\pi\\text{ cm}"),
                ("10\\pi", "10\\pi\\text{ cm}"),
                ("\\frac{5}{2}\\text{ hours}", "2.5\\text{ hours}"),
                ("\\$5", "5 dollars"),
                ("5", "\\$5"),
                ("She makes \\$18 in all", "\\$18"),
                ("The length is 5 cm.", "5\\text{ cm}"),
                ("50\\%", "50 percent"),
                ("20\\% increase", "20\\%"),
                ("90^\\circ", "90 degrees"),
                ("1 and 2", "1, 2"),
                ("2a+3b", "3b+2a"),
                ("(x,y)=(1,2)", "(1,2)"),
                ("6 millimeters", "6"),
                ("10²", "100"),
                ("5½", "5.5"),
                ("2√3", "2\\sqrt{3}"),
                ("√(x+1)", "\\sqrt{x+1}"),
                ("3 × 10⁸", "3 \\times 10^8"),
                ("1⁄2", "1/2"),
                ("(−∞, 3]", "(-\\infty,3]"),
                ("90°", "90"),
            )
        ),
        *(
            (answer, problem(reference), Outcome.INCORRECT)
            for answer, reference in (
                ("10²", "10"),
                ("5×10³", "5"),
                ("5·10³", "5"),
                ("6½", "6"),
                ("1⁄2", "1"),
                ("2√3", "2"),
                ("6⁻¹", "6"),
                ("2ⁿ", "2"),
            )
        ),
        ("102", problem("10²", "text"), Outcome.INCORRECT),
        ("10²", problem("A", "choice", options=("102", "10²")), Outcome.INCORRECT),
        (" Paris ", problem("paris", "text"), Outcome.CORRECT),
        ("London", problem("paris", "text"), Outcome.INCORRECT),
    ],
)
def test_kinds(answer: str, given_problem: Problem, outcome: Outcome) -> None:
    assert judge_within(answer, given_problem, 20).outcome == outcome


@pytest.mark.parametrize("dataset", ["chain_sum", "products", "simple_equations", "gsm_symbolic", "leg_counting"])
def test_reasoning_gym_scorers_take_their_own_answer_after_storage(dataset: str) -> None:
    for entry in reasoning_gym.create_dataset(dataset, size=3, seed=1):
        given_problem = problem(entry["answer"], "reasoning_gym", family=dataset, entry=json.dumps(entry, default=str))
        assert judge_within(entry["answer"], given_problem, 20).outcome == Outcome.CORRECT
        assert judge_within(entry["answer"] + "1", given_problem, 20).outcome == Outcome.INCORRECT


@pytest.mark.parametrize(
    "answer", ["189 - 7", "189 * 2", "189/3", "not 189", "189, or maybe 7", "189 or 7", "189 7", "189²", "189万"]
)
def test_reasoning_gym_takes_no_number_with_something_beside_it(answer: str) -> None:
    (entry,) = reasoning_gym.create_dataset("gsm_symbolic", size=1, seed=17)
    given_problem = problem(
        entry["answer"], "reasoning_gym", family="gsm_symbolic", entry=json.dumps(entry, default=str)
    )
    assert entry["answer"] == "189"
    assert judge_within(answer, given_problem, 20).outcome != Outcome.CORRECT
    assert judge_within("189.00 dollars", given_problem, 20).outcome == Outcome.CORRECT


@pytest.mark.parametrize(
    ("dataset", "seed", "answers"),
    [
        ("fraction_simplification", 1, {"{oracle}": "correct", "13524/57134": "incorrect"}),
        ("coin_flip", 1, {"{oracle}": "correct", "2": "incorrect", "{oracle} or so": "undecided"}),
    ],
)
def test_reasoning_gym_decides_over_fractions_and_decimals(dataset: str, seed: int, answers: dict[str, str]) -> None:
    (entry,) = reasoning_gym.create_dataset(
        dataset, size=1, seed=seed, **({"styles": ("plain",)} if "fraction" in dataset else {})
    )
    given_problem = problem(entry["answer"], "reasoning_gym", family=dataset, entry=json.dumps(entry, default=str))
    for answer, outcome in answers.items():
        assert judge_within(answer.format(oracle=entry["answer"]), given_problem, 20).outcome == outcome


@given(st.fractions(max_denominator=10**6), st.sampled_from(["", " eggs", "\\text{ kg}", "."]))
def test_lone_numbers_are_exact(value: Fraction, words: str) -> None:
    for text in (str(value), f"{value.numerator:,}" if value.denominator == 1 else str(value)):
        found = lone_number(text + words)
        assert found is not None
        assert found.value == value


@given(st.text() | st.text(alphabet="0123456789.,/-+ %ab()\\"))
def test_lone_number_takes_any_text(text: str) -> None:
    lone_number(text)


def test_every_scorer_that_evaluates_answers_is_refused() -> None:
    """Reads reasoning-gym's sources: a new one that calls eval, exec or a sympy parser must be looked at."""
    from reasoning_gym.factory import DATASETS

    evaluating = set()
    for name, (kind, _) in DATASETS.items():
        source = Path(__import__(kind.__module__, fromlist=["x"]).__file__).read_text()
        body = source[source.find("def score_answer") :] if "def score_answer" in source else ""
        if re.search(r"(?<![\w.])(eval|exec)\(|parse_expr\(|sympify\(|parse_latex\(", body):
            evaluating.add(name)
    allowed = {"propositional_logic"}  # its parse_expr is its own recursive descent
    assert evaluating - allowed <= EVALUATES_ANSWERS
    assert set(DATASETS) >= EVALUATES_ANSWERS


def test_a_response_without_an_answer_is_undecided() -> None:
    extracted, judgement = judge_response("\n", problem(), Config())
    assert extracted == ""
    assert judgement.outcome == Outcome.UNDECIDED


def hang(answer: str, given_problem: Problem, limits: Limits) -> Judgement:
    time.sleep(60)
    raise AssertionError


def crash(answer: str, given_problem: Problem, limits: Limits) -> Judgement:
    os._exit(3)


def fail(answer: str, given_problem: Problem, limits: Limits) -> Judgement:
    raise RecursionError("too deep")


@pytest.mark.parametrize("answer", ["9^{9^{9^{9}}}", "1000000!", "\\int_0^1 e^{x^2+\\sin(x^3)} dx"])
def test_an_answer_that_hangs_sympy_costs_its_deadline(answer: str) -> None:
    judge_within("1", problem("1"), 60)  # the workers are there
    started = time.monotonic()
    judgement = judge_within(answer, problem("x + 1"), 1.0)
    assert (judgement.outcome, judgement.rule) == (Outcome.UNDECIDED, "deadline")
    assert time.monotonic() - started < 10
    assert judge_within("5", problem("5"), 20).outcome == Outcome.CORRECT


def test_one_that_hangs_does_not_hold_up_the_others() -> None:
    asked = [("9^{9^{9^{9}}}", problem("x + 1")), *[("5", problem("5"))] * 200]
    outcomes = [judgement.outcome for judgement in judge_all(asked, 1.0, Limits())]
    assert outcomes == [Outcome.UNDECIDED, *[Outcome.CORRECT] * 200]


@pytest.mark.parametrize(("function", "rule"), [(hang, "deadline"), (crash, "crash"), (fail, "error")])
def test_a_worker_that_hangs_or_dies_is_undecided_and_replaced(
    function: Any, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "judge", function)
    judgement = judge_within("5", problem(), 0.5 if function is hang else 20)
    assert (judgement.outcome, judgement.rule) == (Outcome.UNDECIDED, rule)
    monkeypatch.undo()
    assert judge_within("5", problem(), 20).outcome == Outcome.CORRECT


def rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(shared(name), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def judged(asked: list[tuple[str, Problem]]) -> list[str]:
    """The outcomes of (response, problem) pairs."""
    found = [stated_answer(response, of.answer_kind) for response, of in asked]
    assert not any(one is None or one.rule == "retracted" for one in found)
    pairs = [(one.answer, of) for one, (_, of) in zip(found, asked, strict=True) if one]
    return [judgement.outcome.value for judgement in judge_all(pairs, 20, Limits())]


def test_reference_solutions_of_math_500_are_correct_and_no_neighbours_answer_is() -> None:
    given_rows = rows("problems/math500.jsonl.gz")
    golds = [row["reference_answer"] for row in given_rows]
    solutions = [(row["solution"], problem(gold)) for row, gold in zip(given_rows, golds, strict=True)]
    assert Counter(judged(solutions)) == {"correct": 500}
    others = [(f"\\boxed{{{b}}}", problem(a)) for a, b in pairwise(golds) if plain(a) != plain(b)]
    counts = Counter(judged(others))
    assert counts["correct"] == 0
    assert counts["undecided"] < 0.05 * len(others)


def test_real_answers_are_seldom_undecided() -> None:
    """582 answers of DeepSeek-R1 to GSM8K, many of them sentences; one of them is an error message of the server."""
    asked = [
        (row["response"].rpartition("</think>")[2], problem(row["reference_answer"]))
        for row in rows("traces/gsm8k_deepseek-r1.jsonl.gz")
    ]
    counts = Counter(judged(asked))
    assert counts["undecided"] <= 5
    assert counts["correct"] >= 550
