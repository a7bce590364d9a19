"""Exact operations on numbers, and on linear terms in one name: what `transforms.coherence.expressions` computes with.

computed("/", 1, 3) → 1/3          computed("+", Linear(0, 2, "x"), 5) → Linear(5, 2, "x")
"""

from __future__ import annotations

from fractions import Fraction
from math import factorial, isqrt
from typing import NamedTuple

from transforms.coherence.tokens import Value, reduced

_MAX_SIZE = 10**40
_MAX_BITS = _MAX_SIZE.bit_length()
_MAX_FACTORIAL = 30


class Linear(NamedTuple):
    """coefficient × name + constant."""

    constant: Value
    coefficient: Value
    name: str


Term = Value | Linear | None  # None: it is read, but has no value that is known


def computed(sign: str, left: Term, right: Term) -> Term:
    """`left` + - * / ^ `right`; None where that has no value, or an unreasonably large one."""
    if left is None or right is None:
        return None
    if isinstance(left, Linear) or isinstance(right, Linear):
        return _combined(sign, left, right)
    if size(left) > _MAX_SIZE or size(right) > _MAX_SIZE:
        return None
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return reduced(left * right)
    if sign == "/":
        return reduced(Fraction(left) / right) if right else None
    if not isinstance(right, int) or (right < 0 and not left) or abs(right) * _bits(left) > _MAX_BITS:
        return None
    return reduced(Fraction(left) ** right)


def _bits(value: Value) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def parts(sign: str, left: Term, right: Term, result: Linear) -> list[Value]:
    """Which numbers of a linear result an operation works out: of 2x + 20 and 3x − 10 those are 5 and 10, of 2x and 10 none."""
    one, other = (_linear(side) for side in (left, right) if side is not None)
    if sign in ("+", "-"):
        pairs = (
            (one.constant, other.constant, result.constant),
            (one.coefficient, other.coefficient, result.coefficient),
        )
        return [value for a, b, value in pairs if a and b]
    line = one if one.name else other
    return [
        value
        for before, value in ((line.constant, result.constant), (line.coefficient, result.coefficient))
        if before not in (0, 1)
    ]


def size(value: Value) -> Value:
    """Without its sign: abs(), whose type mypy loses over the union."""
    return -value if value < 0 else value


def negated(value: Term) -> Term:
    """Minus the value."""
    return computed("*", -1, value)


def factorial_of(value: Term) -> Value | None:
    """n!, of small n."""
    return factorial(value) if isinstance(value, int) and 0 <= value <= _MAX_FACTORIAL else None


def root_of(value: Term) -> Value | None:
    """The square root, where it is whole."""
    if not isinstance(value, int) or not 0 <= value <= _MAX_SIZE:
        return None
    root = isqrt(value)
    return root if root * root == value else None


def _combined(sign: str, left: Value | Linear, right: Value | Linear) -> Term:
    if sign in ("+", "-"):
        one, other = _linear(left), _linear(right)
        if one.name and other.name and one.name != other.name:
            return None
        factor = 1 if sign == "+" else -1
        return Linear(
            one.constant + factor * other.constant,
            one.coefficient + factor * other.coefficient,
            one.name or other.name,
        )
    if sign == "*" and isinstance(right, Linear) and not isinstance(left, Linear):
        left, right = right, left
    if (
        not isinstance(left, Linear)
        or isinstance(right, Linear)
        or sign not in ("*", "/")
        or (sign == "/" and not right)
    ):
        return None
    factor_ = Fraction(right) if sign == "*" else 1 / Fraction(right)
    return Linear(left.constant * factor_, left.coefficient * factor_, left.name)


def _linear(value: Value | Linear) -> Linear:
    return value if isinstance(value, Linear) else Linear(value, 0, "")
