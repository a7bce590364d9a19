"""Questions whose next ones depend on the answers: one generator a row, and those of a shard are played side by side.

    def search(row):
        (first,) = yield [request]      # asks, and gets one exchange a request
        (second,) = yield [other(first)]
        return found(second)

    play([search(row) for row in rows], respond)  → what each returned

Each round holds what all of them ask next, so that the model and the judge see whole batches. Each generator is begun once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeVar

from transforms.core.drops import Drop
from transforms.inference.requests import Exchange, Failure, Request, failed, first_failure

Found = TypeVar("Found")


class Work(NamedTuple):
    """What is asked of the job itself in place of a model, for all rows of a round at once (`Job.work`)."""

    item: Any


Dialogue = Generator[Sequence[Request | Work], list[Exchange], Found]
Respond = Callable[[list[Sequence[Request | Work]]], list[list[Exchange]]]


class UnansweredError(Exception):
    """A request of a dialogue failed."""

    def __init__(self, failure: Failure):
        super().__init__(failure.message)
        self.failure = failure


def answers_to(requests: Sequence[Request]) -> Dialogue[list[Exchange]]:
    """Asks, and gives what came back. Raises UnansweredError at the first failure."""
    exchanges = yield requests
    if failure := first_failure(exchanges):
        raise UnansweredError(failure)
    return exchanges


def or_drop(talk: Dialogue[Found], id: str, stage: str, method: str = "") -> Dialogue[Found | Drop]:
    """The same, but a failed request makes the row a drop, to be asked again by the next run."""
    try:
        return (yield from talk)
    except UnansweredError as error:
        return failed(id, stage, error.failure, method)


def play(dialogues: Sequence[Dialogue[Found]], respond: Respond) -> list[Found]:
    """What each dialogue returns; `respond` answers what those that go on ask in a round, an exchange a request."""
    found: dict[int, Found] = {}
    answered: dict[int, list[Exchange] | None] = dict.fromkeys(range(len(dialogues)))  # None begins one
    while answered:
        asked: dict[int, Sequence[Request | Work]] = {}
        for number, exchanges in answered.items():
            try:
                asked[number] = dialogues[number].send(exchanges)  # type: ignore[arg-type]
            except StopIteration as end:
                found[number] = end.value
        answered = dict(zip(asked, respond(list(asked.values())), strict=True)) if asked else {}
    return [found[number] for number in range(len(dialogues))]
