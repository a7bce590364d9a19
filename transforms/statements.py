r"""Where a text says the final answer, and which sentences of it only say it.

    masked("7 · 20 = 140, so it is 140. Right?\n\nSo she earns 140 dollars.\n", "140")
        → "7 · 20 = 140, so it is 140. Right?\n\n"

A thinking that restates its answer supports it without deriving it. A sentence only states the answer if it has the
answer's value and works nothing out:

- no calculation or equation but "name = value", or what the question has written out ("96 * 91 = 8736"), and no word of
  reckoning ("half", "times", "squared", "dividing");
- at most one other number, and then a word that concludes ("so", "answer") and none that relates numbers ("each", "of").

Where the question has the same number it needs a word that concludes or "is"; where the answer is a letter, a yes or a no,
one that chooses ("answer", "option"); where it is other words, one that concludes. Numbers are compared by value: "1,234.0"
is 1234, and "\frac{1}{2}", "1/2" and "0.5" are the same. The rules are English and rough.
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
    (re.compile(r"</?[a-z]{1,10}>|\\(?:left|right|displaystyle|quad|qquad)(?![a-zA-Z])|\\[,;!: ]|[*`]|(?<!\w)_|_(?!\w)"), " "),
    (re.compile(r"\\?[$€£]|\\[()\[\]]|\^\{?\\circ\}?|°"), " "),
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf|boxed|fbox|mbox)\s?\{([^{}]{0,200})\}"), r" \1 "),
    (re.compile(r"\\?%"), "%"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"(?<=\d)(?:\{,\}|,)(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\\[dt]?frac\s?(\d)\s?(\d)(?!\d)"), r"\1/\2"),
    (re.compile(r"\\[dt]?frac\s?\{\s?(-?\w{1,30})\s?\}\s?\{\s?(\w{1,30})\s?\}"), r"\1/\2"),
)  # fmt: skip
_NUMBER = re.compile(
    r"(?<![\w.^/:])(?:(?<![\d)\]}]\s)(?<![)\]}])(?<!(?<![A-Za-z])[A-Za-z]\s)-\s?)?(?:\d{1,40}(?:\.\d{1,40})?|\.\d{1,40})(?:/\d{1,40})?(?!\w|\.\d|/\d|:\d|!)"
)
_WORD_NUMBER = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand)\b",
    re.IGNORECASE,
)
_MARKER = re.compile(
    r"^\s*(?:[-•>#]\s{0,3})?\(?\d{1,2}[.)]\s+(?=\S)|\b(?:step|case|part|equation|method|way)\s\d{1,3}\b", re.IGNORECASE
)
_VALUE = r"(?:\d|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|[()|])"
_WORKING = re.compile(
    rf"{_VALUE}\s?(?:[+*×÷·≈<>≤≥]|\\(?:times|cdot|div|pm|approx|leq?|geq?|equiv)(?![a-z])|(?<=\s)-(?=\s)|(?<=\d)-(?=\d)|\sx\s)\s?-?(?:{_VALUE}|\\)"
    r"|[\d)]\s?/\s?[\d(]|[\w)]\s?\^|[\d)]\s?=|\d[A-Za-z(]|\d!|\\(?:d|t)?frac|\\sqrt|\\lfloor|\\lceil|\\binom|\bmod(?:ulo)?\b"
)
_TIMES = re.compile(r"\\times(?![a-z])|\\cdot(?![a-z])|[×·]")
_STAR = re.compile(r"(?<=[\d)])\s?\*\s?(?=[\d(])")  # else it would be a mark of emphasis
_EQUATION = re.compile(r"^[^=\d]{0,60}(?P<left>[(\d][\d.()]*(?:[-+*/][\d.()]+)+)=(?P<right>[^=]{1,80})$")
_UNIT = re.compile(r"(?<=[\d@])\s?(?:[a-zA-Z]{1,12}/[a-zA-Z]{1,12}|[a-zA-Z]{1,4}\s?\^\s?\{?[23]\}?)(?![a-zA-Z(])")
_RECKONS = re.compile(
    r"\b(?:half|thirds?|quarters?|twice|doubl\w*|tripl\w*|times|plus|minus|divid\w*|multipl\w*|add(?:s|ed|ing)?|subtract\w*|squar\w*"
    r"|cubed?|root|factorial|percent|taking|scal\w+)\b|%",
    re.IGNORECASE,
)
_RELATES = re.compile(
    r"\b(?:sum|product|difference|quotient|ratio|each|every|per|of|leav\w*|left|more|less|fewer|if)\b", re.IGNORECASE
)
_CONCLUDES = re.compile(
    r"\b(?:answer|result|so|thus|therefore|hence|finally|final|conclu\w*|option|choice|correct|confident)\b|\\boxed",
    re.IGNORECASE,
)
_IS = re.compile(r"\b(?:is|are|be|was|gives?|total)\b|=", re.IGNORECASE)
_CHOOSES = re.compile(r"\b(?:answer|final|option|choice|choose|pick|correct)\b|\\boxed", re.IGNORECASE)
# "She comes 5 times" multiplies nothing; "5 times as many" does.
_COUNTED = re.compile(r"@ times\b(?! (?:as|old|more|less|the|that|what|big|large|small|high)\w{0,5})")
_CHOICE = re.compile(r"(?:[A-Za-z]|yes|no|true|false)", re.IGNORECASE)
_TOKEN = re.compile(r"\\[A-Za-z]+|\w+|[^\w\s]")


class Number(NamedTuple):
    """A number in a normalised text, and where it stands."""

    start: int
    end: int
    value: Fraction


def without_statements(thinking: str, answer: str, problem: Problem) -> str:
    """The thinking without the sentences that only state the answer: as the response has it, or as the reference is written."""
    for said in dict.fromkeys((answer, problem.answer)):
        thinking = masked(thinking, said, problem.answer_kind, problem.question)
    return thinking


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
    return equation is not None and equation["left"] in asked and has_answer(equation["right"], answer)


def _compact(text: str) -> str:
    """The text without spaces, all signs of multiplication as "*"."""
    return "".join(_TIMES.sub("*", normalised(_STAR.sub("×", text))).split())


@lru_cache(maxsize=100_000)
def only_states(sentence: str, answer: str, in_question: bool = False) -> bool:
    """Whether the sentence has the answer and works nothing out; `in_question`: the question has that value, too."""
    text = normalised(sentence)
    marked = _MARKER.sub("", text)
    looked_for = _looked_for(answer)
    places = list(_places(marked, looked_for))
    if not places:
        return False
    rest = _cut(marked, places).replace("@%", "@")
    concludes = bool(_CONCLUDES.search(sentence))
    if not isinstance(looked_for, Fraction):
        needed = _CHOOSES if _CHOICE.fullmatch(looked_for) else None if re.search(r"[\d\\]", looked_for) else _CONCLUDES
        if needed and not needed.search(sentence):
            return False
    elif in_question and not concludes and not _IS.search(rest):
        return False
    rest = _UNIT.sub(" ", rest)
    others = len(list(numbers(rest))) + len(_WORD_NUMBER.findall(rest))
    if _WORKING.search(rest) or _RECKONS.search(_COUNTED.sub(" ", rest)):
        return False
    return others == 0 or (others == 1 and concludes and ("\\boxed" in sentence or not _RELATES.search(rest)))


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
        yield from ((one.start, one.end) for one in numbers(text) if one.value == looked_for)
        return
    if looked_for:
        yield from (found.span() for found in _pattern(looked_for).finditer(text))


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
