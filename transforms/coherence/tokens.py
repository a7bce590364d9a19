r"""Cuts a sentence into what its calculations are made of: numbers, signs, relations, brackets, names, and the words between.

    "So 12 boxes times \$3 is 36." → WORDS so, NUMBER 12, WORDS boxes, SIGN *, NUMBER 3, RELATION is, NUMBER 36, BREAK .

Plain text and LaTeX. Dollar signs, LaTeX's delimiters and emphasis are no tokens. A number that only counts something off
("Step 3", "2.", "#4", "5th", "8:30") is OTHER, as is whatever else has no meaning here.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from transforms.coherence.vocabulary import (
    COUNTED,
    FIRST_OF_PAIRS,
    IN_DIGITS,
    ORDINAL,
    PAIRS,
    PARTS,
    SCALES,
    SPECIAL,
    UNITS,
    WORDS,
    Kind,
)

Value = int | Fraction


class Literal(NamedTuple):
    """A number as it is written, with its decimal places."""

    value: Value
    places: int = 0
    in_words: bool = False


_TOKEN = re.compile(
    r"""
    (?: (?P<root> \\sqrt(?![a-zA-Z]) | √ )
      | (?P<words> [A-Za-z]{2,}(?:['’][A-Za-z]+)? (?:[ ][A-Za-z]{2,}(?:['’][A-Za-z]+)?)* )
      | (?P<label> (?<=\d)\\(?:text|mathrm)\s?\{\s?[A-Z][A-Za-z]*\s?\} )
      | (?P<mark> ^[ \t]*(?:[-–*•>#]{1,6}[ \t]+){0,3}(?:\(?\d{1,2}[.)](?=\s|\*|$)|(?<=[-–*•][ \t])) )
      | (?P<clock> (?<![\d:])\d{1,2}:\d\d(?::\d\d)?(?![\d:]) )
      | (?P<number> (?:\d{1,3}(?:(?:,\\!|,|\{,\}|\\,)\d{3})+(?!\d)|\d+)(?:\.\d+)? | \.\d+ ) (?P<suffix>[A-Za-z]+)?
      | (?P<space> [ \t]+ | \\[,;:!>\ ] | \\(?:left|right|q?quad|displaystyle|textstyle|bigg?[lr]?|Bigg?[lr]?)(?![a-zA-Z])
                 | \\?[$€£¥₹&] | \\[()\[\]] | \*\* | \\(?:text(?:bf|it)?|math(?:rm|bf|it)|mbox|operatorname)\s?(?=\{) )
      | (?P<break> [.,;:?\n]+ | \\\\ )
      | (?P<sign> [+*/×·⋅∗÷^−–-] | \\(?:times|cdot|div)(?![a-zA-Z]) )
      | (?P<relation> = | ≈ | ≃ | \\approx(?![a-zA-Z]) )
      | (?P<open> [({\[] | \\(?:boxed|fbox)\s?\{ )
      | (?P<close> [)}\]] )
      | (?P<name> [A-Za-z](?:_\{?\w{1,8}\}?|\d{1,2})?(?![A-Za-z0-9'’]) )
      | (?P<fraction> \\[dtc]?frac(?![a-zA-Z]) )
      | (?P<percent> \\?% )
      | (?P<vulgar> [½⅓⅔¼¾⅕⅖⅗⅘⅙⅛⅜⅝⅞] )
      | (?P<power> [²³] )
      | (?P<other> \\[a-zA-Z]+ | [A-Za-z]+ | . )
    ) (?(break)|[ \t]*)  # a mark begins its line
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_OPERATES = re.compile(r"\s*[-+*/×·÷=)^≈<>}\\]")
_NEXT_WORD = re.compile(r"\s*([a-z]+)")

_SIGNS = {
    "−": "-",
    "–": "-",
    "×": "*",
    "·": "*",
    "⋅": "*",
    "∗": "*",
    "\\times": "*",
    "\\cdot": "*",
    "÷": "/",
    "\\div": "/",
}
_APPROXIMATE = frozenset({"≈", "≃", "\\approx"})
_VULGAR = dict(
    zip(
        "½⅓⅔¼¾⅕⅖⅗⅘⅙⅛⅜⅝⅞",
        map(
            Fraction, ["1/2", "1/3", "2/3", "1/4", "3/4", "1/5", "2/5", "3/5", "4/5", "1/6", "1/8", "3/8", "5/8", "7/8"]
        ),
        strict=True,
    )
)
_BETWEEN_DIGITS = re.compile(r"[,{}\\!]")
_MAX_DIGITS = 40


class Tokens:
    """The tokens of a text as four lists of one length; a BREAK at the end of the text is the last."""

    def __init__(self, text: str):
        self.text = text
        self.kinds: list[str] = []
        self.values: list[object] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self._cut()
        self.add(Kind.BREAK, "", len(text), len(text))

    def add(self, kind: str, value: object, start: int, end: int) -> None:
        """Puts one behind the others."""
        self.kinds.append(kind)
        self.values.append(value)
        self.starts.append(start)
        self.ends.append(end)

    def literal(self, token: int) -> Literal | None:
        """The number at this place, or None where there is none. −1 is the last."""
        if len(self.kinds) < -token or self.kinds[token] != Kind.NUMBER:
            return None
        return self.values[token]  # type: ignore[return-value]

    def last_words(self, token: int, count: int) -> list[str]:
        """The last words before a token, and before the comma before it: say, 7."""
        if token > 1 and self.values[token - 1] == ",":
            token -= 1
        if token < 1 or self.kinds[token - 1] != Kind.WORDS:
            return []
        return str(self.values[token - 1]).rsplit(" ", count)[-count:]

    def _cut(self) -> None:
        for found in _TOKEN.finditer(self.text):
            group = found.lastgroup
            if group == "space":
                continue
            start, end = found.span(group)  # type: ignore[arg-type]
            if group == "words":
                self._words(found[group].lower(), start)
            elif self._is_read(start):
                continue
            elif group in ("number", "suffix"):
                self._number(found["number"], found["suffix"] or "", found.start())
            elif group == "name":
                self._name(found[group], start, end)
            else:
                self.add(*self._plain(str(group), found[group], end), start, end)  # type: ignore[index]

    def _plain(self, group: str, said: str, end: int) -> tuple[str, object]:
        if group == "sign":
            return Kind.SIGN, _SIGNS.get(said, said)
        if group == "relation":
            return Kind.RELATION, "≈" if said in _APPROXIMATE else said
        if group == "mark":
            return Kind.BREAK, ""
        if group == "clock":
            return Kind.OTHER, ""
        if group == "label":
            return Kind.NAME, said
        if group == "vulgar":
            return Kind.NUMBER, Literal(_VULGAR[said])
        if (
            group == "open"
            and self.kinds
            and self.kinds[-1] in (Kind.WORDS, Kind.NAME)
            and self.ends[-1] == end - len(said)
        ):
            return (Kind.OTHER if said == "(" else Kind.OPEN), said  # a function's argument
        if group == "power":
            return Kind.POWER, 2 if said == "²" else 3
        if said == "!" and self._is_factorial(end):
            return Kind.FACTORIAL, ""
        return (Kind.BREAK if said == "!" else group), said

    def _is_factorial(self, end: int) -> bool:
        follows = bool(self.kinds) and self.ends[-1] == end - 1 and self.kinds[-1] in (Kind.NUMBER, Kind.CLOSE)
        return follows and bool(_OPERATES.match(self.text, end))

    def _number(self, digits: str, suffix: str, start: int) -> None:
        """A number, and what is glued to it: a unit, or a name that it is the coefficient of."""
        end = start + len(digits)
        whole_end = end + len(suffix)
        is_ordinal = suffix in ORDINAL and not self._follows("/")
        if len(digits) > _MAX_DIGITS or is_ordinal or self._is_counted(start):
            self.add(Kind.OTHER, "", start, whole_end)
            return
        if not digits.isdecimal():
            digits = _BETWEEN_DIGITS.sub("", digits)
        whole, _, decimals = digits.partition(".")
        value: Value = int(whole or 0)
        if decimals:
            value = reduced(Fraction(int(whole + decimals), 10 ** len(decimals)))
        if suffix == "k" and self.text[start - 1 : start] in ("$", "€", "£"):
            value, suffix, end = value * 1000, "", whole_end
        if self.kinds and self.kinds[-1] == Kind.WORDS and self.ends[-1] == start:
            self.add(Kind.OTHER, "", start, start)  # "least26" has lost its space, "year2" is a name
        self.add(Kind.NUMBER, Literal(value, len(decimals)), start, end)
        if suffix and suffix not in ORDINAL:
            is_unit = suffix in UNITS or (len(suffix) > 2 and suffix.islower())
            self.add(Kind.WORDS if is_unit else Kind.NAME, suffix, end, whole_end)

    def _follows(self, sign: str) -> bool:
        return bool(self.kinds) and self.kinds[-1] == Kind.SIGN and self.values[-1] == sign

    def _is_counted(self, start: int) -> bool:
        if self.text[start - 1 : start] == "#":
            return True
        last = self.last_words(len(self.kinds), 1)
        return bool(last) and (last[0] in COUNTED or last[0].rstrip("s") in COUNTED)

    def _words(self, said: str, start: int) -> None:
        """Words with a space between, in small letters."""
        words = said.split(" ")
        if SPECIAL.isdisjoint(words) and not self._is_read(start):
            self._plain_word(said, start, start + len(said))
            return
        for word in words:
            if not self._is_read(start):
                (self._word if word in SPECIAL else self._plain_word)(word, start, start + len(word))
            start += len(word) + 1

    def _is_read(self, start: int) -> bool:
        """Whether what begins here was taken together with what stands before it."""
        return bool(self.ends) and start < self.ends[-1]

    def _word(self, word: str, start: int, end: int) -> None:
        """A word of the vocabulary, in small letters."""
        second = _NEXT_WORD.match(self.text, end) if word in FIRST_OF_PAIRS else None
        if second and (pair := PAIRS.get((word, second[1]))):
            self.add(*pair, start, second.end())
        elif entry := WORDS.get(word):
            self.add(*entry, start, end)
        elif word in IN_DIGITS:
            self._in_words(IN_DIGITS[word], start, end)
        elif word in PARTS and self._is_part(word, end):
            self._part(PARTS[word], start, end)
        elif word in SCALES and self.literal(-1):
            self.add(Kind.SCALE, SCALES[word], start, end)
        elif word in SCALES:
            self.add(Kind.NUMBER, Literal(SCALES[word], 0, True), start, end)
        else:
            self._plain_word(word, start, end)

    def _plain_word(self, word: str, start: int, end: int) -> None:
        """Words that follow each other are one token."""
        if self.kinds and self.kinds[-1] == Kind.WORDS:
            self.values[-1] = f"{self.values[-1]} {word}"
            self.ends[-1] = end
        else:
            self.add(Kind.WORDS, word, start, end)

    def drop(self) -> None:
        """Takes the last one back."""
        for column in (self.kinds, self.values, self.starts, self.ends):
            column.pop()

    def _is_part(self, word: str, end: int) -> bool:
        """Whether "third" is 1/3: not in "the third book"."""
        if word == "half" or self._before_hyphen() is not None or self.literal(-1):
            return True
        second = _NEXT_WORD.match(self.text, end)
        return second is not None and second[1] in ("of", "as")

    def _before_hyphen(self) -> Literal | None:
        return self.literal(-2) if self._follows("-") else None

    def _part(self, under: int, start: int, end: int) -> None:
        """Two-thirds, a third."""
        over = self._before_hyphen()
        if over:
            self.drop()
        over = over or self.literal(-1)
        if over and isinstance(over.value, int) and 0 < over.value < 100:
            start = self.starts[-1]
            self.drop()
            self.add(Kind.NUMBER, Literal(Fraction(over.value, under), 0, True), start, end)
        else:
            self.add(Kind.NUMBER, Literal(Fraction(1, under), 0, True), start, end)

    def _in_words(self, value: int, start: int, end: int) -> None:
        """Twenty-five is one number."""
        hyphened = self._before_hyphen()
        tens = hyphened or self.literal(-1)
        if value < 10 and tens and tens.in_words and tens.value in range(20, 100, 10):
            for _ in range(2 if hyphened else 1):
                start = self.starts[-1]
                self.drop()
            value += int(tens.value)
        self.add(Kind.NUMBER, Literal(value, 0, True), start, end)

    def _name(self, name: str, start: int, end: int) -> None:
        """A name of one letter; "a" and "I" may be words, and "x" a sign."""
        after = self.text[end : end + 3]
        is_article = name in ("a", "A", "I") and re.match(r"\s+[A-Za-z\d$]|['’]", after)
        if is_article or re.match(r"-[a-z]{2}", after):  # x-axis
            self._word(name.lower(), start, end)
        elif name in ("x", "X") and self.literal(-1) and re.match(r"\s\$?\d", after) and self.text[start - 1] == " ":
            self.add(Kind.SIGN, "*", start, end)
        else:
            self.add(Kind.NAME, name, start, end)


def reduced(value: Value) -> Value:
    """A whole number as an int."""
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value
