r"""The grammar of expressions: sums, products, factors, as signs or as words, with what may stand between them.

    sum      product ((+|-) product)*
    product  factor ((*|/|of) factor)*                 "of" behind a share: 25 % of, 3/4 of, half of
    factor   atom (% | ² | ^ atom | ! | dozen)*
    atom     number | name | (sum) | \frac | √ | twice atom | - atom | adding product and product

Between a number and its sign may stand its unit, or a gloss in brackets. What is not read whole ends the expression: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from transforms.coherence.algebra import Linear, Term, computed, factorial_of, negated, parts, root_of, size
from transforms.coherence.tokens import Literal, Tokens, Value, reduced
from transforms.coherence.vocabulary import JOINING, Kind

_MAX_UNIT_WORDS = 5
_MAX_DEPTH = 20
_DOZEN = 12
_MAX_JOINING = 3  # words between two operands, of which one has to join them: subtract 10 "she spent … from the" 30
_CURRENCIES = ("$", "€", "£", "¥")
_MAX_LEAVES = 64  # of an expression whose value is kept
_BEHIND = frozenset({Kind.PERCENT, Kind.POWER, Kind.FACTORIAL, Kind.SCALE, Kind.SIGN})
_BETWEEN = frozenset({Kind.WORDS, Kind.OPEN, Kind.SIGN})  # a unit begins with one of these
_FOLLOWS_UNIT = frozenset({Kind.SIGN, Kind.RELATION, Kind.CLOSE, Kind.OF})
_ARTICLES = frozenset({"the", "these", "those", "both"})


class Leaf(NamedTuple):
    """A number of an expression, its token, and the first word behind it."""

    value: Value
    token: int
    literal: Literal
    unit: str = ""


class Grammar:
    """A recursive descent over the tokens of a text, which keeps what it comes upon.

    Each rule takes the number of a token, and returns a value and the number of the token behind what it has read. The same number means
    that the rule does not fit.
    """

    def __init__(self, text: str, known: Mapping[str, Value]):
        self._tokens = Tokens(text)
        self._kinds, self._values = self._tokens.kinds, self._tokens.values
        self._known = known
        self._leaves: list[Leaf] = []
        self._shares: dict[int, Value] = {}  # of leaves that are percentages
        self._worked: list[tuple[Value, int, int]] = []  # values of expressions, and which leaves they have

    def _sum(self, token: int, depth: int) -> tuple[Term, int]:
        low = len(self._leaves)
        value, end = self._product(token, depth)
        while end > token:
            sign = self._past_unit(end)
            if self._kinds[sign] != Kind.SIGN or self._values[sign] not in ("+", "-"):
                break
            right, after = self._product(sign + 1, depth)
            if after == sign + 1:
                break
            value, end = self._work(str(self._values[sign]), value, right, low), after
        return value, end

    def _product(self, token: int, depth: int) -> tuple[Term, int]:
        low = len(self._leaves)
        value, end = self._factor(token, depth)
        while end > token:
            sign, at = self._multiplies(token, end)
            if not sign:
                break
            right, after = self._ratio(at) if sign == "/" else self._factor(at, depth)
            if after == at:
                right, after = self._factor(at, depth)
            if after == at:
                break
            value, end = self._work(sign, value, right, low), after
        return value, end

    def _ratio(self, token: int) -> tuple[Term, int]:
        """What a division is by, where it is a ratio that is written without spaces: 9 ÷ 3/4."""
        if self._tokens.starts[token] == self._tokens.ends[token - 1] or not self._is_ratio(token):
            return None, token
        low = len(self._leaves)
        over, _ = self._literal(token)
        under, end = self._literal(token + 2)
        return self._work("/", over, under, low), end

    def _is_ratio(self, token: int) -> bool:
        """Whether 3/4 stands here, without spaces."""
        starts, ends = self._tokens.starts[token + 1 : token + 3], self._tokens.ends[token : token + 2]
        is_division = (
            self._kinds[token : token + 3] == [Kind.NUMBER, Kind.SIGN, Kind.NUMBER] and self._values[token + 1] == "/"
        )
        return is_division and starts == ends

    def _multiplies(self, start: int, end: int) -> tuple[str, int]:
        """The sign behind a factor, or "", and where the next factor begins."""
        at = self._past_unit(end)
        kind, said = self._kinds[at], self._values[at]
        if kind == Kind.SIGN and said in ("*", "/"):
            return str(said), at + 1
        if kind == Kind.SIGN and said == "over" and self._kinds[end - 1] == Kind.NUMBER == self._kinds[at + 1]:
            return "/", at + 1
        if kind == Kind.OF and self._is_share(start, end):
            has_words = self._kinds[at + 1] == Kind.WORDS and str(self._values[at + 1]).count(" ") < _MAX_UNIT_WORDS - 1
            return "*", at + 1 + has_words
        if self._tokens.starts[end] == self._tokens.ends[end - 1]:  # 3(4 + 5), (2)(3), 3x
            before, glued = self._kinds[end - 1], self._kinds[end]
            if (glued == Kind.OPEN and self._values[end] == "(" and before in (Kind.NUMBER, Kind.CLOSE)) or (
                glued == Kind.NAME and before == Kind.NUMBER
            ):
                return "*", end
        return "", end

    def _is_share(self, start: int, end: int) -> bool:
        """Whether a product is a part of what follows: 25 %, 3/4, half."""
        kind = self._kinds[end - 1]
        if kind == Kind.PERCENT or self._kinds[start] == Kind.FRACTION:
            return True
        if kind != Kind.NUMBER:
            return False
        return not isinstance(self._number(end - 1), int) or (end - start >= 3 and self._values[end - 2] == "/")

    def _number(self, token: int) -> Value:
        literal = self._values[token]
        assert isinstance(literal, Literal)
        return literal.value

    def _work(self, sign: str, left: Term, right: Term, low: int) -> Term:
        """The value of an operation, which is written out with the leaves from `low` on."""
        value = computed(sign, left, right)
        if isinstance(value, Linear):  # of x + 20 + x + 10 it is 30 and 2
            for part in parts(sign, left, right, value):
                self._keep(part, low)
            return value
        return self._keep(value, low)

    def _keep(self, value: Value | None, low: int) -> Value | None:
        if value is not None and len(self._leaves) - low <= _MAX_LEAVES:
            self._worked.append((value, low, len(self._leaves)))
        return value

    # Factors and atoms

    def _factor(self, token: int, depth: int) -> tuple[Term, int]:
        low = len(self._leaves)
        value, end = self._atom(token, depth)
        while end > token:
            kind = self._kinds[end]
            if kind not in _BEHIND:
                break
            if kind == Kind.PERCENT:
                value = computed("/", value, 100)
                if len(self._leaves) == low + 1 and value is not None and not isinstance(value, Linear):
                    self._shares[low] = size(value)
            elif kind == Kind.POWER:
                value = self._work("^", value, self._values[end], low)  # type: ignore[arg-type]
            elif kind == Kind.FACTORIAL:
                value = self._keep(factorial_of(value), low)
            elif kind == Kind.SCALE:
                value = self._scaled(value, end, low)
            elif kind == Kind.SIGN and self._values[end] == "^":
                power, after = self._atom(end + 1, depth)
                if after == end + 1:
                    break
                value, end = self._work("^", value, power, low), after - 1
            else:
                break
            end += 1
        return value, end

    def _scaled(self, value: Term, token: int, low: int) -> Term:
        """Five dozen is worked out, 1.2 million is a number."""
        scale: int = self._values[token]  # type: ignore[assignment]
        if scale == _DOZEN or value is None or isinstance(value, Linear) or len(self._leaves) > low + 1:
            self._leaves.append(Leaf(scale, token, Literal(scale, 0, True)))
            return self._work("*", value, scale, low)
        value = reduced(value * scale)
        self._leaves[low] = self._leaves[low]._replace(value=value)
        return value

    def _atom(self, token: int, depth: int) -> tuple[Term, int]:
        kind = self._kinds[token]
        if kind == Kind.NUMBER:
            return self._literal(token)
        if kind == Kind.NAME:
            name = str(self._values[token])
            return self._known.get(name, Linear(0, 1, name)), token + 1
        if depth > _MAX_DEPTH:
            return None, token
        low = len(self._leaves)
        if kind == Kind.OPEN:
            value, end = self._sum(token + 1, depth + 1)
            closing = self._past_words(end) if end > token + 1 else token
            return (value, closing + 1) if self._kinds[closing] == Kind.CLOSE else (None, token)
        if kind == Kind.SIGN and self._values[token] == "-" and self._is_unary(token):
            value, end = self._atom(token + 1, depth + 1)
            return (negated(value), end) if end > token + 1 else (None, token)
        if kind == Kind.ROOT:
            value, end = self._atom(token + 1, depth + 1)
            return (self._keep(root_of(value), low), end) if end > token + 1 else (None, token)
        if kind == Kind.FRACTION:
            return self._latex_fraction(token, depth)
        if kind == Kind.PREFIX:
            factor: int = self._values[token]  # type: ignore[assignment]
            self._leaves.append(Leaf(factor, token, Literal(factor, 0, True)))
            value, end = self._atom(token + 1, depth + 1)
            return (self._work("*", factor, value, low), end) if end > token + 1 else (None, token)
        return self._verb(token, depth) if kind == Kind.VERB else (None, token)

    def _is_unary(self, token: int) -> bool:
        before = self._kinds[token - 1] if token else Kind.BREAK
        return before not in (Kind.NUMBER, Kind.NAME, Kind.CLOSE, Kind.PERCENT, Kind.WORDS, Kind.SCALE, Kind.POWER)

    def _literal(self, token: int) -> tuple[Value, int]:
        """A number; also 5 1/2, and 5½."""
        literal, end = self._values[token], token + 1
        assert isinstance(literal, Literal)
        value = literal.value
        if self._kinds[end] == Kind.NUMBER and isinstance(value, int) and not literal.in_words:
            over, is_glued = self._number(end), self._tokens.starts[end] == self._tokens.ends[token]
            if not isinstance(over, int) and is_glued:
                value, end = value + over, end + 1
            elif self._kinds[end + 1 : end + 3] == [Kind.SIGN, Kind.NUMBER] and self._values[end + 1] == "/":
                under = self._number(end + 2)
                if isinstance(over, int) and isinstance(under, int) and 0 < over < under <= 100:
                    part = computed("/", over, under)
                    value, end = computed("+", value, part), end + 3  # type: ignore[assignment]
        if (
            isinstance(value, int)
            and self._kinds[end] == Kind.FRACTION
            and self._tokens.starts[end] == self._tokens.ends[token]
        ):
            leaves, worked = len(self._leaves), len(self._worked)
            part, after = self._latex_fraction(end, 0)
            del self._leaves[leaves:], self._worked[worked:]
            if isinstance(part, Fraction) and 0 < part < 1:
                value, end = value + part, after  # 2\\frac{3}{4}
        if self._tokens.text[self._tokens.starts[token] - 1 : self._tokens.starts[token]] in _CURRENCIES:
            unit = "$"
        else:
            unit = str(self._values[end]).split(" ", 1)[0].rstrip("s") if self._kinds[end] == Kind.WORDS else ""
        self._leaves.append(Leaf(value, token, literal, unit))
        return value, end

    def _latex_fraction(self, token: int, depth: int) -> tuple[Term, int]:
        r"""\frac{1}{2}, \frac12"""
        low, at = len(self._leaves), token + 1
        digits = self._tokens.text[self._tokens.starts[at] : self._tokens.ends[at]]
        if len(digits) == 2 and digits.isdecimal():
            over, under = int(digits[0]), int(digits[1])
            self._leaves += [Leaf(over, at, Literal(over)), Leaf(under, at, Literal(under))]
            return self._work("/", over, under, low), at + 1
        above, end = self._atom(at, depth + 1)
        if end == at:
            return None, token
        below, after = self._atom(end, depth + 1)
        return (self._work("/", above, below, low), after) if after > end else (None, token)

    def _verb(self, token: int, depth: int) -> tuple[Term, int]:
        """Adding 3 and 4, multiplying 3 by 4, subtracting 3 from 7, the sum of 3 and 4."""
        low, at = len(self._leaves), token + 1
        if self._kinds[at] == Kind.OF or (self._kinds[at] == Kind.WORDS and self._values[at] in _ARTICLES):
            at += 1
        left, end = self._product(at, depth + 1)
        if end == at:
            return None, token
        words = str(self._values[end]).split(" ")[-_MAX_JOINING:] if self._kinds[end] == Kind.WORDS else []
        if JOINING.isdisjoint(words):
            return None, token
        right, after = self._product(end + 1, depth + 1)
        if after == end + 1:
            return None, token
        one, other = (right, left) if "from" in words else (left, right)
        return self._work(str(self._values[token]), one, other, low), after

    # What stands between

    def _past_unit(self, token: int, *kinds: str) -> int:
        """Behind the unit or the gloss of a number, if a sign or a relation follows: 10 mph × 3, 80 (Monday) + 12."""
        if self._kinds[token] not in _BETWEEN:
            return token
        after = self._past_words(token)
        kind = self._kinds[after]
        return after if kind in _FOLLOWS_UNIT or kind in kinds else token

    def _past_words(self, token: int) -> int:
        """Behind a unit: hours, miles/hour, (Monday), {cm}."""
        token = self._past_gloss(token)
        if self._kinds[token] == Kind.WORDS and str(self._values[token]).count(" ") < _MAX_UNIT_WORDS:
            token += 1
        while self._kinds[token] == Kind.SIGN and self._values[token] == "/" and self._kinds[token + 1] == Kind.WORDS:
            token += 2
        return self._past_gloss(token)

    def _past_gloss(self, token: int) -> int:
        kinds = self._kinds
        is_gloss = kinds[token] == Kind.OPEN and kinds[token + 1] == Kind.WORDS and kinds[token + 2] == Kind.CLOSE
        return token + 3 if is_gloss else token
