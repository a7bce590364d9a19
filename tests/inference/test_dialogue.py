"""Dialogues are played side by side, each begun once, and their questions answered in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.inference.dialogue import Dialogue, UnansweredError, answers_to, play
from transforms.inference.requests import Completion, Exchange, Failure, ScoreRequest, turn


def ask(text: str) -> ScoreRequest:
    return turn("?", text)


class Loud:
    """Answers in capitals, and remembers how much was asked in each round."""

    def __init__(self, failing: str = ""):
        self.rounds: list[list[int]] = []
        self._failing = failing

    def __call__(self, asked: list[Sequence[Any]]) -> list[list[Exchange]]:
        self.rounds.append([len(row) for row in asked])
        return [[Exchange(one, self._said(one.text)) for one in row] for row in asked]

    def _said(self, text: str) -> Any:
        return Failure("timeout", "too late") if text == self._failing else Completion(text.upper(), "stop", 1, 1)


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


def test_each_goes_on_until_it_has_asked_all() -> None:
    model = Loud()
    assert play([countdown(0), countdown(2)], model) == ["A,B", "2: 0,2: 1,A,B"]
    assert model.rounds == [[0, 1], [2, 1], [0], [2]]  # who has ended is not asked again


@given(st.lists(st.integers(0, 6), max_size=8))
def test_each_is_begun_once_and_hears_its_own_answers(lengths: list[int]) -> None:
    begun: list[int] = []

    def talk(number: int, length: int) -> Dialogue[list[str]]:
        begun.append(number)
        heard: list[str] = []
        for turn_of in range(length):
            heard += [exchange.response.text for exchange in (yield [ask(f"{number}x{turn_of}")] * turn_of)]
        return heard

    model = Loud()
    found = play([talk(number, length) for number, length in enumerate(lengths)], model)
    assert begun == list(range(len(lengths)))
    assert found == [
        [f"{n}X{turn_of}" for turn_of in range(length) for _ in range(turn_of)] for n, length in enumerate(lengths)
    ]
    assert len(model.rounds) == max(lengths, default=0)


def test_a_failure_ends_the_dialogue() -> None:
    def talk() -> Dialogue[str]:
        try:
            yield from answers_to([ask("a"), ask("b")])
        except UnansweredError as error:
            return error.failure.message
        return "answered"

    assert play([talk()], Loud(failing="b")) == ["too late"]
    assert play([talk()], Loud()) == ["answered"]


def test_an_answer_too_few_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        play([countdown(1), countdown(1)], lambda asked: [[]])
