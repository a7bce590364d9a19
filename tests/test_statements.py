"""Sentences that only state the answer are told from those that work it out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.statements import masked, only_states, says


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [
        ("So the answer is 24.", "24"),
        ("Therefore, I think 24 is the correct answer.", "24"),
        ("The final answer is \\boxed{24}.", "24"),
        ("So altogether, they have 28 pets.", "28"),
        ("So, x = 140.", "140"),
        ("the total cost = $1,234.00", "1234"),
        ("So that makes 1234 dollars.", "1,234"),
        ("So boxed answer would be \\boxed{\\dfrac{400}{11}}.", "\\frac{400}{11}"),
        ("So it is 400/11.", "\\dfrac{400}{11}"),
        ("So Harry slept 3 hours more.", "3 hours more than James"),
        ("Thus, Navin earns the most.", "Navin"),
        ("So (3, \\pi) it is.", "(3,\\pi)"),
    ],
)
def test_a_statement(sentence: str, answer: str) -> None:
    assert only_states(sentence, answer)


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [
        ("7 * 20 = 140.", "140"),
        ("Then, since there are four teachers, it's 6 times 4, which is 24.", "24"),
        ("Half of 280 is 140.", "140"),
        ("Adding those together: 1200 + 51 = 1251.", "1251"),
        ("N = (-35)/(-5) = 7.", "7"),
        ("There are 25 of them.", "5"),
        ("It is 1,140.", "140"),
        ("It is 140.5.", "140"),
        ("2. Work out the price.", "2"),
        ("Step 2: work out the price.", "2"),
        ("The 6r cancels.", "6"),
        ("It is 13/15.", "\\frac{3}{15}"),
        ("I am sure.", "5"),
    ],
)
def test_no_statement(sentence: str, answer: str) -> None:
    assert not only_states(sentence, answer)


def test_masked() -> None:
    text = "7 · 20 = 140, so it is 140. Right?\n\nSo she earns 140 dollars.\nGood."
    assert masked(text, "140") == "7 · 20 = 140, so it is 140. Right?\n\nGood."
    assert masked(text, "") == text
    facts = "There were 4 kids. Then 9 - 5 = 4.\nSo he is 4."
    assert masked(facts, "4", question="Emily has 4 kids.") == "There were 4 kids. Then 9 - 5 = 4.\n"
    choice = "A train is fast. The answer is A.\nPick A."
    assert masked(choice, "A", "choice") == "A train is fast. "
    program = "def f():\n    return 5"
    assert masked(f"Hm.\n```\n{program}\n```\nSo f() = 5.", program, "code") == "Hm.\n```\n\n```\nSo f() = 5."


@given(st.text(), st.sampled_from(["5", "1,234", "\\frac{1}{2}", "B", "yes", "(", "x^2", ".", "-7.5"]), st.text())
def test_what_is_left_is_part_of_the_text(text: str, answer: str, question: str) -> None:
    left = masked(text, answer, "math", question)
    rest = iter(text)
    assert all(character in rest for character in left)


@pytest.mark.parametrize(
    "text",
    [
        "5 " * 200_000,
        "a = " * 100_000 + "5",
        "x" * 500_000 + " 5",
        "1," * 200_000,
        "- " * 200_000 + "5",
        "\\a" * 200_000 + "=5",
    ],
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    masked(text, "5")  # backtracking would hit the test's time-out


@pytest.mark.parametrize("answer", ["5", "1" * 300, "(((", "\\", "a b c", "\\frac{1}{2}"])
def test_any_answer_has_a_pattern(answer: str) -> None:
    assert says(answer).search(f"so {answer} it is")
