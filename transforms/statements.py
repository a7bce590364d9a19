r"""Where a text says the final answer, and which sentences of it only say it.

    masked("7 · 20 = 140, so it is 140. Right?\n\nSo she earns 140 dollars.\n", "140", "math", question)
        → "7 · 20 = 140, so it is 140. Right?\n\n"

A thinking that restates its answer supports it without deriving it. Such a sentence has the answer, and no working: no
calculation beside it, no two other numbers, and no other number with a word of reckoning ("half of 280 is 140"). Where
the question has the same number it needs a word that concludes, too ("so", "answer", "is"); where the answer is one
letter, one that chooses ("answer", "option").
"""

from __future__ import annotations

import re
from functools import lru_cache

from transforms.types import Problem

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n")  # rough: what it cuts is only looked through

_NUMBER = re.compile(
    r"\d[\d,]*(?:\.\d+)?|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\\[A-Za-z]+|\w+|\S")
_VALUE = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_FRACTION = re.compile(r"(?P<sign>-?)\\[dt]?frac\{(?P<over>\w{1,20})\}\{(?P<under>\w{1,20})\}")
_MARKER = re.compile(
    r"^\s*(?:[-*•>#]\s*)*(?:\**\(?\d{1,2}[.)])(?=\s|\*)|\b(?:step|case|part|equation|day|method|way)\s+\d+\b",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?<![\w)}\]{])(?:\\?[A-Za-z_{}]++\s*+){1,6}+[=≈]"
)  # "x =", "total cost =": says what it is, works out nothing
_OPERAND = r"[\w)}\]$%]"
_WORKING = re.compile(
    rf"{_OPERAND}\s?(?:[+*/×÷·^=≈<>≤≥]|\\(?:times|cdot|div|pm|approx|leq?|geq?|equiv)(?![a-z])|-(?=\s?[\d(\\])|\s[-–−x]\s)"
    r"|\\(?:d|t)?frac|\\sqrt|\b(?:mod|modulo)\b"
)
_RECKONS = re.compile(
    r"\b(?:half|third|quarter|twice|double|triple|times|plus|minus|sum|product|difference|divid\w*|multipl\w*|add\w*|subtract\w*|percent)\b|%",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"\b(?:answer|result|total|is|are|be|so|thus|therefore|hence|finally|final|conclu\w*|option|choice|correct)\b|\\boxed|=",
    re.IGNORECASE,
)
_CHOOSES = re.compile(r"\b(?:answer|final|option|choice|choose|pick|correct)\b|\\boxed", re.IGNORECASE)


@lru_cache(maxsize=4096)
def says(answer: str) -> re.Pattern[str]:
    """Finds the answer where it stands as a value of its own: "1234" also as "1,234" and "1234.00", "\\frac{1}{2}" as "1/2".

    Of an answer in words that has one number it is the number that is looked for.
    """
    numbers = _VALUE.findall(answer)
    if len(numbers) == 1 and re.search(r"[A-Za-z]{2}", answer) and "\\" not in answer:
        answer = numbers[0]
    if found := _FRACTION.fullmatch(answer):
        sign, over, under = found.groups()
        return re.compile(
            rf"(?<![\w.]){sign}(?:\\[dt]?frac\s?\{{{over}\}}\s?\{{{under}\}}|{over}\s?/\s?{under}(?!\w|\.\d))"
        )
    if found := re.fullmatch(r"(?P<sign>-?)(?P<whole>\d{1,40})(?P<rest>\.\d{1,40})?", answer.replace(",", "")):
        whole = found["whole"]
        groups = [whole[max(end - 3, 0) : end] for end in range(len(whole), 0, -3)][::-1]
        rest = rf"\.{found['rest'][1:]}0*" if found["rest"] else r"(?:\.0+)?"
        return re.compile(rf"(?<![\w.])(?<!\d,){re.escape(found['sign'])}{',?'.join(groups)}{rest}(?!\w|[.,]\d)")
    words = [re.escape(word) for word in _WORD.findall(answer)]
    flags = re.IGNORECASE if len(answer) > 1 and "\\" not in answer else 0
    start = r"(?<![\w.])" if re.match(r"\w", answer) else ""
    end = r"(?!\w|\.\d)" if re.search(r"\w$", answer) else ""
    return re.compile(start + re.sub(r"\\\\[dt]?frac", r"\\\\[dt]?frac", r"\s*".join(words)) + end, flags)


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
        return text.replace(answer.strip(), "")
    needed = _CHOOSES if re.fullmatch("[A-Za-z]", answer) else _CONCLUDES if says(answer).search(question) else None
    kept, start = [], 0
    for end in [*(found.end() for found in SENTENCE_END.finditer(text)), len(text)]:
        if not only_states(text[start:end], answer, needed):
            kept.append(text[start:end])
        start = end
    return "".join(kept)


def only_states(sentence: str, answer: str, needed: re.Pattern[str] | None = None) -> bool:
    """Whether the sentence has the answer and works nothing out; and where something is `needed`, has that."""
    plain = _MARKER.sub("", sentence)
    rest, count = says(answer).subn(" ", plain)
    if not count or (needed and not needed.search(plain)):
        return False
    rest = _NAMED.sub(" ", rest)
    others = len(_NUMBER.findall(rest))
    return others < 2 and not _WORKING.search(rest) and not (others and _RECKONS.search(rest))
