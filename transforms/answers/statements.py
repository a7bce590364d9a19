r"""Where a text says the final answer, and which sentences of it only say it.

    masked("7 · 20 = 140, so it is 140. Right?\n\nSo she earns 140 dollars.\n", "140")
        → "7 · 20 = 140, so it is 140. Right?\n\n"

A thinking that restates its answer supports it without deriving it. A sentence only states the answer if it has the
answer's value and works nothing out:

- no calculation or equation but "name = value", or what the question has written out ("96 * 91 = 8736");
- no word of reckoning ("half", "doubling", "divided"), and at most one other number, and then a word that concludes ("so",
  "answer") and none that relates numbers ("more", "leaves"; "each" and "of", unless the question has that number). Beside a
  box this holds for its other clauses alone.

Where the question has the same number it needs a word that concludes or "is"; where the answer is a letter, a yes or a no,
one that chooses ("answer", "correct", "so option"); where it is other words, one that concludes; and no words with a reason after them. Of a
sentence that works something out, the clauses that say "answer" or box it are taken by the same rules, and the rest stays:
"half of 280 is 140, so the answer is 140". Numbers are compared by value: "1,234.0" is 1234, and "\frac{1}{2}", "1/2" and "0.5"
are the same; "60/5" is a calculation. The rules are English and rough.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from transforms.core.records import Problem

_END = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][\"”])\s+(?=[A-Z])|\n")
_CLAUSE = re.compile(r"(?<=[,;]\s)(?=\S)|(?<=[,;:.?!][\"”]\s)(?=\S)|(?<=\s)(?=(?:because|since)\b)", re.IGNORECASE)
_OPERATOR = r"(?:[-+*/×÷·=^>≤≥≈)\]]|<(?![a-z/])|\\(?:times|cdot|div|pm|approx|leq?|geq?|equiv)(?![a-z]))"
_GOES_ON = re.compile(rf"[ \t&]{{0,20}}{_OPERATOR}[ \t]{{0,4}}[\w(\\$@]")  # a line that begins "= 140"
_FACTORIAL_GOES_ON = re.compile(rf"\s{{0,4}}(?:{_OPERATOR}|\\[)\]])")  # 5! × 5!
_WORD_GOES_ON = re.compile(r"[ \t]{0,20}[a-z]{2}")

_SAME = (  # what is written in several ways, one after another
    (re.compile(r"(?<=[\w)])(?:[ \t]\*[ \t]|(?<=[\d)])\*)(?=[\w(])"), " × "),  # every other star is a mark of emphasis
    (re.compile(r"\\pi(?![a-zA-Z])"), "π"),
    (re.compile(r"(?:\\sqrt|\bsqrt|√)\s?(?:\{\s?(\w{1,30})\s?\}|\(\s?(\w{1,30})\s?\)|(\d{1,30}))"), r"√\1\2\3"),
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
    r"(?<![\w.^/√])(?<!\d:)(?:(?<![\d)\]}]\s)(?<![)\]}])(?<!(?<![A-Za-z])[A-Za-z]\s)-\s?)?(?:\d{1,40}(?:\.\d{1,40})?|\.\d{1,40})(?:/\d{1,40})?"
    r"(?!\w|\.\d|/\d|:\d|!)"
)
_IN_DIGITS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
    "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "thousand": 1000,
}  # fmt: skip
_WORD_NUMBER = re.compile(rf"\b(?:{'|'.join(_IN_DIGITS)})\b", re.IGNORECASE)
_MARKER = re.compile(
    r"^\s*(?:[-•>#]\s{0,3})?\(?\d{1,2}[.)]\s+(?=\S)|\b(?:step|case|part|equation|method|way)\s\d{1,3}\b", re.IGNORECASE
)
_VALUE = r"(?:\d|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|[()|])"
_OPERAND = rf"(?:{_VALUE}|@)"  # "@" stands for the answer
_WORKING = re.compile(
    rf"{_OPERAND}\s?(?:[+*×÷·]|\\(?:times|cdot|div|pm)(?![a-z])|(?<=\s)-(?=\s)|(?<=[\d@])-(?=[\d@])|\sx\s)\s?-?(?:{_OPERAND}|\\)"
    rf"|{_VALUE}\s?(?:[≈<>≤≥]|\\(?:approx|leq?|geq?|equiv)(?![a-z]))\s?-?(?:{_VALUE}|\\)"
    r"|[\w)]\s?[×÷·]\s?[\w(]|[A-Za-z)]\s(?:\+|/|\\times|\\cdot|\\div)\s[A-Za-z(\d]|\d\s?[A-Za-z]{1,12}\s/\s\d"  # of words
    r"|[A-Za-z)]\s-\s[A-Za-z(][^=.!?\n]{0,80}="
    r"|[\d)@]\s?/\s?[\d(@]|[\w)@]\s?\^|[\w)@][²³]|[\d)]\s?=|\d[A-Za-z(]|\d!|\\(?:d|t)?frac|\\sqrt|√|\\lfloor|\\lceil|\\binom|\bmod(?:ulo)?\b"
)
_TIMES = re.compile(r"\\times(?![a-z])|\\cdot(?![a-z])|[×·]")
_EXPRESSION = re.compile(  # of numbers: "(5 - 3) × 22"
    r"(?:\(\s?)*\d[\d.]*(?:[\s()]{0,4}(?:[-+*/×·]|\\(?:times|cdot)(?![a-z]))[\s()]{0,4}\d[\d.]*)+(?:\s?\))*"
)
_ASKS = re.compile(  # before an expression, without spaces
    r"(?:calculat|comput|evaluat|solv|simplif|find|whatis|state|result|value|problem|multipl|divi|sum|product)\D{0,60}$",
    re.IGNORECASE,
)
_NAMES = re.compile(  # what looks like reckoning and is none: units, "the 8th", "the third", "she comes 5 times"
    r"(?<=[\d@])\s?(?:[a-zA-Z]{1,12}/[a-zA-Z]{1,12}|[a-zA-Z]{1,4}\s?(?:\^\s?\{?[23]\}?|[²³]))(?![a-zA-Z(])"
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
    r"\b(?:sum|product|difference|quotient|ratio|taking|leav\w*|left|more|less|fewer|if)\b", re.IGNORECASE
)
_OF = re.compile(r"\b(?:each|every|per|of)\b", re.IGNORECASE)  # relate a number that is new: "each of the 3 gets 4"
_CLOCK = re.compile(r"(?<!\d)\d{1,2}:\d\d(?!\d)")
_CONCLUDES = re.compile(
    r"\b(?:answer|result|so|thus|therefore|hence|finally|final|conclu\w*|option|choice|correct|confident)\b|\\boxed",
    re.IGNORECASE,
)
_SAYS = re.compile(r"\banswer\b(?!\s(?:choice|option)s?\b)|\\boxed", re.IGNORECASE)
_REASON = re.compile(r"@[^@]*\b(?:because|since)\b", re.IGNORECASE)  # of a choice: its derivation
_IS = re.compile(r"\b(?:is|are|be|was|gives?|total)\b|=", re.IGNORECASE)
_CHOOSES = re.compile(
    r"\b(?:answer(?!\s(?:choice|option)s?\b)|final|choose|pick|select|correct)\b|\\boxed", re.IGNORECASE
)
_IS_OPTION = re.compile(  # "So D.", "so I go with D", "so option B it is", "it must be (B)."
    r"(?:^\W*(?:(?:so|thus|therefore|hence|yes)\W{1,3})+|\bI\b[\w' ]{0,20}\bwith\W{1,3}"
    r"|\b(?:so|is|be|with|thus|therefore|hence)\W{1,3}(?:option|choice)\W{1,2}|\bit\W(?:[a-z]+\s){0,2}(?:is|be)\W{1,3})"
    r"@[\s.!)\]\"']*(?:it is[\s.!]*)?$",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"(?:[A-Za-z]|yes|no|true|false)", re.IGNORECASE)
_VERBS = (
    r"(?:is|are|as|and|or|because|since|seems|matches|(?:could|might|may|would|must|should) be)\b"  # after an option
)
_TOKEN = re.compile(r"\\[A-Za-z]+|\w+|[^\w\s]")


class Number(NamedTuple):
    """A number in a normalised text, and where it stands."""

    start: int
    end: int
    value: Fraction


def without_statements(text: str, answer: str, problem: Problem, thinking: str) -> str:
    """A version of the thinking without the sentences that only state the answer.

    That is the response's, or the reference if that is nowhere in the `thinking`: one for all versions.
    """
    said = answer if problem.answer_kind == "code" or _stands_in(thinking, answer) else problem.answer
    return masked(text, said, problem.answer_kind, problem.question)


@lru_cache(maxsize=256)  # of a thinking or a question, for all its versions
def _stands_in(text: str, answer: str) -> bool:
    return has_answer(text, answer)


@lru_cache(maxsize=256)
def _asked(question: str) -> str:
    """The question without its spaces, or "" where it has no expression that a sentence could restate."""
    compact = _compact(question)
    return compact if _EXPRESSION.search(compact) else ""


def sentences(text: str) -> Iterator[str]:
    """The text in lines and sentences, with the space after each; rough, as they are only looked through.

    A line that begins with an operator, or with a small letter where the line before did not end, goes on; so does what
    stands after a factorial: "5! * 5! = 14,400".
    """
    start = 0
    for found in _END.finditer(text):
        if not _goes_on(text, found):
            yield text[start : found.end()]
            start = found.end()
    if start < len(text):
        yield text[start:]


def _goes_on(text: str, end: re.Match[str]) -> bool:
    """Whether what looks like the end of a sentence is none."""
    before, after = text[end.start() - 1 : end.start()], end.end()
    if before == "!" and _FACTORIAL_GOES_ON.match(text, after):
        return bool(re.match(r"[\w)]", text[max(end.start() - 2, 0)]))
    if "\n" not in end[0] or text.startswith("\n", after) or end[0].count("\n") > 1:
        return False
    if _GOES_ON.match(text, after):
        return not re.match(r"[ \t]*[-+*]\s", text[after : after + 24])  # a list
    return bool(re.match(r"[\w,]", before)) and bool(_WORD_GOES_ON.match(text, after))


@lru_cache(maxsize=1024)  # the versions of a trace share texts, the original first of all
def masked(text: str, answer: str, kind: str = "math", question: str = "") -> str:
    """The text without the sentences that only state the answer; of code, without the program where it stands again."""
    if not answer.strip():
        return text
    if kind == "code":
        return _without_lines(
            _FENCED.sub(lambda block: "" if _same_code(block["body"], answer) else block[0], text), answer
        )
    in_question, asked, known = _stands_in(question, answer), _asked(question), _given(question)
    return "".join(
        _without_saying(sentence, answer, in_question, known)
        for sentence in sentences(text)
        if not only_states(sentence, answer, in_question, known) and not _restates(sentence, answer, asked)
    )


def _without_saying(sentence: str, answer: str, in_question: bool, known: frozenset[Fraction]) -> str:
    """The sentence without those of its clauses that say what the answer is: "half of 280 is 140, so the answer is 140"."""
    if not _SAYS.search(sentence):
        return sentence
    return "".join(
        clause
        for clause in _clauses(sentence)
        if not _SAYS.search(clause) or not only_states(clause, answer, in_question, known)
    )


def _clauses(sentence: str) -> Iterator[str]:
    """The sentence in parts at its commas, quotations and reasons, but not within brackets: "{3, 5}"."""
    whole = ""
    for part in _CLAUSE.split(sentence):
        whole += part
        if sum(map(whole.count, "([{")) <= sum(map(whole.count, ")]}")):
            yield whole
            whole = ""
    if whole:
        yield whole


@lru_cache(maxsize=100_000)
def _restates(sentence: str, answer: str, asked: str) -> bool:
    """Whether the sentence only states what an expression comes to that the question has written out, as "96 * 91"."""
    if not asked or len(sentence) > 1000:
        return False
    text = normalised(sentence)
    plain = _EXPRESSION.sub(
        lambda found: " x " if _is_asked(_compact(found[0]), answer, asked, "=" in text) else found[0], text
    )
    return plain != text and only_states(plain, answer)


def _is_asked(expression: str, answer: str, asked: str, is_equation: bool) -> bool:
    """Whether the question has it, not as part of another one, and asks for it; "1/4" may be of anything, unless it is the answer."""
    over, _, under = expression.partition("/")
    if over.isdecimal() and under.isdecimal():
        return bool(int(under)) and Fraction(int(over), int(under)) == _looked_for(answer) and expression in asked
    whole = re.compile(rf"(?<![\d.])(?<![-+*/^]){re.escape(expression)}(?!\.?\d|[-+*/^])")
    return any(
        is_equation
        or _ASKS.search(asked[max(found.start() - 100, 0) : found.start()])
        or not asked[found.end() :].strip("=?.")
        for found in whole.finditer(asked)
    )


def _compact(text: str) -> str:
    """The text without spaces, all signs of multiplication as "*"."""
    return "".join(_TIMES.sub("*", normalised(text)).split())


@lru_cache(maxsize=100_000)
def only_states(
    sentence: str, answer: str, in_question: bool = False, known: frozenset[Fraction] = frozenset()
) -> bool:
    """Whether the sentence has the answer and works nothing out.

    `in_question`: the question has that value, too; `known`: all numbers that it has.
    """
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
        is_option = len(looked_for) == 1 and _IS_OPTION.search(rest)
        if (needed and not needed.search(sentence) and not is_option) or _REASON.search(rest):
            return False
    elif in_question and not concludes and not _IS.search(rest):
        return False
    rest = _NAMES.sub(" ", rest)
    if _WORKING.search(rest):
        return False
    if "\\boxed" in sentence:
        return not any(_works(clause, looked_for) for clause in _clauses(sentence) if "\\boxed" not in clause)
    others = [*_values(rest), *_CLOCK.findall(rest)]
    if _RECKONS.search(rest) or len(others) > 1:
        return False
    if not others:
        return True
    beside = [value for clause in _clauses(rest) if "@" in clause for value in _values(clause)]
    related = _RELATES.search(rest) or (_OF.search(rest) and not (beside and known.issuperset(others)))
    return concludes and not related


def _values(text: str) -> Iterator[Fraction]:
    """The numbers of a normalised text, those in words among them."""
    yield from (one.value for one in numbers(text))
    yield from (Fraction(_IN_DIGITS[word.lower()]) for word in _WORD_NUMBER.findall(text))


@lru_cache(maxsize=256)
def _given(question: str) -> frozenset[Fraction]:
    return frozenset(_values(normalised(question)))


def _works(clause: str, looked_for: Fraction | str) -> bool:
    """Whether something is reckoned with in it."""
    text = normalised(clause)
    rest = _cut(text, list(_places(text, looked_for)))
    others = len(list(_values(rest)))
    return bool(_RECKONS.search(rest)) or others > 1 or (others == 1 and not _CONCLUDES.search(rest))


def has_answer(text: str, answer: str) -> bool:
    """Whether the answer stands in the text as a value of its own."""
    return (
        bool(answer.strip()) and next(_places(_MARKER.sub("", normalised(text)), _looked_for(answer)), None) is not None
    )


def normalised(text: str) -> str:
    """The text with its marks of emphasis and maths taken off, and numbers and fractions written in one way."""
    for pattern, plain in _SAME:
        text = pattern.sub(plain, text)
    return text


def numbers(text: str) -> Iterator[Number]:
    """The numbers that stand by themselves in a normalised text; not those of "6r", "x^2" or "12:30"."""
    for found in _NUMBER.finditer(text):
        value = "".join(found[0].split())
        over, _, under = value.partition("/")
        if not under or int(under):
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
    end = r"(?!\w)" if len(answer) == 1 else r"(?!\w|\.\d)" if re.search(r"\w$", answer) else ""  # "C.417" is option C
    flags = re.IGNORECASE if len(answer) > 1 and "\\" not in answer else 0
    if answer in ("A", "I"):  # also words: "A train", "I think", "I'd"
        chosen = "|".join(
            rf"(?<={word} )" for word in ("option", "Option", "choice", "Choice", "answer", "Answer", "is", "be")
        )
        return re.compile(
            rf"(?:{chosen}|(?<=\()){answer}(?![\w'’])|(?<=['‘]){answer}(?=['’])|{start}{answer}(?![\w'’]|\s+(?!{_VERBS})[a-z])"
        )
    return re.compile(start + r"\s{0,40}".join(map(re.escape, tokens)) + end, flags)  # a program is indented


def _cut(text: str, places: list[tuple[int, int]]) -> str:
    """The text with "@" for each of the places."""
    parts, start = [], 0
    for first, last in places:
        parts += [text[start:first], "@"]
        start = last
    return "".join([*parts, text[start:]])


_FENCED = re.compile(
    r"^[ \t]{0,12}(?P<fence>```|~~~)[^\n]*\n(?P<body>.*?)^[ \t]{0,12}(?P=fence)[ \t]*\n?", re.MULTILINE | re.DOTALL
)


def _same_code(block: str, answer: str) -> bool:
    """Whether they have the same lines, but for empty ones and for how far all are indented."""
    return lines(block) == lines(answer)


def _without_lines(text: str, program: str) -> str:
    """The text without the program's lines where they stand one after another, however far indented and apart."""
    program_lines, text_lines = lines(program), text.splitlines(keepends=True)
    places = [place for place, line in enumerate(text_lines) if line.strip()]
    wanted, all_lines = _lined(program_lines), _lined(text_lines[place] for place in places)
    gone: set[int] = set()
    first, start = 0, 0
    while program_lines and (found := all_lines.find(wanted, start)) >= 0:
        first += all_lines.count("\n", start, found)
        gone.update(places[first : first + len(program_lines)])
        first, start = first + len(program_lines), found + len(wanted) - 1
    return "".join(line for place, line in enumerate(text_lines) if place not in gone)


def _lined(some: Iterable[str]) -> str:
    """The lines, with single spaces, each between two ends of lines."""
    return "\n" + "\n".join(" ".join(line.split()) for line in some) + "\n"


def fenced(text: str) -> list[str]:
    """What stands in each fenced block of code."""
    return [block["body"] for block in _FENCED.finditer(text)]


def lines(code: str) -> list[str]:
    """The lines that are not empty, without what all are indented by."""
    return [line.rstrip() for line in textwrap.dedent(code.expandtabs(4)).splitlines() if line.strip()]
