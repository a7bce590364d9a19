"""A generator's questions are asked in rounds, and answered in their order."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tests.builders import problem
from transforms.core.drops import Drop
from transforms.inference.dialogue import Dialogue, UnansweredError, answers_to, conversation, result
from transforms.inference.requests import Completion, Exchange, Failure, ScoreRequest, turn


def ask(text: str) -> ScoreRequest:
    return turn("?", text)


def said(request: Any, text: str) -> Exchange:
    return Exchange(request, Completion(text, "stop", 1, 1))


def countdown(row: int) -> Dialogue[str]:
    """Asks `row` questions, one a round, then none, then two at once."""
    heard = []
    for number in range(row):
        (exchange,) = yield [ask(f"{row}: {number}")]
        heard.append(exchange.response.text)
    nothing = yield []
    assert nothing == []
    exchanges = yield [ask("a"), ask("b")]
    return ",".join([*heard, *(exchange.response.text for exchange in exchanges)])


def test_rows_go_on_until_they_have_asked_all() -> None:
    job, rows = conversation("bench", countdown), [0, 2]
    asked: list[Any] = [list(job["ask"](row)) for row in rows]
    had: list[list[Exchange]] = [[], []]
    rounds = 0
    while any(asked):
        rounds += 1
        for exchanges, requests in zip(had, asked, strict=True):
            exchanges += [said(request, request.text.upper()) for request in requests]
        asked = job["again"](rows, had)
    assert rounds == 3
    assert [job["map"](row, exchanges) for row, exchanges in zip(rows, had, strict=True)] == [
        ["A,B"],
        ["2: 0,2: 1,A,B"],
    ]
    with pytest.raises(ValueError, match="2 requests are not answered"):
        result(countdown(0), [])


def test_a_round_goes_on_where_the_one_before_stopped() -> None:
    """Played from the beginning each time, a dialogue of n rounds would take n² of its own steps."""
    steps: list[int] = []

    def long(row: list[int]) -> Dialogue[int]:
        for number in range(row[0]):
            steps.append(number)
            yield [ask(str(number))]
        return row[0]

    job, row = conversation("bench", long), [50]
    had: list[Exchange] = []
    asked = list(job["ask"](row))
    while asked:
        had += [said(request, "") for request in asked]
        (asked,) = job["again"]([row], [had])
    assert job["map"](row, had) == [50]
    assert len(steps) == 1 + 50 + 50
    assert job["again"]([row], [had[:2]]) == [[ask("2")]]
    assert job["again"]([row], [had[:1]]) == [[ask("1")]]  # a batch that begins again
    assert job["again"]([[50]], [had[:1]]) == [[ask("1")]]


def test_rounds_travel_without_what_is_paused() -> None:
    again = conversation("bench", countdown)["again"]
    rows, had = [2], [said(ask("2: 0"), "A")]
    assert again(rows, [had]) == [[ask("2: 1")]]
    copy = pickle.loads(pickle.dumps(again))
    assert copy(rows, [had]) == [[ask("2: 1")]]


def test_a_failure_ends_the_dialogue() -> None:
    def talk() -> Dialogue[str]:
        try:
            yield from answers_to([ask("a"), ask("b")])
        except UnansweredError as error:
            return error.failure.message
        return "answered"

    good, bad = said(ask("a"), "fine"), Exchange(ask("b"), Failure("timeout", "too late"))
    assert result(talk(), [good, bad]) == "too late"
    assert result(talk(), [good, said(ask("b"), "fine")]) == "answered"


@pytest.mark.parametrize(
    ("before", "after"), [("a", "ab"), ("ab", "a"), ("ab", "ac"), ("ab", "b")], ids=["more", "less", "other", "nothing"]
)
def test_a_row_that_is_played_otherwise_than_before_is_asked_again_by_the_next_run(before: str, after: str) -> None:
    turns = iter([before, after, after])

    def fickle(_: Any) -> Dialogue[str]:
        for text in next(turns):
            yield [ask(text)]
        return "done"

    job, row = conversation("recheck", fickle), problem()
    had = [said(ask(text), text.upper()) for text in before]
    assert job["again"]([row], [had]) == [[]]
    assert job["again"]([row], [had]) in ([[]], [[ask("b")]])  # another process plays it again
    (outcome,) = job["map"](row, had)
    assert isinstance(outcome, Drop)
    assert (outcome.id, outcome.stage, outcome.reason) == (row.id, "recheck", "request_failed")
