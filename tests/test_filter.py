"""Correct, unique, capped: decided for each problem, whatever the order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transforms.filter import Chosen, Version, choose
from transforms.shards import Mark

OUTCOMES = ["correct", "incorrect", "undecided"]


def version(trace: str, method: int, tokens: int, outcome: str = "correct", text: str = "", row: int = 0) -> Version:
    return Version(trace, method, tokens, outcome, "passed", (text or f"{trace}{method}").encode(), 0, row)


def decide(versions: list[Version], wanted: int | None = None, n: int = 1) -> dict[tuple[str, int], str]:
    """(trace, method) → "" if chosen, else the reason."""
    notes = {row: note for _, (row, note) in choose(versions, 4, 2, wanted, n)}
    return {(v.trace_id, v.method): n.reason if isinstance(n := notes[v.row], Mark) else "" for v in versions}


def test_the_portfolio_takes_the_shortest_and_the_first_named_of_equals() -> None:
    versions = [
        version("a", 0, 50, row=0),
        version("a", 1, 40, row=1),
        version("b", 0, 60, row=2),
        version("b", 1, 60, row=3),
    ]
    assert decide(versions, n=2) == {("a", 0): "not_chosen", ("a", 1): "", ("b", 0): "", ("b", 1): "not_chosen"}
    assert decide(versions, n=1) == {
        ("a", 0): "not_chosen",
        ("a", 1): "",
        ("b", 0): "not_chosen",
        ("b", 1): "not_chosen",
    }


def test_a_named_method_takes_its_own() -> None:
    versions = [version("a", 0, 50, row=0), version("a", 1, 40, row=1)]
    assert decide(versions, wanted=0) == {("a", 0): "", ("a", 1): "not_chosen"}


def test_reasons() -> None:
    versions = [
        version("a", 0, 50, "incorrect", row=0),
        version("b", 0, 50, "undecided", row=1),
        version("c", 0, 50, text="same", row=2),
        version("d", 0, 51, text="same", row=3),
    ]
    assert decide(versions, n=5) == {
        ("a", 0): "incorrect",
        ("b", 0): "undecided",
        ("c", 0): "",
        ("d", 0): "duplicate_trace",
    }


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.integers(1, 4), st.sampled_from(OUTCOMES)),
        unique_by=lambda v: v[:2],
    ),
    st.integers(1, 3),
    st.randoms(),
)
def test_order_free_and_capped(rows: list[tuple[str, int, int, str]], n: int, random: object) -> None:
    versions = [
        version(trace, method, tokens, outcome, row=row) for row, (trace, method, tokens, outcome) in enumerate(rows)
    ]
    shuffled = list(versions)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = list(choose(versions, 1, 1, None, n)), list(choose(shuffled, 1, 1, None, n))
    assert sorted(first, key=lambda x: x[1][0]) == sorted(second, key=lambda x: x[1][0])
    assert len(first) == len(versions)
    chosen = [row for _, (row, note) in first if isinstance(note, Chosen)]
    assert len(chosen) <= n
    assert all(versions[row].outcome == "correct" for row in chosen)
    assert len({versions[row].trace_id for row in chosen}) == len(chosen)
    correct = {v.trace_id for v in versions if v.outcome == "correct"}
    assert len(chosen) == min(n, len(correct))
