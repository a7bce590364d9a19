r"""Numbers in answers, read exactly.

lone_number("\$1,234.50 dollars")            → Number(2469/2, "dollars")
stated_number("She makes **\$18** a day.")   → Number(18, "")
lone_number("18 or 19"), stated_number("18 or 19"), stated_number("not 5") → None
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from transforms.verify.extract import plain, unwrapped

_NUMBER = re.compile(
    r"(?P<sign>[-−+]?)\s*(?P<whole>\d{1,3}(?:(?:,|\{,\})\d{3})+|\d+)?(?P<decimals>\.\d+)?(?:/(?P<below>\d+))?\.?"
    r"(?P<words>(?:[\s~\\]*%|[\s~(]+[A-Za-z](?:[A-Za-z\s.²³()-]|(?<=[A-Za-z])/(?=[A-Za-z]))*(?:\^\{?[23]\}?)?)?)"
)
# Words behind a number that make it another one, or take it back. A lone letter may be a factor.
_CHANGES = re.compile(
    r"\b(?:hundred|thousand|[mb]illion|trillion|dozen|hal(?:f|ves)|thirds?|quarters?|percent|squared|cubed|pi|plus|minus|"
    r"times|over|less|more|than|or|and|not|no|is|are|was|to|cannot|wrong|so|cents?|mod|(?<!/)[A-Za-z])\b",
    re.IGNORECASE,
)
_LATEX_FRACTION = re.compile(r"(?P<sign>[-−+]?)\\[dt]?frac\{(\d+)\}\{(\d+)\}")

_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_IN_SENTENCE = re.compile(
    r"(?:(?<![\w)\]}])[-−]|(?<![-−\w.,^_/+*=<>×÷:&({\[]))\s?(?:\\?\$|[€£])?\s?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?)(?![\d\w^_/+*=<>×÷}\]]|[.,:]\d)(?P<percent>\s*\\?%)?"
)
# What makes the only number of a sentence not its answer: other numbers in words, denial, doubt, sums.
_UNSURE = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|"
    r"eighty|ninety|hundreds?|thousands?|[mb]illions?|trillions?|dozens?|hal(?:f|ves)|thirds?|quarters?|percent|cents|"
    r"squared|cubed|pi|plus|minus|twice|double|triple|times (?:as|more|less)|not|no|never|cannot|\w+n't|wrong|incorrect|"
    r"neither|nor|or|either|maybe|perhaps|might|could be|unless|if|impossible|unknown|than the right)\b|n’t\b|(?<!['’])\b[B-HJ-Z]\b|\?|\\[a-zA-Z]",
    re.IGNORECASE,
)


class Number(NamedTuple):
    """A number, exactly, and the words behind it."""

    value: Fraction
    words: str


def lone_number(text: str) -> Number | None:
    r"""The number that `text` is, or None: "\$1,234.50 dollars" is one, "18 or 19" and "3 + 4" are none."""
    text = plain(text)
    if found := _LATEX_FRACTION.fullmatch(text):
        return Number(_signed(found["sign"], Fraction(int(found[2]), int(found[3]))), "") if int(found[3]) else None
    found = _NUMBER.fullmatch(text)
    if found is None or not (found["whole"] or found["decimals"]) or _CHANGES.search(found["words"]):
        return None
    if found["below"] is not None and (int(found["below"]) == 0 or found["decimals"]):
        return None
    digits = re.sub(r"[,{}]", "", found["whole"] or "0") + (found["decimals"] or "")
    return Number(
        _signed(found["sign"], Fraction(digits) / int(found["below"] or 1)),
        " ".join(found["words"].replace("\\", "").split()),
    )


def stated_number(sentence: str) -> Number | None:
    """The only number of a sentence, in digits, if nothing there puts it in doubt; of several, the only one in bold."""
    if _UNSURE.search(sentence) or not re.search(r"[A-Za-z]{3}", sentence):
        return None
    bold = [found for span in _BOLD.findall(sentence) if (found := _only(span))]
    return bold[0] if len(bold) == 1 else _only(sentence.replace("**", ""))


def same_unit(one: str, other: str) -> bool:
    """Whether two words behind numbers name the same thing, up to case, brackets and a plural."""
    return _unit(one) == _unit(other)


def _only(text: str) -> Number | None:
    if len(re.findall(r"\d[\d,]*(?:\.\d+)?", text)) != 1:
        return None
    found = _IN_SENTENCE.search(text)
    if found is None:
        return None
    value = Fraction(found["number"].replace(",", ""))
    return Number(-value if found[0].lstrip()[0] in "-−" else value, "%" if found["percent"] else "")


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign in ("-", "−") else value


def _unit(words: str) -> str:
    bare = re.sub(r"[^a-z0-9%²³^]+", " ", unwrapped(words).casefold()).strip()
    return re.sub(r"s\b", "", bare)
