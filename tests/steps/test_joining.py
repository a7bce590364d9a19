"""What stays of a thinking, put together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.core.records import Action, Decision
from transforms.steps.joining import joined, stitched
from transforms.steps.splitting import split_steps

PIECES = st.text(st.sampled_from("ab.- \t\n"), min_size=1, max_size=8)


def stays(texts: list[str], *gone: int) -> str:
    return "".join(stitched(texts, [None if n in gone else text for n, text in enumerate(texts)]))


@pytest.mark.parametrize(
    ("texts", "gone", "left"),
    [
        (["I misread it. ", "Again.\n", "- Then she stops."], (1,), "I misread it.\n- Then she stops."),
        (["A. ", "B.\n\n", "C. ", "D."], (1, 2), "A.\n\nD."),  # the strongest
        (["A.\n\n", "B. ", "C."], (1,), "A.\n\nC."),
        (["A. ", "B.\n", "```python\nf()\n```\n", "C."], (1,), "A.\n```python\nf()\n```\nC."),
        (["A. ", "B:\n    ", "- c\n"], (1,), "A.\n    - c\n"),  # indented as it was
        (["A.\n\n", "B:\n  ", "- c"], (1,), "A.\n\n  - c"),
        (["ab", "c ", "d"], (1,), "ab d"),  # no words run together
        (["A. ", "B. ", "C."], (1,), "A. C."),
        (["A:\n```\nf()\n```", "\n\nB.", " C."], (1,), "A:\n```\nf()\n```\n\nC."),  # the space may be before a step
        (["A.", "\n\nB.", " C."], (1,), "A.\n\nC."),
        (["A.", " B.", "\n\n- C."], (1,), "A.\n\n- C."),
        (["A. ", "\n", "B."], (1,), "A. \nB."),
        (["A. ", "B.\n\n"], (1,), "A. "),  # nothing follows
        (["A.\n", "B. ", "C."], (0,), "B. C."),
    ],
)
def test_the_strongest_break_stays(texts: list[str], gone: tuple[int, ...], left: str) -> None:
    assert stays(texts, *gone) == left


@given(st.lists(st.tuples(PIECES, st.booleans())))
def test_what_stays_is_a_subsequence_and_each_text_is_whole(pieces: list[tuple[str, bool]]) -> None:
    texts = [text for text, _ in pieces]
    found = stitched(texts, [text if kept else None for text, kept in pieces])
    kept = [text for text, is_kept in pieces if is_kept]
    assert [one.strip() for one in found] == [text.strip() for text in kept]
    rest = iter("".join(texts))
    assert all(character in rest for character in "".join(found))
    assert stitched(texts, texts) == texts


def test_a_rewritten_step_stands_where_the_steps_stood() -> None:
    thinking = "One goes. Two stay.\nThree go. Four stay."
    steps = split_steps(thinking, "sentence")
    decisions = [
        Decision(0, Action.KEEP, "-"),
        Decision(1, Action.REWRITE, "-", text="2 and 3 stay."),
        Decision(2, Action.MERGE, "-"),
        Decision(3, Action.KEEP, "-"),
    ]
    assert joined(thinking, steps, decisions) == "One goes. 2 and 3 stay. Four stay."
    assert joined(thinking, steps, decisions, given_back=[1, 2]) == thinking
