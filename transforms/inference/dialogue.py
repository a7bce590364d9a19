"""Questions whose next ones depend on the answers: written as one generator, asked by a `Job` in rounds.

    def search(row):
        (first,) = yield [request]      # asks, and gets one exchange a request
        (second,) = yield [other(first)]
        return found(second)

    Job("recheck", RecheckedTrace, read, **conversation("recheck", search))

Each round goes on where the one before stopped, and at the end the generator is played once more over all exchanges for what
it returns, so it must do the same each time. If it does not, as where a verdict depends on a deadline, the row is dropped
to be asked again by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from transforms.core.drops import DropReason, drop
from transforms.core.records import row_id
from transforms.inference.requests import Exchange, Failure, Request, first_failure

Found = TypeVar("Found")
Dialogue = Generator[Sequence[Request], list[Exchange], Found]


class UnansweredError(Exception):
    """A request of a dialogue failed."""

    def __init__(self, failure: Failure):
        super().__init__(failure.message)
        self.failure = failure


class UnfinishedError(ValueError):
    """A dialogue asks for more, for less, or for something else than was answered."""


def answers_to(requests: Sequence[Request]) -> Dialogue[list[Exchange]]:
    """Asks, and gives what came back. Raises UnansweredError at the first failure."""
    exchanges = yield requests
    if failure := first_failure(exchanges):
        raise UnansweredError(failure)
    return exchanges


def conversation(stage: str, dialogue: Callable[[Any], Dialogue[Any]]) -> dict[str, Any]:
    """`ask`, `again` and `map` of a `Job` whose rows each have one outcome, what the dialogue returns."""
    return {
        "ask": partial(first_requests, dialogue),
        "again": Rounds(dialogue),
        "map": partial(_outcome, stage, dialogue),
    }


def first_requests(dialogue: Callable[[Any], Dialogue[Any]], row: Any) -> Sequence[Request]:
    """What is asked for a row at first; nothing where nothing has to be asked."""
    return _played(dialogue(row), [])[0]


class Rounds:
    """What is asked further for rows, from all exchanges they had: a `Job`'s `again`. Paused dialogues do not travel with it."""

    def __init__(self, dialogue: Callable[[Any], Dialogue[Any]]):
        self._dialogue = dialogue
        self._paused: dict[int, _Paused] = {}

    def __reduce__(self) -> tuple[type[Rounds], tuple[Callable[[Any], Dialogue[Any]]]]:
        return Rounds, (self._dialogue,)

    def __call__(self, rows: Sequence[Any], exchanges: Sequence[list[Exchange]]) -> list[list[Request]]:
        """The next requests of each row; none where its dialogue has ended."""
        return [self._next(row, had) for row, had in zip(rows, exchanges, strict=True)]

    def _next(self, row: Any, exchanges: list[Exchange]) -> list[Request]:
        paused = self._paused.pop(id(row), None)
        try:
            if paused is None or paused.row is not row or paused.had > len(exchanges):  # or the batch begins again
                paused = _begun(self._dialogue(row), row)
            paused = _fed(paused, exchanges)
        except (StopIteration, UnfinishedError):  # its outcome says which
            return []
        self._paused[id(row)] = paused
        return list(paused.asked)


class _Paused(NamedTuple):
    """A dialogue that waits for the answers to `asked`, after `had` exchanges; the row is held, so that its id is its own."""

    row: Any
    dialogue: Dialogue[Any]
    asked: Sequence[Request]
    had: int


def _begun(dialogue: Dialogue[Any], row: Any = None) -> _Paused:
    """Raises StopIteration, with what it returned, if it asks nothing."""
    return _Paused(row, dialogue, next(dialogue), 0)


def _fed(paused: _Paused, exchanges: list[Exchange]) -> _Paused:
    """As far as the exchanges go. Raises StopIteration, with what it returned, where it ends.

    And UnfinishedError where they are answers to something else than it asks.
    """
    row, dialogue, asked, had = paused
    while had + len(asked) <= len(exchanges):
        answered = exchanges[had : had + len(asked)]
        if [exchange.request for exchange in answered] != list(asked):
            raise UnfinishedError("it asks for something else than was answered")
        had += len(asked)
        try:
            asked = dialogue.send(answered)
        except StopIteration:
            if had < len(exchanges):
                raise UnfinishedError(f"{len(exchanges) - had} answers are to nothing that it asks") from None
            raise
    return _Paused(row, dialogue, asked, had)


def _outcome(stage: str, dialogue: Callable[[Any], Dialogue[Any]], row: Any, exchanges: list[Exchange]) -> list[Any]:
    try:
        return [result(dialogue(row), exchanges)]
    except UnfinishedError:
        detail = "it asked for something else when it was played again, as a verdict that was late would make it"
        return [drop(row_id(row), stage, DropReason.REQUEST_FAILED, detail)]


def result(dialogue: Dialogue[Found], exchanges: list[Exchange]) -> Found:
    """What the dialogue returns once everything that it asks is answered. Raises UnfinishedError if something is not."""
    asked, found = _played(dialogue, exchanges)
    if asked:
        raise UnfinishedError(f"{len(asked)} requests are not answered")
    return found  # type: ignore[return-value]


def _played(dialogue: Dialogue[Found], exchanges: list[Exchange]) -> tuple[Sequence[Request], Found | None]:
    """What it asks that is not answered yet, or what it returned."""
    try:
        asked = _fed(_begun(dialogue), exchanges).asked
    except StopIteration as end:
        return [], end.value
    dialogue.close()
    return asked, None
