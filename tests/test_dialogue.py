"""A generator's questions are asked in rounds, and answered in their order."""

from __future__ import annotations

from typing import Any

import pytest

from transforms.inference.dialogue import Dialogue, UnansweredError, answers_to, conversation, result
from transforms.inference.engine import Completion, Exchange, Failure, ScoreRequest, turn


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
    job, rows = conversation(countdown), [0, 2]
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
    with pytest.raises(AssertionError, match="2 requests are not answered"):
        result(countdown(0), [])


def test_a_failure_ends_the_dialogue() -> None:
    def talk() -> Dialogue[str]:
        try:
            yield from answers_to([ask("a"), ask("b")])
        except UnansweredError as error:
            return error.failure.message
        return "answered"

    good, bad = said(ask("a"), "fine"), Exchange(ask("b"), Failure("timeout", "too late"))
    assert result(talk(), [good, bad]) == "too late"
    assert result(talk(), [good, good]) == "answered"
