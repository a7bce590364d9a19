"""Examples and their split."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import changed, problem, rechecked, segmented
from transforms.core.records import Decision, Kept, Message, trace_id
from transforms.emit import emit, split_of
from transforms.steps.versions import Version


def kept(problem_id: str = "p") -> tuple[Version, Kept]:
    name = trace_id(problem_id, 0)
    trace = segmented("a\n\nb", "It is 5.", problem(id=problem_id), id=name, prompt="2 + 3?")
    decisions = (Decision(0, "keep", "-"), Decision(1, "delete", "-"))
    version = changed(rechecked(name), **vars(trace), decisions=decisions, num_tokens_after=4)
    return version, Kept(name, "keep_all", 1, 2, "vote", 0.5)


def test_messages() -> None:
    (example,) = emit(kept(), "messages", 3)
    assert example.messages == (Message("user", "2 + 3?"), Message("assistant", "<think>\na\n</think>\n\nIt is 5."))
    (other,) = emit(kept(), "messages", 3, "Be brief.")
    assert other.messages[0] == Message("user", "What is 2 + 3?\n\nBe brief.")
    assert (example.num_thinking_tokens, example.num_thinking_tokens_original) == (4, 9)


def test_examples_say_where_they_come_from() -> None:
    (example,) = emit(kept(), "messages", 3)
    assert (example.num_correct, example.num_samples) == (1, 2)
    assert (example.reference, example.round) == ("vote", 3)
    version, choice = kept()
    licensed = changed(version, problem=problem(license="cc-by-4.0"))
    (example,) = emit((licensed, choice), "messages", 3)
    assert example.license == "cc-by-4.0"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers())
def test_a_problem_is_in_one_split_and_stays_there(problem_id: str, seed: int) -> None:
    (example,) = emit(kept(problem_id), "messages", 1)
    assert split_of(example, 0.0, seed) == "train"
    small, large = split_of(example, 0.1, seed), split_of(example, 0.5, seed)
    assert small == "train" or large == "validation"


def test_shares_are_about_what_was_asked() -> None:
    examples = [next(iter(emit(kept(f"p-{n}"), "messages", 1))) for n in range(2000)]
    counts = Counter(split_of(example, 0.1, 17) for example in examples)
    assert 150 < counts["validation"] < 250
