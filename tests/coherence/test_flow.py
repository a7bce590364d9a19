"""What a version uses has been said before; what has not is an edge, and restoring its producer mends it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.coherence.flow import Flow
from transforms.coherence.parts import numbered_parts
from transforms.core.records import Edge


def edges(
    question: str, steps: Sequence[str], gone: Sequence[int], rewritten: dict[int, str] | None = None
) -> list[Edge]:
    """Of the version without the steps in `gone`."""
    texts = {**dict(enumerate(steps)), **(rewritten or {})}
    return Flow(question, steps).edges([None if step in gone else texts[step] for step in range(len(steps))])


PENS = "Tom has 3 boxes of 4 pens and loses 5. How many are left?"


def test_a_value_without_its_derivation() -> None:
    steps = ["3 × 4 = 12.", "He loses 5.", "12 − 5 = 7."]
    assert edges(PENS, steps, [0]) == [Edge(2, "value", "12", 0)]
    assert edges(PENS, steps, [1]) == []


DAMAGE = [  # question, steps; the first is gone
    (PENS, ["3 boxes of 4 pens are 12 pens.", "So 12 − 5 is left."]),
    (PENS, ["In all that makes 12.", "Multiplying 12 by 2 gives 24."]),
    ("A book costs $80, 25% off.", ["25% of $80 is $20.", "Okay.", "Fine.", "Good.", "$80 − $20 = $60."]),
    (PENS, ["3 × 4 = 12.", "He had 12 pens."]),
    ("Apples cost $3.75; he has 25 bags of 3.", ["25 × 3 = 75.", "75 + 10 = 85."]),
    ("Half, 40 in all", ["8 × 2.5 = 20.", "20/40 × 10 = 5."]),
    ("50 pens, and half of them", ["50 × 1/2 = 25.", "50 − 25 = 25."]),  # uses the 25 that it works out
    ("20 pens for 3", ["20 / 3 = 6.67.", "Yes.", "And.", "So.", "6.67 × 2 is more."]),
]


@pytest.mark.parametrize(("question", "steps"), DAMAGE)
def test_damage(question: str, steps: list[str]) -> None:
    found = edges(question, steps, [0])
    assert [(edge.kind, edge.producer) for edge in found] == [("value", 0)]
    assert edges(question, steps, [len(steps) - 1]) == []


GIFTS = "2 friends want 5 gifts, and she buys 10 more random gifts."
MASKED = [
    (GIFTS, ["2 × 5 = 10 gifts.", "Adding these, 10 plus 6 gifts."]),
    ("Each of 3 pays $15 per hour for 5 hours.", ["3 × 5 = 15 hours.", "So 15 hours × $15 is it."]),
]
MASKED += [("He earns $3 for laundry and $0.50 for dishes.", ["6 × 0.50 is 3.", "So 3 + 7 + 3 = 13 in all."])]
MASKED += [("3 fish need $1 worth of food a day.", ["3 fish need 3 * $1 = $3 per day.", "So $3 * 31 = $93."])]
NOT_MASKED = [
    (GIFTS, ["2 × 5 = 10.", "Adding these, 10 plus 6 gifts."]),  # nothing says of what
    (GIFTS, ["2 × 5 = 10 gifts.", "Then she buys 10 more + 6."]),
    (GIFTS, ["2 × 5 = 10 gifts.", "And 10 gifts.", "10 plus 6 gifts."]),  # stated only, and said since
    (GIFTS, ["2 × 5 = 10 gifts.", *["Hm."] * 6, "10 plus 6 gifts."]),
    ("He had 12 pens, 3 × 4.", ["3 × 4 = 12 pens.", "12 pens − 5 = 7."]),
]


@pytest.mark.parametrize(("question", "steps"), MASKED)
def test_a_value_that_stands_elsewhere_of_something_else(question: str, steps: list[str]) -> None:
    assert [(edge.step, edge.producer) for edge in edges(question, steps, [0])] == [(1, 0)]


@pytest.mark.parametrize(("question", "steps"), NOT_MASKED)
def test_a_value_that_stands_elsewhere(question: str, steps: list[str]) -> None:
    assert edges(question, steps, [0]) == []


HARMLESS = [
    ("It rises 30% from 200.", ["1 + 0.3 = 1.3.", "200 × 1.3 it is."]),
    ("A pen is 25 cents.", ["That is 25/100 = 0.25.", "$0.25 × 3 it is."]),
    ("3 dozen pens", ["3 × 12 = 36.", "36 − 6 it is."]),
    (PENS, ["He has fifteen pens.", "He has fifteen of them, so 15 + 4."]),
    (PENS, ["3 × 4 = 12.", "Again: 3 × 4 = 12.", "12 − 5 = 7."]),  # works it out again
    (PENS, ["So it is 12.", "3 times 4 is 12."]),
    (PENS, ["So 3 times 4 is 12.", "He has 3 boxes of 4, which makes 12."]),  # states what stands beside it
    ("Twenty-four pens and a dozen pencils", ["24 and 12.", "24 − 12 = 12."]),  # the question has it in words
    (PENS, ["Say, 9.", "If it were 9, no."]),  # a supposition
    (PENS, ["77 of them?", "Then 77 × 2."]),  # the original has it from nowhere
    (PENS, ["3 × 4 = 12.", "three of twelve"]),  # small numbers in words
    (PENS, ["3 + 4 = 7.", "4 + 3 + 0 = 4 + 3 = 7 + 0"]),  # a chain that is being worked out
    ("81 and 45", ["80 + 40 = 120.", "80 + 40 is 120, and 1 + 5 is 6."]),
    ("300 at 150", ["100 × 100 = 10000.", "300*100 is 30,000, 300*50 is 15,000."]),
    (
        "He has $400, spends $100",
        ["That is 300.", "I subtract the $100 she spent on CDs from the $400 she had.", "So $300."],
    ),
    ("2.5 at 30", ["2.5 is 3 less 0.5.", "30 times 3 is 90, minus 30 times 0.5 is 75."]),
    ("0.5 and 0.5", ["That is 1 of 4.", "0.5 × 0.5 it is.", "Hm.", "Hm.", "Hm.", "So 1/4."]),
    ("two thirds of 60", ["It is 2/3.", "2/3 of 60 is 40."]),
    (PENS, ["9 is three times 3, or 3 × 3.", "9 × 3 as it is nine times three"]),
    ("170 packs at 65", ["170 × 5 = 850.", "170 × 65 = 170 × 60 + 170 × 5."]),  # taken apart here as well
    (PENS, ["3 × 4 = 12.", "Step 12: go on.", "At 12:12 on the 12th"]),
]


@pytest.mark.parametrize(("question", "steps"), HARMLESS)
def test_harmless(question: str, steps: list[str]) -> None:
    assert edges(question, steps, [0]) == []


def test_an_expression_that_stays_says_what_it_comes_to() -> None:
    steps = ["3 boxes of 4 pens.", "3 × 4 it is.", "That is 12.", *["Hm."] * 5, "12 − 5 = 7."]
    assert edges(PENS, steps, [2]) == []
    assert edges(PENS, steps, [1, 2]) == [Edge(8, "value", "12", 1)]


def test_percentages_and_rounding() -> None:
    steps = ["20% is 0.2.", "0.2 × 30 = 6."]
    assert edges("20% of 30", steps, [0]) == []
    assert edges("2 of 3", ["2 / 3 = 0.667.", "Hm.", "0.67 × 3 is it."], []) == []
    assert edges("2 of 3", ["2 / 3 is a lot.", "0.667.", "0.67 × 3 is it."], [1]) == []


def test_names() -> None:
    steps = ["Let x be the pens.", "Then 2x + 3 = 13.", "x = 5."]
    assert edges("How many?", steps, [0]) == [Edge(1, "name", "x", 0)]
    assert edges("How many is x?", steps, [0]) == []
    assert edges("How many?", [*steps[:2], "Let x be 5.", "2x = 10"], [0, 1]) == []
    for said in (
        "Let the number of pens be x.",
        "Suppose x is the number of pens.",
        "Let's denote the pens as x.",
        "Call the pens x.",
    ):
        assert edges("How many?", [said, "2x + 3 = 13"], [0]) == [Edge(1, "name", "x", 0)]
    assert edges("How many?", ["Let a = 5 be it.", "She gets a 20% discount."], [0]) == []
    assert edges("How many?", ["x + 1", *steps], [1]) == []  # the original does without, too


def test_numbered_parts() -> None:
    steps = ["There are steps:", "1. Add.", "2. Take.", "3. Stop."]
    assert edges("How?", steps, [2]) == [Edge(3, "part", "3", 2)]
    assert edges("How?", steps, [3]) == edges("How?", steps, [2, 3]) == []
    assert edges("How?", ["Case 1: a.", "Case 2: b.", "Case 3: c."], [0]) == [Edge(1, "part", "Case 2", 0)]
    assert edges("How?", ["**Step 1:** a.", "**Step 2:** b."], [0]) == [Edge(1, "part", "Step 2", 0)]


def test_lists_within_lists() -> None:
    steps = ["1. First", "   1. a", "   2. b", "2. Second"]
    assert edges("How?", steps, [1]) == [Edge(2, "part", "2", 1)]
    assert edges("How?", steps, [0]) == [Edge(3, "part", "2", 0)]


def test_lists_begin_with_one() -> None:
    texts = ["3. No list.", "1. a\n2. b", "3. c", "1. A", "2. B", "Step 1: x", "3. C"]
    assert [(part.step, part.label, part.before) for part in numbered_parts(texts)] == [
        (1, "1", None),
        (1, "2", None),
        (2, "3", 1),
        (3, "1", None),
        (4, "2", 3),
        (5, "Step 1", None),
        (6, "3", 4),
    ]


def test_rewritten_steps() -> None:
    steps = ["3 × 4 = 12, I think.", "He loses 5.", "12 − 5 = 7."]
    assert edges(PENS, steps, [], {0: "3 × 4 = 12."}) == []
    assert edges(PENS, steps, [], {0: "Multiply."}) == [Edge(2, "value", "12", 0)]
    assert edges(PENS, steps, [0], {2: "So 12 − 5 = 7."}) == [Edge(2, "value", "12", 0)]
    assert edges(PENS, steps, [1, 2], {0: "So 12 − 5 = 7."}) == [Edge(0, "value", "12", 0)]  # all three in one
    assert edges(PENS, steps, [1, 2], {0: "So 3 × 4 − 5 = 7."}) == []
    assert edges(PENS, steps, [], {0: "He has 12."}) == [Edge(0, "value", "12", 0)]


def test_numbers_in_code_are_not_read() -> None:
    flow = Flow("Write it.", ["range(17)", "for i in range(17): 17 + 1"], [True, True])
    assert flow.edges([None, "for i in range(17): 17 + 1"]) == []


def test_the_last_step_that_is_gone_and_works_it_out_is_the_producer() -> None:
    steps = ["3 × 4 = 12.", "4 × 3 = 12.", "It is 12.", "12 − 5 = 7."]
    assert edges(PENS, steps, [0, 1, 2]) == [Edge(3, "value", "12", 1)]
    assert edges(PENS, ["That is 17.", "17 again.", "17 + 1"], [0, 1]) == []  # from nowhere


SENTENCES = st.lists(
    st.sampled_from(
        ["3 × 4 = 12.", "12 − 5 = 7.", "So 7 is it.", "Let x be 7.", "2x + 12", "1. Add.", "2. Take.", "Hm.", "half of 12 is 6", "6 + 7 = 13", "13 × 2 = 26 = 20 + 6",
         "If 9, then 9 + 12 = 21.", "33% of 12", "x = 12 / 7", "12 / 7 is 1.71", "Step 1: 1.71", "Step 2: 21."]
    ),
    max_size=12,
)  # fmt: skip


@given(SENTENCES)
def test_the_original_and_its_prefixes_have_no_edges(steps: list[str]) -> None:
    flow = Flow(PENS, steps)
    for end in range(len(steps) + 1):
        assert flow.edges([*steps[:end], *[None] * (len(steps) - end)]) == []


@given(SENTENCES, st.data())
def test_restoring_producers_ends_with_nothing_missed(steps: list[str], data: st.DataObject) -> None:
    flow = Flow(PENS, steps)
    gone = {step for step in range(len(steps)) if data.draw(st.booleans())}
    for _ in range(len(steps) + 1):
        found = flow.edges([None if step in gone else text for step, text in enumerate(steps)])
        assert all(edge.producer in gone and edge.producer < edge.step and edge.step not in gone for edge in found)
        if not found:
            break
        gone -= {edge.producer for edge in found}
    else:
        raise AssertionError("something is missed without end")


@given(st.text(max_size=60), st.lists(st.text(max_size=40), max_size=6))
def test_any_text(question: str, steps: list[str]) -> None:
    flow = Flow(question, steps)
    assert flow.edges(steps) == []
    flow.edges([None, *steps[1:]] if steps else [])


def test_time_is_near_linear_in_the_number_of_steps() -> None:
    def seconds(count: int) -> float:
        steps = [f"So {i} × {i + 3} = {i * (i + 3)}, and {i + 7}.{i % 10} more." for i in range(count)]
        started = time.process_time()
        Flow("How many?", steps).edges([None if step % 2 else text for step, text in enumerate(steps)])
        return time.process_time() - started

    seconds(50)
    assert seconds(1600) < 40 * max(seconds(200), 0.005)
