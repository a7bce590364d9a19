"""What a sentence says in numbers: the records that `transforms.coherence.expressions.read` fills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transforms.coherence.tokens import Value


class Mention(NamedTuple):
    """A number of a sentence. `value` is its size, without a sign; of a percentage `share` is the hundredth part, else None; `ratio` is the
    value of the fraction that it is a part of: 2/3 of both its 2 and its 3.

    `places` are its decimal places: it stands for whatever rounds to it. An operand is worked with, other numbers are only
    stated. `chained` numbers stand behind "=" in a chain that has two numbers before it; `supposed` ones behind "if" or "say".
    """

    value: Value
    share: Value | None
    ratio: Value | None
    places: int
    operand: bool
    chained: bool
    supposed: bool
    in_words: bool
    unit: str
    start: int


class Made(NamedTuple):
    """An expression that is written out: its value, and the numbers in it. `whole` is not part of a larger one: 8 × 7 of 8 × 7 / 2 is."""

    value: Value
    operands: tuple[Value, ...]
    whole: bool

    @property
    def is_new(self) -> bool:
        """Whether the value is none of the numbers that it is made of."""
        return all(abs(operand) != self.value for operand in self.operands)


class Equation(NamedTuple):
    """Two sides, and the characters that they stand in. `places` are the decimal places of a right side that is one number, else −1.

    `clean`: they differ, the left side is worked out, the right is one number, and nothing stands beside them that may belong to them. `slack` is by
    how much the left side may differ from its value, as its decimals with two places and more may be rounded.
    """

    left: Value
    right: Value
    relation: str
    places: int
    clean: bool
    slack: Value
    start: int
    end: int


class Reading(NamedTuple):
    """What a sentence says in numbers. `uses` are the names that it works with, `sets` those that it says the value of."""

    mentions: tuple[Mention, ...] = ()
    made: tuple[Made, ...] = ()
    equations: tuple[Equation, ...] = ()
    uses: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()


def values_of(mentions: Sequence[Mention]) -> set[Value]:
    """All values that these numbers stand for."""
    return {value for one in mentions for value in (one.value, one.share) if value is not None}
