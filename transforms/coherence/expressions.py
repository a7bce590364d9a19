r"""Reads what a sentence computes: the numbers it mentions, the expressions it writes out, the equations between them.

    read("So 12 boxes times \$3 is 36, or 30% of 120.")
        → mentions 12, 3, 36, 30 %, 120; made 36 of (12, 3) and 36 of (3/10, 120); equation 12 × 3 = 36

A chain is side (relation side)*; each side is a sum of `transforms.coherence.grammar`. Where a side is one number and a sign
follows its comma, that goes on from it: "… is 20, plus 5 is 25". Values are exact fractions.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from transforms.coherence.algebra import Linear, Term, size
from transforms.coherence.grammar import Grammar
from transforms.coherence.reading import Equation, Made, Mention, Reading
from transforms.coherence.tokens import Value
from transforms.coherence.vocabulary import INTRODUCING, JOINING, MEANING, ROUGHLY, SUPPOSING, WHICH, Kind

_ROUNDED_PLACES = 2
_MAX_CLAUSE = 12  # tokens
_SUPPOSES = re.compile(rf"\b(?:{'|'.join(sorted(SUPPOSING))})\b", re.IGNORECASE)
_NOT_BY_TENS = re.compile(r"\b(?:mod|modulo|base|binary|octal|hexadecimal|clock)\b|mod\d", re.IGNORECASE)
_OTHER_DIGITS = re.compile(r"\d,\s$")
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_STARTS = frozenset({Kind.NUMBER, Kind.OPEN, Kind.FRACTION, Kind.ROOT, Kind.PREFIX, Kind.VERB, Kind.NAME, Kind.SIGN})
_WORKS = frozenset(  # a side with one of these works something out
    {Kind.SIGN, Kind.OF, Kind.FRACTION, Kind.ROOT, Kind.PREFIX, Kind.VERB, Kind.SCALE, Kind.POWER, Kind.FACTORIAL}
)
_JOINED = frozenset(  # what stands beside a side and may belong to it
    {
        Kind.SIGN, Kind.NAME, Kind.NUMBER, Kind.PERCENT, Kind.POWER, Kind.OF, Kind.FRACTION, Kind.ROOT, Kind.OTHER, Kind.SCALE,
        Kind.OPEN,
    }
)  # fmt: skip
_NO_NAMES: frozenset[str] = frozenset()


class _Side(NamedTuple):
    """One side of a relation: its leaves from `low` to `high`, its tokens from `start` to `end`. `relation` stands before it."""

    value: Term
    low: int
    high: int
    works: bool
    start: int
    end: int
    relation: str

    @property
    def is_number(self) -> bool:
        """Whether it is one number that stands by itself."""
        return self.high - self.low == 1 and not self.works


def read(text: str, known: MutableMapping[str, Value] | None = None) -> Reading:
    """What a sentence, or any text, says in numbers. Fenced code says nothing.

    Args:
        text: plain or LaTeX.
        known: values of names that were said before; those that the text says are added.
    """
    if "```" in text:
        text = _FENCED.sub(lambda found: "\n".ljust(len(found[0])), text)
    return _Reader(text, {} if known is None else known).reading()


class _Reader(Grammar):
    """Chains of sides with relations between them, and what follows from them."""

    def __init__(self, text: str, known: MutableMapping[str, Value]):
        super().__init__(text, known)
        self._meanings = known
        self._equations: list[Equation] = []

    def reading(self) -> Reading:
        """All that the text says."""
        operands: set[int] = set()
        chained: set[int] = set()
        whole: set[tuple[int, int]] = set()
        token, last = 0, len(self._kinds) - 1
        while token < last:
            sides = self._chain(token) if self._kinds[token] in _STARTS else []
            if not sides:
                token += 1
                continue
            for side in sides:
                whole.add((side.low, side.high))
                if side.works:
                    operands.update(range(side.low, side.high))
                if side.relation == "=" and side.low - sides[0].low >= 2:
                    chained.update(range(side.low, side.high))
            for left, right in pairwise(sides):
                if right.relation:
                    self._relate(left, right)
            token = sides[-1].end
        values = [leaf.value for leaf in self._leaves]
        made = [Made(size(value), tuple(values[low:high]), (low, high) in whole) for value, low, high in self._worked]
        ratios = self._ratios()
        may_suppose = bool(_SUPPOSES.search(self._tokens.text))
        mentions = [
            Mention(size(leaf.value), self._shares.get(number), ratios.get(number), leaf.literal.places, number in operands,
                    number in chained, may_suppose and self._is_supposed(leaf.token), leaf.literal.in_words, leaf.unit,
                    self._tokens.starts[leaf.token])
            for number, leaf in enumerate(self._leaves)
        ]  # fmt: skip
        uses, sets = self._names() if Kind.NAME in self._kinds else (_NO_NAMES, _NO_NAMES)
        return Reading(tuple(mentions), tuple(made), tuple(self._equations), uses, sets)

    def _ratios(self) -> dict[int, Value]:
        """Of the leaves of proper fractions of whole numbers, the fractions' values."""
        found: dict[int, Value] = {}
        for value, low, high in self._worked:
            if high - low == 2 and not isinstance(value, int) and value < 1:
                over, under = self._leaves[low].value, self._leaves[low + 1].value
                if (
                    isinstance(over, int)
                    and isinstance(under, int)
                    and 0 < over < under
                    and value == Fraction(over, under)
                ):
                    found[low] = found[low + 1] = value
        return found

    def _is_supposed(self, token: int) -> bool:
        """If 5, say 5, if x = 5"""
        if token >= 2 and self._kinds[token - 1] == Kind.RELATION and self._kinds[token - 2] == Kind.NAME:
            token -= 2
        return not SUPPOSING.isdisjoint(self._tokens.last_words(token, 4))

    def _names(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names that stand beside a sign, their coefficient or "=", and those that the text gives a meaning."""
        kinds, values = self._kinds, self._values
        uses, sets = set(), set()
        for token, kind in enumerate(kinds[:-1]):
            if kind != Kind.NAME:
                continue
            name, before, after = str(values[token]), kinds[token - 1] if token else Kind.BREAK, kinds[token + 1]
            if (after == Kind.RELATION and before not in _JOINED) or self._is_introduced(token):
                sets.add(name)
            if {before, after} & {Kind.SIGN, Kind.NUMBER, Kind.POWER} or "=" in (values[token - 1], values[token + 1]):
                uses.add(name)
        return frozenset(uses), frozenset(sets)

    def _is_introduced(self, token: int) -> bool:
        """Let x be, let the number of pens be x, call it x, x represents"""
        after = str(self._values[token + 1]).split(" ", 1)[0] if self._kinds[token + 1] == Kind.WORDS else ""
        return after in MEANING or not INTRODUCING.isdisjoint(self._clause_before(token))

    def _clause_before(self, token: int) -> set[str]:
        """The words from the last punctuation on."""
        words: set[str] = set()
        for _ in range(_MAX_CLAUSE):
            if not token or self._kinds[token - 1] == Kind.BREAK:
                break
            token -= 1
            if self._kinds[token] == Kind.WORDS:
                words.update(str(self._values[token]).split(" "))
        return words

    # Chains and sides

    def _chain(self, token: int) -> list[_Side]:
        """a + b = c = d"""
        sides: list[_Side] = []
        relation = ""
        while (side := self._side(token, relation)) is not None:
            sides.append(side)
            while side.relation and side.is_number and (further := self._further(side)) is not None:
                sides.append(side := further)
            token = self._relation_after(side.end)
            if self._kinds[token] != Kind.RELATION:
                break
            relation, token = str(self._values[token]), token + 1
            if self._kinds[token] == Kind.WORDS and self._kinds[token + 1] in _STARTS:
                words = str(self._values[token]).split(" ")
                if len(words) > 2:
                    break
                relation, token = "≈" if ROUGHLY.intersection(words) else "may be", token + 1
        return sides

    def _relation_after(self, token: int) -> int:
        """Past what may stand between a side and its relation: a unit, the end of a line, ", which"."""
        token = self._past_unit(token)
        if self._values[token] == "\n" and self._kinds[token + 1] == Kind.RELATION:
            return token + 1
        is_comma = self._kinds[token] == Kind.BREAK and self._values[token] == ","
        if (
            self._kinds[token + is_comma] == Kind.WORDS
            and str(self._values[token + is_comma]).rsplit(" ", 1)[-1] in WHICH
        ):
            return token + is_comma + 1
        return token

    def _further(self, side: _Side) -> _Side | None:
        """ "… is 20, plus 5": what goes on from a side that is one number."""
        token = self._past_unit(side.end, Kind.BREAK)
        if self._kinds[token] != Kind.BREAK or self._values[token] != ",":
            return None
        token += 1
        if self._kinds[token] == Kind.WORDS and self._values[token] in ("and", "then", "and then"):
            token += 1
        if self._kinds[token] != Kind.SIGN or self._values[token] not in ("+", "-"):
            return None
        value, end = self._product(token + 1, 0)
        if end == token + 1:
            return None
        value = self._work(str(self._values[token]), side.value, value, side.low)
        return _Side(value, side.low, len(self._leaves), True, side.start, end, "")

    def _side(self, token: int, relation: str) -> _Side | None:
        low, worked = len(self._leaves), len(self._worked)
        value, end = self._sum(token, 0)
        if end == token:
            del self._leaves[low:], self._worked[worked:]
            return None
        works = not _WORKS.isdisjoint(self._kinds[token + (self._kinds[token] == Kind.SIGN) : end])
        return _Side(value, low, len(self._leaves), works, token, end, relation)

    # Relations

    def _relate(self, left: _Side, right: _Side) -> None:
        one, other = left.value, right.value
        if self._kinds[left.start] == Kind.NAME and left.end == left.start + 1 and right.relation != "≈":
            self._set(str(self._values[left.start]), other)
        elif one is not None and other is not None and not isinstance(one, Linear) and not isinstance(other, Linear):
            places = self._leaves[right.low].literal.places if right.is_number else -1
            clean = one != other and self._is_clean(left, right)
            start, end = self._tokens.starts[left.start], self._tokens.ends[right.end - 1]
            slack = self._slack(left) if clean else 0
            self._equations.append(Equation(one, other, right.relation, places, clean, slack, start, end))

    def _slack(self, side: _Side) -> Value:
        """Of the value of a side, by how much its rounded decimals may move it. Money is exact, and so are sums of two places."""
        assert isinstance(side.value, int | Fraction)
        leaves = self._leaves[side.low : side.high]
        if any(self._values[token] in ("+", "-") for token in range(side.start, side.end)):
            return sum(
                (Fraction(1, 10**leaf.literal.places) for leaf in leaves if leaf.literal.places > _ROUNDED_PLACES),
                Fraction(0),
            )
        rounded = [
            leaf for leaf in leaves if leaf.literal.places >= _ROUNDED_PLACES and leaf.value and leaf.unit != "$"
        ]
        return sum((abs(Fraction(side.value) / leaf.value) / 10**leaf.literal.places for leaf in rounded), Fraction(0))

    def _set(self, name: str, value: Term) -> None:
        """x = 5"""
        if value is None or isinstance(value, Linear):
            self._meanings.pop(name, None)
        else:
            self._meanings[name] = value

    def _is_clean(self, left: _Side, right: _Side) -> bool:
        """Whether the sides are all that is compared, and are meant to be equal."""
        if (
            not right.is_number
            or right.relation not in ("=", "is")
            or self._kinds[right.start] == Kind.SIGN
            or left.high == left.low
        ):
            return False
        return (
            self._is_worked_out(left, right.relation)
            and self._stands_alone(left.start, right.end)
            and self._is_claimed(left.start, right.end)
            and self._adds_up(left, right)
        )

    def _is_worked_out(self, side: _Side, relation: str) -> bool:
        """Whether a side computes something; a ratio that "is" something names a part: 1/3 is 5 pages."""
        kinds = self._kinds[side.start : side.end]
        signs = {self._values[side.start + at] for at, kind in enumerate(kinds) if kind == Kind.SIGN} - {"^"}
        is_ratio = Kind.FRACTION in kinds or (self._is_ratio(side.start) and side.end == side.start + 3)
        if Kind.NAME in kinds or kinds[0] == Kind.SIGN or (is_ratio and relation != "="):
            return False
        return bool(signs) or Kind.OF in kinds or Kind.VERB in kinds or is_ratio

    def _stands_alone(self, start: int, end: int) -> bool:
        """Whether nothing beside an equation may belong to it."""
        before = self._kinds[start - 1] if start else Kind.BREAK
        if before in _JOINED or before == Kind.CLOSE or not JOINING.isdisjoint(self._tokens.last_words(start, 1)):
            return False
        if start > 1 and before == Kind.WORDS and self._kinds[start - 2] == Kind.NUMBER:
            return False  # 5 hours 30 minutes × 2
        text, first = self._tokens.text, self._tokens.starts[start]
        if "," in text[first : self._tokens.ends[start]] and before == Kind.RELATION:
            return False  # 7 × 21 = 147,147 + 53
        if _OTHER_DIGITS.search(text, max(first - 4, 0), first) and text[first : first + 3].isdecimal():
            return False  # 10, 000 + 5
        behind = {self._kinds[end], self._kinds[self._past_words(end)]}
        return not behind & _JOINED and not self._goes_on_in_digits(end)

    @cached_property
    def _counts_otherwise(self) -> bool:
        return bool(_NOT_BY_TENS.search(self._tokens.text))

    def _is_claimed(self, start: int, end: int) -> bool:
        """Whether the text says that it is so: it does not ask, suppose or leave off, and counts by tens."""
        after = {str(self._values[end])[:1], str(self._values[self._past_words(end)])[:1]}
        is_open = "?" in after or self._tokens.text.startswith(("..", "…"), self._tokens.ends[end - 1])
        if is_open or self._counts_otherwise:
            return False
        return SUPPOSING.isdisjoint(self._tokens.last_words(start, 4))

    def _adds_up(self, left: _Side, right: _Side) -> bool:
        """Whether the left side can be what the right one is compared with, and not its last term alone."""
        terms, result = self._leaves[left.low : left.high], self._leaves[right.low]
        last = [value for value, low, high in self._worked if high == left.high and low > left.low]
        if any(leaf.literal.in_words for leaf in terms) or result.value in (*last, terms[-1].value):
            return False
        is_sum = any(self._values[token] in ("+", "-") for token in range(left.start, left.end))
        units = {leaf.unit for leaf in (*terms, result)} - {""}
        shares = any(number in self._shares for number in range(left.low, left.high))
        return not (is_sum and (len(units) > 1 or shares)) and left.value >= 0  # type: ignore[operator]

    def _goes_on_in_digits(self, token: int) -> bool:
        """169, 344"""
        after = self._tokens.text[self._tokens.starts[token] : self._tokens.starts[token] + 6]
        return after[:2] == ", " and after[2:5].isdecimal() and not after[5:].isdecimal()
