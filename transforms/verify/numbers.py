r"""Numbers in answers, read exactly.

lone_number("\$1,234.50 dollars")            → Number(2469/2, "dollars")
lone_number("5\text{ m/s}")                  → Number(5, "m/s"), as the unit is marked as words
stated_number("She makes **\$18** a day.")   → Number(18, "")
lone_number("18 or 19"), stated_number("18 or 19"), stated_number("not 5"), stated_number("at least 5") → None
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from transforms.verify.extract import plain, unwrapped

_SIGN = r"(?P<sign>[-−+]?)"
_DIGITS = r"(?:\d{1,3}(?:(?:,|\{,\})\d{3})+|\d+)"
_NUMBER = re.compile(
    rf"{_SIGN}\s*(?P<whole>{_DIGITS})?(?P<decimals>\.\d+)?(?:/(?P<below>\d+))?\.?"
    r"(?P<words>(?:[\s~\\]*%|[\s~(]+[A-Za-z](?:[A-Za-z\s.²³()-]|(?<=[A-Za-z])/(?=[A-Za-z]))*(?:\^\{?[23]\}?)?)?)"
)
_MIXED = re.compile(rf"{_SIGN}\s*(?P<whole>\d+)(?:\s+(\d+)/(\d+)|\s*\\[dtc]?frac\{{(\d+)\}}\{{(\d+)\}})")
_LATEX_FRACTION = re.compile(r"(?P<sign>[-−+]?)\\[dtc]?frac(?:\{(\d+)\}\{(\d+)\}|(\d)(\d))")
_POWER = re.compile(
    rf"{_SIGN}(?P<digits>\d+(?:\.\d+)?)(?:e(?P<e>[-+]?\d{{1,3}})|\s*(?:\\times|\\cdot|×)\s*10\^(?:\{{(?P<braced>-?\d{{1,3}})\}}|(?P<bare>-?\d)))",
    re.I,
)
_UNIT = re.compile(
    r"(?P<number>.*?[\d}])\s*(?:\\[,;!: ]|~|\s)*(?P<unit>(?:\^\{?\\circ\}?|°)\s*(?:[CFK]|\\(?:text|mathrm)\{\s*[CFK]\s*\})?"
    r"|\\(?:text|mathrm|mbox|textrm|operatorname)\s*\{(?P<name>[^{}]*)\}(?:\^\{?-?\d\}?)?)\.?",
    re.DOTALL,
)
# Words behind a number that make it another one, or take it back. A lone letter may be a factor.
_MULTIPLES = (
    r"hundreds?|thousands?|[mb]illions?|trillions?|mil|lakhs?|crores?|dozens?|tens|scores?|gross|hal(?:f|ves)|quarters?|"
    r"thirds?|(?:four|fif|six|seven|eigh|nin|ten|hundred|thousand|million)ths?|percent|cents|squared|cubed|factorial|pi"
)
_CHANGES = re.compile(
    rf"\b(?:{_MULTIPLES}|plus|minus|times|divided|multiplied|twice|over|under|below|above|short|less|more|than|or|and|not|no|is|are|"
    r"was|to|cannot|wrong|maybe|so|if|unless|except|only|when|fewer|cent|mod|th|st|nd|rd|[ap]\.?m|(?<!/)[A-Za-z])\b",
    re.IGNORECASE,
)
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_IN_SENTENCE = re.compile(
    r"(?:(?<![\w)\]}])[-−]|(?<![-−–\w.,^_/+*=<>×÷:&({\[#]))\s?(?:\\?\$|[€£])?\s?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?)(?![\d\w^_/+*=<>×÷}\]–-]|[.,:]\d)(?P<percent>\s*\\?%)?"
)
# What makes the only number of a sentence not its answer: other numbers in words, denial, doubt, sums.
_UNSURE = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w{1,9}teen|twenty|thirty|forty|fifty|sixty|seventy|"
    rf"eighty|ninety|{_MULTIPLES}|plus|minus|negative|twice|double|triple|times (?:as|more|less|that)|divided|multiplied|not|no|never|cannot|"
    r"\w{1,9}n't|wrong|incorrect|neither|nor|or|either|maybe|perhaps|might|could be|unless|if|impossible|unknown|unclear|off by|"
    r"root|reciprocal|opposite|inverse|logarithm|log|powers?|modulo|remainder|multiples?|factors?|divisible|digits?|"
    r"at (?:least|most)|least|most|under|above|below|between|beyond|exceeds?|except|but|nearly|almost|about|around|"
    r"roughly|approximately|approx|given|one over|(?<!in )all|any|everything|anything|january|february|march|april|may|june|july|august|"
    r"september|october|november|december|[ap]\.m)\b|n’t\b|(?<!['’])\b[B-HJ-Z]\b|\?|\\[a-zA-Z]",
    re.IGNORECASE,
)
_LESS = re.compile(
    r"\b(?:greater|larger|smaller|more|less|fewer|over|higher|lower|square|cube|than|of(?<!total of)(?<!average of)(?<!sum of)(?<!mean of)(?<!amount of))\s\W{0,6}$",
    re.I,
)


class Number(NamedTuple):
    """A number, exactly, and the words behind it."""

    value: Fraction
    words: str


def lone_number(text: str) -> Number | None:
    r"""The number that `text` is, or None: "\$1,234.50 dollars" is one, "18 or 19" and "3 + 4" are none."""
    marked = _UNIT.fullmatch(unwrapped(text))
    if marked and not _CHANGES.search(re.sub(r"(?<!\w)[A-Za-z](?!\w)", "", marked["name"] or "")):
        value = _value(plain(marked["number"]))
        unit = _unit_words(marked["unit"])
        return None if value is None or unit in ("k", "K", "M", "B") else Number(value, unit)  # 5k is no 5
    text = plain(text)
    value = _value(text)
    if value is not None:
        return Number(value, "")
    found = _NUMBER.fullmatch(text)
    if found is None or _CHANGES.search(found["words"]):
        return None
    value = _value(text[: found.start("words")].rstrip("."))
    return None if value is None else Number(value, " ".join(found["words"].replace("\\", "").split()))


def _value(text: str) -> Fraction | None:
    """The exact value of digits: whole, decimal, fraction, mixed number, or times a power of ten."""
    text = text.strip()
    if found := _LATEX_FRACTION.fullmatch(text):
        return _signed(found["sign"], _ratio(found[2] or found[4], found[3] or found[5]))
    if found := _MIXED.fullmatch(text):
        part = _ratio(found[3] or found[5], found[4] or found[6])
        return None if part is None else _signed(found["sign"], int(found["whole"]) + part)
    if found := _POWER.fullmatch(text):
        return _signed(
            found["sign"],
            Fraction(found["digits"]) * Fraction(10) ** int(found["e"] or found["braced"] or found["bare"]),
        )
    found = _NUMBER.fullmatch(text)
    if found is None or found["words"] or not (found["whole"] or found["decimals"]):
        return None
    if found["below"] is not None and (int(found["below"]) == 0 or found["decimals"]):
        return None
    digits = re.sub(r"[,{}]", "", found["whole"] or "0") + (found["decimals"] or "")
    return _signed(found["sign"], Fraction(digits) / int(found["below"] or 1))


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
    if found is None or _LESS.search(text[: found.start("number")].rstrip("$\\€£")):
        return None
    value = Fraction(found["number"].replace(",", ""))
    return Number(-value if found[0].lstrip()[0] in "-−" else value, "%" if found["percent"] else "")


def _unit_words(latex: str) -> str:
    return " ".join(re.sub(r"\\[a-z]+|[\\{}^~]", " ", latex.replace("\\circ", "°")).split())


def _ratio(above: str, below: str) -> Fraction | None:
    return Fraction(int(above), int(below)) if int(below) else None


def _signed(sign: str, value: Fraction | None) -> Fraction | None:
    return -value if value is not None and sign in ("-", "−") else value


def _unit(words: str) -> str:
    bare = re.sub(r"[^A-Za-z0-9%²³^°/-]+", " ", unwrapped(words)).strip()
    bare = bare if len(bare) <= 2 else bare.casefold()  # mW is not MW
    return re.sub(r"(?<=[a-z]{2})s\b", "", bare)
