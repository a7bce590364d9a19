"""Where the values of a trace come from, and what a shorter version of it uses without having said it.

    question "Tom has 3 boxes of 4 pens and loses 5."
    "3 × 4 = 12." | "He loses 5." | "12 − 5 = 7."  without the first  →  Edge(step=2, kind="value", what="12", producer=0)

A value dangles in a kept step if the step mentions it, the original had it before, and now neither the question nor a kept step before
has it, nor does one of these write out an expression that comes to it as a whole, or the step itself one that does anywhere. It does not

- where it is a supposition, a small number, or a term of a chain that is being worked out;
- where it is only stated, beside two numbers of which it is the sum, difference, product or quotient, or is a part of a number that is taken apart (81 + 45 as 80 + 40 and 1 + 5);
- where the original has it from nowhere: what it takes for granted, a version may, too.

A value that stands elsewhere, but of something else, by its unit or as it is needed twice, is missed where the step is gone that has just
worked it out. A name
of one letter dangles where it is used and the step that says its meaning is gone, a numbered part where the part before it is.

So the original has no edges, nor has any prefix of it. What no number carries is not seen: prose, and code, whose numbers are not read.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction

from transforms.coherence.algebra import size
from transforms.coherence.expressions import read
from transforms.coherence.parts import numbered_parts
from transforms.coherence.reading import Mention, Reading, values_of
from transforms.coherence.tokens import Value, reduced
from transforms.core.records import Edge

_SMALL = frozenset({0, 1, 2})  # are everywhere
_UNITS = frozenset({0, 1})  # are one step from everything
_SMALL_IN_WORDS = 12
_DOZEN = 12
_SHORT_MEMORY = 3  # kept steps in which an expression may stand whose value is said later
_SOON = 6  # steps from a value's derivation to the use that it is for
_CONTEXT = 2  # steps before a number's first mention that it may come from
_READABLE = re.compile(  # a digit, a name, a number in words
    r"[\d=½⅓⅔¼¾⅕⅖⅗⅘⅙⅛⅜⅝⅞]|(?<![A-Za-z'’])[b-zB-HJ-Z](?![A-Za-z'’])|teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|dozen"
)
_INTEGER = re.compile(r"(?<![\d.,:])\d+(?![.,:]?\d)")
_ARTICLES = frozenset({"a", "A", "I"})
_NO_READING = Reading()


class _Said:
    """What a version has said up to a step: the values that it has and those that it has worked out, the units of values, the last readings."""

    def __init__(self, have: set[Value], units: dict[Value, set[str]], rewritten: Collection[int]):
        self.have, self.units, self.rewritten = have, units, rewritten
        self.worked_out: set[Value] = set()
        self.lately: deque[Reading] = deque(maxlen=_SHORT_MEMORY)

    def add(self, reading: Reading, said: set[Value], made: set[Value]) -> None:
        """The next step that stays, the values that it gives to later ones, and those that it works out."""
        self.have |= said
        self.worked_out |= made
        for mention in reading.mentions:
            self.units.setdefault(mention.value, set()).add(mention.unit)
        self.lately.append(reading)


class Flow:
    """Which step of a trace first says what, and works it out."""

    def __init__(self, question: str, texts: Sequence[str], is_code: Sequence[bool] = ()):
        """Reads the trace once.

        Args:
            question: what the trace answers.
            texts: the steps of the original, in order.
            is_code: of each step; none is, where it is left out.
        """
        known: dict[str, Value] = {}
        self._texts = texts
        self._is_code = is_code or [False] * len(texts)
        self._readings = [self._read(text, code, known) for text, code in zip(texts, self._is_code, strict=True)]
        asked = read(question)
        self._given = frozenset(_SMALL | _given(asked) | {int(found[:40]) for found in _INTEGER.findall(question)})
        self._given_units: dict[Value, set[str]] = {}
        for mention in asked.mentions:
            self._given_units.setdefault(mention.value, set()).add(mention.unit)
        self._given_names = frozenset(re.findall(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])", question)) - _ARTICLES
        self._first: dict[Value, int] = {}
        self._first_set: dict[str, int] = {}
        self._producers: dict[Value, list[int]] = {}  # the steps that work a value out
        self._results: dict[Value, list[int]] = {}  # those, and such as use the value itself: 3 × $1 = $3
        self._derived = [_derived(reading) for reading in self._readings]
        self._said = [_said(reading, made) for reading, made in zip(self._readings, self._derived, strict=True)]
        for step, (reading, said, made) in enumerate(zip(self._readings, self._said, self._derived, strict=True)):
            for value in said:
                self._first.setdefault(value, step)
            for value in made:
                self._producers.setdefault(value, []).append(step)
            for value in {one.value for one in reading.made}:
                self._results.setdefault(value, []).append(step)
            for name in reading.sets:
                self._first_set.setdefault(name, step)
        self._parts = numbered_parts(texts)

    def _read(self, text: str, is_code: bool, known: dict[str, Value]) -> Reading:
        return read(text, known) if _READABLE.search(text) and not is_code else _NO_READING

    def edges(self, stays: Sequence[str | None]) -> list[Edge]:
        """What dangles in a version: `stays` has the text of each step, as it was or rewritten, None for those that are gone."""
        gone = {step for step, text in enumerate(stays) if text != self._texts[step]}
        return [*self._values(stays, gone), *self._names(stays, gone), *self._missed_parts(stays, gone)]

    def reading(self, step: int, text: str) -> Reading:
        """Of a step with this text: that of the original, if it is as it was."""
        return self._readings[step] if text == self._texts[step] else self._read(text, self._is_code[step], {})

    # Values

    def _values(self, stays: Sequence[str | None], gone: Collection[int]) -> Iterator[Edge]:
        rewritten = {step for step in gone if stays[step] is not None}
        said = _Said(set(self._given), {value: set(units) for value, units in self._given_units.items()}, rewritten)
        for step, text in enumerate(stays):
            if text is None:
                continue
            reading, values, made = self._readings[step], self._said[step], self._derived[step]
            if step in rewritten:
                reading = self._read(text, self._is_code[step], {})
                made = _derived(reading)
                values = _said(reading, made)
            for mention in reading.mentions:
                missed = (
                    self._is_masked(mention, step, made, said, gone)
                    if mention.value in said.have
                    else self._dangles(mention, step, reading, made, said)
                )
                if missed:
                    yield Edge(step, "value", str(mention.value), self._producer(mention, step, gone))
                    said.worked_out.add(mention.value)  # once is enough
                    said.have.add(mention.value)
            said.add(reading, values, made)

    def _dangles(self, mention: Mention, step: int, reading: Reading, made: set[Value], said: _Said) -> bool:
        value, have = mention.value, said.have
        first = self._first.get(value, len(self._texts))
        is_rewritten = step in said.rewritten and first < len(self._texts)
        if (first >= step and not is_rewritten) or mention.supposed or mention.chained:
            return False
        if mention.in_words and value <= _SMALL_IN_WORDS:
            return False
        if (mention.ratio in have and value not in self._producers) or any(
            one.in_words and one.value == value for one in reading.mentions
        ):
            return False
        if mention.share in have or _stands_for(mention, have) or _stands_for(mention, made):
            return False
        beside = [one for one in reading.mentions if one.start != mention.start]
        if not mention.operand and _is_one_step(
            value, [one for one in beside if one.value in have or one.value in made]
        ):
            return False
        is_worked_out = _stands_for(mention, self._derived[first])
        if first >= step:
            return is_worked_out  # in the step before it was rewritten, or in one that it was merged with
        if mention.operand and (
            _is_taken_apart(value, reading, have) or (not is_worked_out and _is_part(value, beside, reading, have))
        ):
            return False
        return is_worked_out or not self._is_from_nowhere(mention)

    def _is_masked(self, mention: Mention, step: int, made: set[Value], said: _Said, gone: Collection[int]) -> bool:
        """Whether the value stands elsewhere, but of something else, and the step that has just worked out this one is gone.

        "2 × 5 = 10 gifts" is gone, "10 + 6 = 16 gifts" uses it, and the question's 10 are "10 more". What an expression has twice needs
        both its sources: "$3.00 + $1.50 + $3.00" after "6 × $0.50 = $3.00" is gone.
        """
        value = mention.value
        if (
            not mention.operand
            or mention.in_words
            or mention.supposed
            or mention.chained
            or value in _SMALL
            or value in made
            or value in said.worked_out
        ):
            return False
        producer = next((one for one in reversed(self._results.get(value, ())) if one < step), -1)
        if producer not in gone or step - producer > _SOON:
            return False
        if any(value in values_of(self._readings[one].mentions) for one in range(producer + 1, step)):
            return False
        if any(value == one.value for earlier in said.lately for one in earlier.made):
            return False
        result = [one for one in self._readings[producer].mentions if one.value == value][-1:]
        unit = result[0].unit if result and not result[0].operand else ""
        if any(one.operands.count(value) > 1 for one in self._readings[step].made):
            return True
        return bool(unit) and unit not in said.units.get(value, ()) and mention.unit in ("", unit)

    def _is_from_nowhere(self, mention: Mention) -> bool:
        """Whether the original neither writes it out shortly before it first has it, nor could work it out there in one step."""
        value, first = mention.value, self._first[mention.value]
        written = (
            one.value for reading in self._readings[max(first - _SHORT_MEMORY, 0) : first] for one in reading.made
        )
        if _stands_for(mention, set(written)):
            return False
        near = [one for reading in self._readings[max(first - _CONTEXT, 0) : first + 1] for one in reading.mentions]
        return not _is_one_step(value, [one for one in near if one.value != value], self._given - _UNITS)

    def _producer(self, mention: Mention, step: int, gone: Collection[int]) -> int:
        """The step to restore: the last that is gone and works the value out, else the last that has it."""
        made = [one for one in self._producers.get(mention.value, ()) if one < step and one in gone]
        made = made or [one for one in self._results.get(mention.value, ()) if one < step and one in gone]
        if made:
            return made[-1]
        if self._first[mention.value] >= step:
            return step  # as it was
        return next(
            one
            for one in range(step - 1, -1, -1)
            if one in gone and mention.value in values_of(self._readings[one].mentions)
        )

    # Names and parts

    def _names(self, stays: Sequence[str | None], gone: Collection[int]) -> Iterator[Edge]:
        have = set(self._given_names)
        for step, text in enumerate(stays):
            if text is None:
                continue
            reading = self.reading(step, text)
            for name in sorted(reading.uses - reading.sets - have):
                first = self._first_set.get(name)
                if first is not None and first in gone and first < step and not self._is_used_before(name, first):
                    yield Edge(step, "name", name, first)
            have |= reading.uses | reading.sets

    def _is_used_before(self, name: str, step: int) -> bool:
        return any(name in reading.uses for reading in self._readings[:step])

    def _missed_parts(self, stays: Sequence[str | None], gone: Collection[int]) -> Iterator[Edge]:
        for part in self._parts:
            if part.before is not None and stays[part.before] is None and part.step not in gone:
                yield Edge(part.step, "part", part.label, part.before)


def _given(asked: Reading) -> set[Value]:
    """The values that a question gives: its numbers and fractions, 1.3 and 0.7 of 30 %, 0.25 of 25 cents, 36 of 3 dozen."""
    found = values_of(asked.mentions)
    for one in asked.mentions:
        if one.share is not None:
            found |= {reduced(1 + one.share), size(1 - one.share)}
        if one.unit == "cent":
            found.add(reduced(Fraction(one.value) / 100))
    fractions = {one.value for one in asked.made if isinstance(one.value, Fraction) and len(one.operands) == 2}
    return found | fractions | {one.value for one in asked.made if len(one.operands) == 2 and one.operands[1] == _DOZEN}


def _said(reading: Reading, derived: set[Value]) -> set[Value]:
    """What a step gives to later ones: its numbers, and what its expressions come to as a whole, said or not: "15 times 3." """
    values = values_of(reading.mentions)
    return values | {one.value for one in reading.made if one.whole and one.value in derived} if derived else values


def _derived(reading: Reading) -> set[Value]:
    """What a step works out: 50 − 25 = 25 does not work out the 25 that it uses."""
    return {one.value for one in reading.made if one.is_new}


def _stands_for(mention: Mention, values: Collection[Value]) -> bool:
    """Whether one of the values is the number, or is written so with its decimal places: 0.67 for 2/3."""
    if mention.value in values:
        return True
    unit = Fraction(1, 10**mention.places)
    return mention.places > 0 and any(
        abs(value - mention.value) < unit for value in values if not isinstance(value, int)
    )


def _is_one_step(value: Value, mentions: Sequence[Mention], given: Collection[Value] = ()) -> bool:
    """Whether two of the numbers give the value by + − × ÷."""
    values = [one.value if one.share is None else one.share for one in mentions]
    twice = {one for one, count in Counter(values).items() if count > 1}
    pool = {*values, *given}
    for one in pool:
        others = pool if one in twice else pool - {one}
        if (
            value - one in others
            or value + one in others
            or (one and (Fraction(value) / one in others or value * one in others))
        ):
            return True
    return False


def _is_part(value: Value, beside: Sequence[Mention], reading: Reading, have: set[Value]) -> bool:
    """Whether the step takes a number apart, and the value is a part: 96 = 90 + 6, or 170 × 65 as 170 × 60 + 170 × 5."""
    if any(value in one.operands and one.value - value in one.operands and one.value in have for one in reading.made):
        return True
    results = {one.value for one in reading.made if value in one.operands}
    pool = {one.value for one in beside} - results
    return any(value + one in pool for one in pool)


def _is_taken_apart(value: Value, reading: Reading, have: set[Value]) -> bool:
    """Whether two expressions of the step do in parts what is done with numbers that are known.

    For 81 + 45 it is 80 + 40 and 1 + 5, for 300 × 150 it is 300 × 100 and 300 × 50, for 30 × 2.5 it is 30 × 3 and 30 × 0.5.
    """
    pairs = [one.operands for one in reading.made if len(one.operands) == 2]
    pairs += [(other, one) for one, other in pairs]
    return any(
        value == one
        and (
            (one + another in have and (beside == next_to or beside + next_to in have))
            or (beside == next_to and abs(one - another) in have)
        )
        for one, beside in pairs
        for another, next_to in pairs
        if {one, beside} != {another, next_to}
    )
