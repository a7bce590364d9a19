r"""Where a text says the final answer, and which sentences of it only say it.

    masked("7 · 20 = 140, so it is 140. Right?\n\nSo she earns 140 dollars.\n", "140")
        → "7 · 20 = 140, so it is 140. Right?\n\n"

A thinking that restates its answer supports it without deriving it. A sentence only states the answer if it has the
answer's value and works nothing out:

- no calculation or equation but "name = value", or what the question has written out ("96 * 91 = 8736");
- unless it boxes the answer, no word of reckoning ("half", "doubling", "divided"), and at most one other number, and then a
  word that concludes ("so", "answer") and none that relates numbers ("each", "of").

Where the question has the same number it needs a word that concludes or "is"; where the answer is a letter, a yes or a no,
one that chooses ("answer", "option"); where it is other words, one that concludes. Numbers are compared by value: "1,234.0"
is 1234, and "\frac{1}{2}", "1/2" and "0.5" are the same; "60/5" is a calculation. The rules are English and rough.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from transforms.types import Problem

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n")  # rough: what it cuts is only looked through

_SAME = (  # what is written in several ways, one after another
    (re.compile(r"(?<=[\w)])(?:[ \t]\*[ \t]|(?<=[\d)])\*)(?=[\w(])"), " × "),  # every other star is a mark of emphasis
    (re.compile(r"</?[a-z]{1,10}>|\\(?:left|right|displaystyle|quad|qquad)(?![a-zA-Z])|\\[,;!: ]|[*`]|(?<!\w)_|_(?!\w)"), " "),
    (re.compile(r"\\?[$€£]|\\[()\[\]]|\^\{?\\circ\}?|°"), " "),
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf|boxed|fbox|mbox)\s?\{([^{}]{0,200})\}"), r" \1 "),
    (re.compile(r"\\?%"), "%"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"(?<=\d)(?:\{,\}|,)(?=\d{3}(?!\d))"), ""),
    (re.compile(r"(?<=\d)(?=(?:[cmk]m|ml|[mk]?g|lbs?|oz|ft|hrs?|mins?|secs?|[mk]ph)\b)"), " "),
    (re.compile(r"(?<=\d)!(?=\s+[A-Z]|\s*$)"), "."),  # no factorial
    (re.compile(r"\\[dt]?frac\s?(\d)\s?(\d)(?!\d)"), r"\1/\2"),
    (re.compile(r"\\[dt]?frac\s?\{\s?(-?\w{1,30})\s?\}\s?\{\s?(\w{1,30})\s?\}"), r"\1/\2"),
)  # fmt: skip
_NUMBER = re.compile(
    r"(?<![\w.^/])(?<!\d:)(?:(?<![\d)\]}]\s)(?<![)\]}])(?<!(?<![A-Za-z])[A-Za-z]\s)-\s?)?(?:\d{1,40}(?:\.\d{1,40})?|\.\d{1,40})(?:/\d{1,40})?"
    r"(?!\w|\.\d|/\d|:\d|!)"
)
_WORD_VALUES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
    "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "thousand": 1000,
}  # fmt: skip
WORD_NUMBER = re.compile(rf"\b(?:{'|'.join(_WORD_VALUES)})\b", re.IGNORECASE)
_MARKER = re.compile(
    r"^\s*(?:[-•>#]\s{0,3})?\(?\d{1,2}[.)]\s+(?=\S)|\b(?:step|case|part|equation|method|way)\s\d{1,3}\b", re.IGNORECASE
)
_VALUE = r"(?:\d|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|[()|])"
_OPERAND = rf"(?:{_VALUE}|@)"  # "@" stands for the answer
_WORKING = re.compile(
    rf"{_OPERAND}\s?(?:[+*×÷·]|\\(?:times|cdot|div|pm)(?![a-z])|(?<=\s)-(?=\s)|(?<=[\d@])-(?=[\d@])|\sx\s)\s?-?(?:{_OPERAND}|\\)"
    rf"|{_VALUE}\s?(?:[≈<>≤≥]|\\(?:approx|leq?|geq?|equiv)(?![a-z]))\s?-?(?:{_VALUE}|\\)"
    r"|[\d)@]\s?/\s?[\d(@]|[\w)@]\s?\^|[\d)]\s?=|\d[A-Za-z(]|\d!|\\(?:d|t)?frac|\\sqrt|\\lfloor|\\lceil|\\binom|\bmod(?:ulo)?\b"
)
_TIMES = re.compile(r"\\times(?![a-z])|\\cdot(?![a-z])|[×·]")
_EQUATION = re.compile(r"^[^=\d]{0,60}(?P<left>[(\d][\d.()]*(?:[-+*/][\d.()]+)+)=(?P<right>[^=]{1,80})$")
_NAMES = re.compile(  # what looks like reckoning and is none: units, "the 8th", "the third", "she comes 5 times"
    r"(?<=[\d@])\s?(?:[a-zA-Z]{1,12}/[a-zA-Z]{1,12}|[a-zA-Z]{1,4}\s?\^\s?\{?[23]\}?)(?![a-zA-Z(])"
    r"|(?<=@)\s{0,3}(?:%|percent\b)|\b(?:square|cubic)\s(?:f(?:ee|oo)t|inch|yard|mile|unit|(?:centi|milli|kilo)?met(?:er|re)|c?m|ft|in)(?:e?s)?\b"
    r"|\b\d{1,4}(?:st|nd|rd|th)\b|\bthe (?:third|fifth|quarter)\b(?! of)"
    r"|(?<=@)\s{1,3}times\b(?!\s(?:as|old|more|less|the|that|what|big|large|small|high)\w{0,5})",
    re.IGNORECASE,
)
_RECKONS = re.compile(
    r"\b(?:half|thirds?|fifths?|quarters?|twice|doubl\w*|tripl\w*|times|plus|minus|divid\w*|multipl\w*|adding|adds? (?:up|to|them|these|those|it|all|both)"
    r"|added (?:up|to|together)|subtract\w*|squar\w*|cub(?:ed|ing)|root|factorial|percent|scaling|scaled)\b|%",
    re.IGNORECASE,
)
_RELATES = re.compile(
    r"\b(?:sum|product|difference|quotient|ratio|each|every|per|of|taking|leav\w*|left|more|less|fewer|if)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?<!\d)\d{1,2}:\d\d(?!\d)")
_CONCLUDES = re.compile(
    r"\b(?:answer|result|so|thus|therefore|hence|finally|final|conclu\w*|option|choice|correct|confident)\b|\\boxed",
    re.IGNORECASE,
)
_IS = re.compile(r"\b(?:is|are|be|was|gives?|total)\b|=", re.IGNORECASE)
_CHOOSES = re.compile(r"\b(?:answer|final|option|choice|choose|pick|correct)\b|\\boxed", re.IGNORECASE)
_CHOICE = re.compile(r"(?:[A-Za-z]|yes|no|true|false)", re.IGNORECASE)
_TOKEN = re.compile(r"\\[A-Za-z]+|\w+|[^\w\s]")


class Number(NamedTuple):
    """A number in a normalised text, and where it stands."""

    start: int
    end: int
    value: Fraction


def without_statements(thinking: str, answer: str, problem: Problem) -> str:
    """The thinking without the sentences that only state the answer: the response's, or the reference if that is nowhere."""
    said = answer if has_answer(thinking, answer) or problem.answer_kind == "code" else problem.answer
    return masked(thinking, said, problem.answer_kind, problem.question)


def masked(text: str, answer: str, kind: str = "math", question: str = "") -> str:
    """The text without the sentences that only state the answer; of code, without the blocks that are the answer."""
    if not answer.strip():
        return text
    if kind == "code":
        return _FENCED.sub(lambda block: "" if _same_code(block["body"], answer) else block[0], text)
    in_question, asked = has_answer(question, answer), _compact(question)
    kept, start = [], 0
    for end in [*(found.end() for found in SENTENCE_END.finditer(text)), len(text)]:
        if not only_states(text[start:end], answer, in_question) and not _restates(text[start:end], answer, asked):
            kept.append(text[start:end])
        start = end
    return "".join(kept)


def _restates(sentence: str, answer: str, asked: str) -> bool:
    """Whether the sentence only sets what the question has written out, as "96 * 91", equal to the answer."""
    equation = _EQUATION.search(_compact(sentence)) if "=" in sentence and len(sentence) < 1000 else None
    if equation is None or not has_answer(equation["right"], answer):
        return False
    whole = rf"(?<![\d.])(?<![-+*/^]){re.escape(equation['left'])}(?!\.?\d|[-+*/^])"  # no part of another expression
    return re.search(whole, asked) is not None


def _compact(text: str) -> str:
    """The text without spaces, all signs of multiplication as "*"."""
    return "".join(_TIMES.sub("*", normalised(text)).split())


@lru_cache(maxsize=100_000)
def only_states(sentence: str, answer: str, in_question: bool = False) -> bool:
    """Whether the sentence has the answer and works nothing out; `in_question`: the question has that value, too."""
    text = normalised(sentence)
    marked = _MARKER.sub("", text)
    looked_for = _looked_for(answer)
    places = list(_places(marked, looked_for))
    if not places:
        return False
    rest = _cut(marked, places)
    concludes = bool(_CONCLUDES.search(sentence))
    if not isinstance(looked_for, Fraction):
        needed = _CHOOSES if _CHOICE.fullmatch(looked_for) else None if re.search(r"[\d\\]", looked_for) else _CONCLUDES
        if needed and not needed.search(sentence):
            return False
    elif in_question and not concludes and not _IS.search(rest):
        return False
    rest = _NAMES.sub(" ", rest)
    if _WORKING.search(rest):
        return False
    if "\\boxed" in sentence:
        return True
    others = len(list(numbers(rest))) + len(WORD_NUMBER.findall(rest)) + len(_CLOCK.findall(rest))
    return not _RECKONS.search(rest) and (others == 0 or (others == 1 and concludes and not _RELATES.search(rest)))


def has_answer(text: str, answer: str) -> bool:
    """Whether the answer stands in the text as a value of its own."""
    return (
        bool(answer.strip()) and next(_places(_MARKER.sub("", normalised(text)), _looked_for(answer)), None) is not None
    )


@lru_cache(maxsize=100_000)
def normalised(text: str) -> str:
    """The text with its marks of emphasis and maths taken off, and numbers and fractions written in one way."""
    for pattern, plain in _SAME:
        text = pattern.sub(plain, text)
    return text


def numbers(text: str) -> Iterator[Number]:
    """The numbers that stand by themselves in a normalised text; not those of "6r", "x^2" or "12:30"."""
    for found in _NUMBER.finditer(text):
        value = "".join(found[0].split())
        if not re.search(r"/0+$", value):
            over, _, under = value.partition("/")
            yield Number(found.start(), found.end(), Fraction(over) / (Fraction(under) if under else 1))


def number_of(word: str) -> int:
    """The value of one of WORD_NUMBER."""
    return _WORD_VALUES[word.lower()]


@lru_cache(maxsize=4096)
def _looked_for(answer: str) -> Fraction | str:
    """The value of an answer that is a number, or words with one; else its normalised text."""
    text = normalised(answer).strip()
    found = list(numbers(text))
    words = re.sub(
        r"%|\b[a-zA-Z]{1,30}\b(?:/[a-zA-Z]{1,12})?|[.,\s]", "", _cut(text, [(one.start, one.end) for one in found])
    )
    return found[0].value if len(found) == 1 and words.strip("@") == "" else text


def _places(text: str, looked_for: Fraction | str) -> Iterator[tuple[int, int]]:
    """Where the value stands."""
    if isinstance(looked_for, Fraction):
        yield from (
            (one.start, one.end) for one in numbers(text) if one.value == looked_for and not _divides(text, one)
        )
        return
    if looked_for:
        yield from (found.span() for found in _pattern(looked_for).finditer(text))


def _divides(text: str, number: Number) -> bool:
    """Whether it is written as a fraction that is not in lowest terms: "60/5" is worked out."""
    _, slash, under = text[number.start : number.end].partition("/")
    return bool(slash) and int(under) != number.value.denominator


@lru_cache(maxsize=4096)
def _pattern(answer: str) -> re.Pattern[str]:
    tokens = _TOKEN.findall(answer)
    start = r"(?<![\w.])" if re.match(r"\w", answer) else ""
    end = r"(?!\w|\.\d)" if re.search(r"\w$", answer) else ""
    flags = re.IGNORECASE if len(answer) > 1 and "\\" not in answer else 0
    return re.compile(start + r"\s{0,3}".join(map(re.escape, tokens)) + end, flags)


def _cut(text: str, places: list[tuple[int, int]]) -> str:
    """The text with "@" for each of the places."""
    parts, start = [], 0
    for first, last in places:
        parts += [text[start:first], "@"]
        start = last
    return "".join([*parts, text[start:]])


_FENCED = re.compile(r"^[ \t]{0,12}```[^\n]*\n(?P<body>.*?)^[ \t]{0,12}```[ \t]*\n?", re.MULTILINE | re.DOTALL)


def _same_code(block: str, answer: str) -> bool:
    """Whether they have the same lines, but for empty ones and for how far all are indented."""
    return _lines(block) == _lines(answer)


def _lines(code: str) -> list[str]:
    return [line.rstrip() for line in textwrap.dedent(code.expandtabs(4)).splitlines() if line.strip()]
