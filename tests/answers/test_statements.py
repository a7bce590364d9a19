"""Sentences that only state the answer are told from those that work it out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.answers.statements import has_answer, masked, only_states, sentences, without_statements
from transforms.core.records import Problem, asked


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [
        ("The answer is **42**.", "42"),
        ("So she earns **$42**.", "42"),
        ("**Final Answer**: 42", "42"),
        ("*Answer*: 42", "42"),
        ("<answer>42</answer>", "42"),
        ("So it's 42 miles/hour.", "42"),
        ("So, the answer is 42 cm^2.", "42"),
        ("So the angle is $42^\\circ$.", "42"),
        ("Hence, the answer is 55 m/s.", "55"),
        ("42.", "42"),
        ("So it arrives on day 5.", "5"),
        ("So the roots are 2,3.", "2,3"),
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
        ("So x = -3.", "-3"),
        ("So it is −3.", "-3"),
        ("So it is \\frac12.", "\\frac{1}{2}"),
        ("It is 0.5.", "1/2"),
        ("So it's $3.5.", "3.50"),
        ("It is 50%.", "50\\%"),
        ("It's $18.", "\\$18"),
        ("It is 1{,}234.", "1234"),
        ("The answer is no.", "\\text{No}"),
        ("So she needs to babysit 5 times.", "5"),
        ("So, 4 dimes and 7 nickels.", "7"),
        ("So the total number of pets is 28.", "28"),
        ("The total number of pets the three have is \\boxed{28}.", "28"),
        ("Therefore, the boxed answer: $\\boxed{12}$", "12"),
        ("\\boxed{\\sqrt{66}}", "\\sqrt{66}"),
        ("So the answer is \\(x^2+1\\).", "x^2+1"),
        ("So Robert went down the slide \\boxed{84} times.", "84"),
        ("The third house will need \\boxed{100} cases", "100"),
        ("The 8th grade should have \\boxed{10} representatives.", "10"),
        ("So the third house needs 100 cases.", "100"),
        ("The number of students taking physics is \\boxed{110}.", "110"),
        ("So the number of students taking physics is 110.", "110"),
        ("So the total area is 68 square feet.", "68"),
        ("Each of the 3 friends gets half of it: the Rubik's cube is \\boxed{30} minutes.", "30"),
        ("So Luri can add 40 more songs.", "40"),
        ("So it's 50 percent.", "50"),
        ("So the answer is 28cm.", "28"),
        ("The answer is 28!", "28"),
        ("Answer:28", "28"),
        ("So it takes 28min.", "28"),
        ("x ≈ 28", "28"),
        ("So it's 28 - the answer.", "28"),
        ("Option A is correct.", "A"),
        ("So I could be the answer.", "I"),
        ("Both F and I are correct.", "I"),
        ("**Answer: I**", "I"),
        ("So the answer is C.417.", "C"),
        ("So it is true if the answer is 'A'.", "A"),
        ("The answer is 20000/π.", "\\frac{20000}{\\pi}"),
        ("So the answer is sqrt(5).", "\\sqrt{5}"),
        ("So the answer is 6√2.", "6\\sqrt{2}"),
        ("So because of the tag, the answer is B.", "B"),
        ("So option B it is.", "B"),
        ("So D.", "D"),
        ("So I should go with D.", "D"),
        ("It must be (B).", "B"),
        ("\\boxed{east}", "east"),
        ("Thus it is 140 in all, so \\boxed{140}.", "140"),
        ("So the total is 30 in 2 weeks, so \\boxed{30}", "30"),
        ("So the answer is \\sqrt5.", "\\sqrt{5}"),
        ("So it is 42 cm².", "42"),
        ("\\boxed{B}", "B"),
        ("Thus, the answer is \\( \\boxed{ \\{ -2, 1 - \\sqrt{5} \\} } \\).", "\\{-2, 1 - \\sqrt{5}\\}"),
        ("Thus, the total is \\boxed{12} for half the class.", "12"),
    ],
)
def test_a_statement(sentence: str, answer: str) -> None:
    assert only_states(sentence, answer)
    assert has_answer(sentence, answer)


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
        ("Multiplying them gives 210.", "210"),
        ("Doubling that gives 24.", "24"),
        ("Tripled, that's 24", "24"),
        ("area = length times width = 12", "12"),
        ("Squaring 12 gives 144.", "144"),
        ("The square root of 144 is 12.", "12"),
        ("$5! = 120$", "120"),
        ("5 factorial is 120.", "120"),
        ("$\\lfloor 3.7 \\rfloor = 3$", "3"),
        ("Taking 5 away leaves 15 apples.", "15"),
        ("With tax of 8 dollars, the cost becomes 108.", "108"),
        ("Each of the 3 kids gets 4", "4"),
        ("Let y = 2x, so it's 12", "12"),
        ("half the class is 12", "12"),
        ("One third of that is 12", "12"),
        ("There is no way that this divides evenly.", "no"),
        ("If this were false, then n would be even.", "false"),
        ("So x = -3", "3"),
        ("x^4 is big", "4"),
        ("so \\frac{4}{7} it is", "4"),
        ("at 12:30 then", "12"),
        ("so 12.5", "0.5"),
        ("256 divided by 2 is 128.", "128"),
        ("So 56 divided by 2 is 28.", "28"),
        ("So 8 lessons * 3 cleanings = 24.", "24"),
        ("48 - 24 = 24", "24"),
        ("4 + 6 is 10, and 10 + 18 is 28.", "28"),
        ("The code 23 is odd.", "2,3"),
        ("p(0) + p(4) = 24", "24"),
        ("so 2x = 24", "24"),
        ("Simplifying that fraction: divide numerator and denominator by 50, which gives 3/4.", "3/4"),
        ("3 × 4 = 12", "12"),
        ("2(3 + 4) = 14", "14"),
        ("So 20 times 7 is 140", "140"),
        ("So, 60/5 = 12.", "12"),
        ("S = 280/2 = 140", "140"),
        ("Convert that to weeks: 28/7=4.", "4"),
        ("So 8/18=4/9.", "4/9"),
        ("So X = 500 - 250 = 250.", "250"),
        ("So Jordan changes 10 - 5 = 5.", "5"),
        ("So, x = 64 / 8.", "8"),
        ("So a * b is 12.", "12"),
        ("So total eaten by Ginger is 4 * 14.", "4"),
        ("So, 1 * 7 equals 7 pounds.", "7"),
        ("So it starts at 2:50 pm (because 2 hours earlier than 4:50 pm is 2:50 pm).", "2"),
        ("So 3 meters squared is 9.", "9"),
        ("So the square of that is 9.", "9"),
        ("So a third of the class is 9.", "9"),
        ("So adding them gives 9.", "9"),
        ("So 5 taken from it and 5! = 120 make 120", "120"),
        ("area = length * width = 12", "12"),
        ("Total = price + tax = 108", "108"),
        ("So profit = revenue − costs = 12", "12"),
        ("So, speed = distance / time = 6 mph.", "6"),
        ("Therefore, speed is 6 miles / 1 hour = 6 mph.", "6"),
        ("A final check of the physics: heavier bodies keep more momentum.", "A"),
        ("I need to find the correct answer.", "I"),
        ("Let's check option I's diameters.", "I"),
        ("The answer is B because oxygen matters less.", "B"),
        ("So the answer Navin is right since he has three jobs.", "Navin"),
        ("So √5 it is.", "5"),
        ("Option G is partly true but B captures more of it.", "B"),
        ("This contradicts the notion that man is unworthy (option H).", "H"),
        ("But in option B, he didn't enter.", "B"),
        ("So the smallest base is B: 1.01.", "B"),
        ("The first premise is false.", "False"),
        ("So the midpoint is B.", "B"),
        ("D.", "D"),
        ("But why would it be A?", "A"),
        ("So perhaps A is not the best adaptation.", "A"),
        ("Paroxetine is an SSRI, so C.", "C"),
        ("So the best is a dog.", "a"),
        ("Leading to r² = 5, so r = √5.", "\\sqrt{5}"),
        ("Therefore, the smallest base is B's.", "B"),
        ("Of the answer choices, B says that he entered.", "B"),
        ("So of the 8 boxes she has 140.", "140"),
        ("So √(20) = 2√5 is the answer.", "2√5"),
    ],
)
def test_no_statement(sentence: str, answer: str) -> None:
    assert not only_states(sentence, answer)


def test_what_the_question_has_needs_a_conclusion() -> None:
    for sentence, in_question in (("There were 4 kids.", False), ("So he has 4.", True), ("He is 4 years old.", True)):
        assert only_states(sentence, "4", in_question)
    assert not only_states("Emily has 4 kids.", "4", in_question=True)
    assert not only_states("Ruby is 6 times as old as Sam.", "6", in_question=True)


@pytest.mark.parametrize(
    ("sentence", "question", "states"),
    [
        (
            "Therefore, the total number of goals scored by all three is 175.",
            "How many goals do the three score?",
            True,
        ),
        ("So the number of 8 point bucks is 5.", "How many are 8 point bucks?", True),
        ("So each of the two gets 5.", "They are 2.", True),
        ("So each of the 3 gets 5.", "They are 2.", False),
        ("So taking 8 of them leaves 5.", "He takes 8.", False),
        ("So 8 of the 40 more bucks are 5.", "There are 8 and 40.", False),
        ("So half of the 10 is 5.", "There are 10.", False),
        ("The 8 of them are 5.", "There are 8.", False),
        ("Each of the packs is $8, so it is $5.", "A pack is 8.", False),
    ],
)
def test_a_number_that_the_question_has_may_stand_beside_the_answer(sentence: str, question: str, states: bool) -> None:
    answer = "175" if "175" in sentence else "5"
    assert (masked(sentence, answer, question=question) == "") == states


def test_masked() -> None:
    text = "7 · 20 = 140, so it is 140. Right?\n\nSo she earns 140 dollars.\nGood."
    assert masked(text, "140") == "7 · 20 = 140, so it is 140. Right?\n\nGood."
    assert masked(text, "") == text
    facts = "There were 4 kids. Then 9 - 5 = 4.\nSo he is 4."
    assert masked(facts, "4", question="Emily has 4 kids.") == "There were 4 kids. Then 9 - 5 = 4.\n"
    choice = "A train is fast. The answer is A.\nPick A."
    assert masked(choice, "A", "choice") == "A train is fast. "
    program = "def f():\n    return 5"
    block = "```python\ndef f():\n    return 5\n```\n"
    indented = "  ```\n    def f():\n\n        return 5\n  ```\n"
    assert masked(f"Hm.\n{block}So f() is 5.\n{indented}", program, "code") == "Hm.\nSo f() is 5.\n"
    assert masked("x = 1\ny\n", "x", "code") == "x = 1\ny\n"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Hm.\ndef f():\n    return 5\nYes.\n", "Hm.\nYes.\n"),
        ("~~~\ndef f():\n    return 5\n~~~\nYes.\n", "Yes.\n"),
        ("Hm:\n```\ndef f():\n\n    return 5\nprint(f())\n```\n", "Hm:\n```\n\nprint(f())\n```\n"),
        ("```python\n    def f():\n        return 5", "```python\n"),
        ("def f():\n    return 5\ndef f():\n    return 5\ndef f():\n", "def f():\n"),
        ("def  f():\n\treturn\t5\n", ""),
        ("def f():\n    x = 4\n    return 5\n", "def f():\n    x = 4\n    return 5\n"),
    ],
)
def test_a_program_is_found_however_it_is_quoted(text: str, left: str) -> None:
    program = "def f():\n    return 5\n"
    assert masked(text, program, "code") == left
    assert has_answer(text, program) == (left.count("return") == 0)


def test_what_the_question_has_written_out_is_no_derivation() -> None:
    question = "Solve the following multiplication: 96 * 91."
    text = "96 = 90 + 6.\n\\[ 96 \\times 91 = 8736 \\]\nSo 8190 + 546 = 8736.\n"
    assert masked(text, "8736", question=question) == "96 = 90 + 6.\nSo 8190 + 546 = 8736.\n"
    assert masked(text, "8736", question="How many are 96 boxes of 91?") == text
    for part in (
        "So the result of \\(96 \\times 91\\) is \\(8736\\).",
        "The answer to 96 × 91 is 8736.",
        "8736 = 96 * 91",
    ):
        assert masked(part, "8736", question=question) == ""
    assert masked("So the answer to 5 - 3 + 22 is 24.", "24", question="State 5 - 3 + 22 =") == ""
    for text, question in (
        ("A 12 × 15 room has 180 square feet.", "A room is 12 × 15 feet. What is its area?"),
        ("They won 12-7, so by 5 points.", "The score was 12 - 7. By how many points did they win?"),
    ):
        assert masked(text, "180" if "180" in text else "5", question=question) == text
    assert masked("So 60/5 is 12.", "12", question="State 60/5.") == ""
    assert masked("Then Mark gets 1/4, which is 3.", "3", question="He gets 1/4.") == "Then Mark gets 1/4, which is 3."
    assert masked("So 90 * 91 is 8736 - 546.", "8736", question=question) == "So 90 * 91 is 8736 - 546."
    for part, answer, other in (("So 2 + 5 = 7.", "7", "12 + 57 + 1"), ("So 12 + 5 = 17", "17", "112 + 54")):
        assert masked(part, answer, question=f"Compute {other}.") == part


def test_the_reference_counts_where_the_answer_is_written_otherwise() -> None:
    problem = Problem("p", "s", "f", asked("When does it start?"), "2", "math", "")
    text = "So 2 hours is 120 minutes.\nSo at 2:00 pm.\n"
    assert without_statements(text, "2:00 pm", problem, text) == "So 2 hours is 120 minutes.\n"
    other = "4 - 2 is it.\nSo it is 2.\n"
    assert without_statements(other, "2 o'clock in the day", problem, other) == "4 - 2 is it.\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So the total is 2 * 5! * 5! = 28,800.\n", "28800"),
        ("So it is (3 - 1)! \\times 5! \\times 5! \\) = 28800.", "28800"),
        ("\\[\n7 \\times 20\n= 140\n\\]\n", "140"),
        ("Seven bags of twenty apples each\nis 140 apples.\n", "140"),
    ],
)
def test_a_derivation_is_not_cut_apart(text: str, answer: str) -> None:
    assert masked(text, answer) == text


def test_a_statement_after_an_exclamation_or_in_its_own_line_is_one() -> None:
    assert masked("Great! So it is 140.", "140") == "Great! "
    assert masked("We get 5!\nSo it is 140.", "140") == "We get 5!\n"
    assert masked("So 7 times 20.\nthe answer is 140", "140") == "So 7 times 20.\n"
    assert masked("7 × 20\n\nis 140", "140") == "7 × 20\n\n"
    assert masked("Tags\n<answer>140</answer>", "140") == "Tags\n"


@pytest.mark.parametrize(
    ("text", "answer", "left"),
    [
        ("Half of 280 is 140, so the answer is 140.\nYes.", "140", "Half of 280 is 140, Yes."),
        ("The answer is 140, as half of 280 is 140.", "140", "as half of 280 is 140."),
        ('It says 2 of "3 or 4 a day?" So the answer is 140. Good.', "140", 'It says 2 of "3 or 4 a day?" Good.'),
        ("It is 3 times “5 more or 6,” the answer is 140", "140", "It is 3 times “5 more or 6,” "),
        ("If 120 is the start, answer is 110; if 121, then 111.", "110", "If 120 is the start, if 121, then 111."),
        ("The answer is B because stage 4 is over.", "B", "because stage 4 is over."),
        ("The answer is B since stage 4 is over.", "B", "since stage 4 is over."),
        ("Half of 6 is 3, so the answer is (3, 5).", "(3, 5)", "Half of 6 is 3, "),
        ("Since 5 + 3 = 8, we have \\boxed{(3, 5)}.", "(3, 5)", "Since 5 + 3 = 8, "),
        ("7 boxes hold 20 each, so the answer \\boxed{140} follows.", "140", "7 boxes hold 20 each, "),
        ("\\boxed{12} because half of 24 is 12.", "12", "because half of 24 is 12."),
        ("If I halve or double it, I end up with the same answer: 50.", "50", "If I halve or double it, "),
    ],
)
def test_a_clause_that_says_the_answer_goes_and_its_derivation_stays(text: str, answer: str, left: str) -> None:
    assert masked(text, answer) == left


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So the answer is 300 minus 12, which is 288.", "288"),
        ("Half of 280, the answer to part one, is 140.", "140"),
        ("Of the answer choices, E says that 2 of 3 fail.", "E"),
        ("Take the answer, 20 percent of 700, to be 140 of the 700.", "140"),
    ],
)
def test_a_clause_that_derives_the_answer_stays(text: str, answer: str) -> None:
    assert masked(text, answer) == text


@given(st.text(st.sampled_from("a5!.?=+<(\\) \n")))
def test_sentences_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_all_versions_of_a_thinking_are_masked_by_one_answer() -> None:
    problem = Problem("p", "s", "f", asked("When does it start?"), "2", "math", "")
    whole = "2 hours before 4 o'clock.\nSo it is 2.\nSo at 2:00 pm it starts.\n"
    version = whole[: whole.index("So at")]
    assert without_statements(version, "2:00 pm", problem, whole) == version


@given(st.text(), st.sampled_from(["5", "1,234", "\\frac{1}{2}", "B", "yes", "(", "x^2", ".", "-7.5"]), st.text())
def test_what_is_left_is_part_of_the_text(text: str, answer: str, question: str) -> None:
    left = masked(text, answer, "math", question)
    rest = iter(text)
    assert all(character in rest for character in left)


@pytest.mark.parametrize(
    "text",
    [
        "5 " * 40_000, "a = " * 40_000 + "5", "x" * 200_000 + " 5", "1," * 40_000, "- " * 60_000 + "5", "\\a" * 60_000 + "=5",
        "*" * 40_000 + " 5", "\\text{" * 30_000 + "5", "(" * 60_000 + "5", "_" * 60_000 + "5", "\\frac{1}" * 30_000,
        "```\n" * 30_000, "1/" * 40_000 + "5", "5 -" * 30_000, "<" * 60_000 + "5", "\\ " * 40_000 + "5", "5^" * 40_000, "5m" * 40_000,
        "answer 7, " * 40_000 + "5", "answer, because " * 20_000 + "5", "sqrt(" * 40_000 + "5", "\\boxed{" * 30_000 + "5", '."' * 60_000 + " 5",
    ],
)  # fmt: skip
def test_hostile_text_takes_linear_time(text: str) -> None:
    masked(text, "5")  # backtracking would hit the test's time-out
    masked(text, "x = 1", "code")
    masked("a\n" * 40_000, "a\n" * 1_000, "code")
    masked(text, "5", question="5 + 5")
    masked("".join(f"{'(' * 900}{n}\n" for n in range(100)), "5", question="5 + 5")


@pytest.mark.parametrize("zero", ["0", "00", "٠", "０"])
def test_no_number_is_divided_by_zero(zero: str) -> None:
    assert masked(f"The ratio is 1/{zero}.", "5") == f"The ratio is 1/{zero}."


@pytest.mark.parametrize(
    "answer", ["5", "1" * 300, "(((", "\\pi", "a b c", "\\frac{1}{2}", "0", "-3", "x=5", ".", "1/0", "2,3", "@"]
)
def test_any_answer_is_found_where_it_stands(answer: str) -> None:
    assert has_answer(f"so {answer} it is", answer)


@pytest.mark.parametrize("answer", ["", " ", "$", "**", "\\", "\\boxed{}"])
def test_an_answer_of_nothing_is_nowhere(answer: str) -> None:
    assert masked("so it is\n", answer) == "so it is\n"
