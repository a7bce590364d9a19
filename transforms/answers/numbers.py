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

from transforms.answers.extract import plain, unwrapped

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
    r"hundreds?|thousands?|(?:[mbz]|tr|quadr|quint)illi(?:on|ard)\w*|mill(?:e|ones)|mil|mio|mrd|tausend|[mb]n|grand|thou|permille|basis points|bps|doubled|tripled|halved|lakhs?|crores?|dozens?|tens|scores?|gross|hal(?:f|ves)|quarters?|"
    r"thirds?|(?:four|fif|six|seven|eigh|nin|ten|hundred|thousand|million)ths?|percent|cents|squared|cubed|factorial|pi"
)
_CHANGES = re.compile(
    rf"\b(?:{_MULTIPLES}|plus|minus|times|divided|multiplied|twice|over|under|below|above|short|less|more|than|or|and|not|no|is|are|"
    r"was|to|cannot|wrong|incorrect|false|negative|approximately|approx|maybe|so|if|unless|except|only|when|fewer|cent|mod|th|st|nd|rd|[ap]\.?m|(?<!/)[A-Za-z])\b",
    re.IGNORECASE,
)
# What stands behind the last digit, bracket or command of a text, or in \text{} behind anything.
_MARKED = re.compile(r"\\(?:text\w{0,6}|mathrm|mbox|rm|operatorname)\s{0,3}\{([^{}]*)\}")
_DEGREES = re.compile(r"\^\{?\\circ\}?|\\(?:circ|degree)(?![a-zA-Z])")
_SPACE = re.compile(r"\\[,;!: ]|~")
_REST = re.compile(
    r"(?:[\d)}$€£¥₹¢%°]|\\[a-zA-Z]+(?=\s)|(?P<marked>[^\s\0,;=(]\s{0,9}\0))(?P<space>\s{0,9})"
    r"(?P<words>(?!(?:and|or|if|to)\b)[A-Za-zµμΩ](?:[A-Za-zµμΩ\s./()\0-]|\^\{?-?\d\}?)*)$"
)
# Letters without a space, or a lone one, may be factors ("5xy"); these are units.
_SHORT_UNIT = re.compile(
    r"(?:[kcmdnµμMG]?(?:m|g|s|l|L|J|W|Hz|Pa|mol)|[kM]?cal|min|hr?|in|ft|yd|mi|oz|lbs?|[mk]ph|[ap]\.?m\.?|cc|ha|C|F)(?:[/^].*)?|[A-Za-z]{4,}.*",
    re.DOTALL,
)
_SIGN_OF_UNIT = re.compile(r"[$€£¥₹¢%°]|\b(?:USD|EUR|GBP)(?=\s?\d)")
_SIGNS = {
    "dollar": "$", "usd": "$", "euro": "€", "eur": "€", "pound": "£", "gbp": "£", "yen": "¥", "rupee": "₹", "cent": "¢",
    "percent": "%", "degree": "°",
}  # fmt: skip
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_IN_SENTENCE = re.compile(
    r"(?:(?<![\w)\]}])[-−]|(?<![-−–\w.,^_/+*=<>×÷:&({\[#]))\s?(?:\\?\$|[€£])?\s?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?)(?![\d\w^_/+*=<>×÷}\]–-]|[.,:]\d)(?P<percent>\s*\\?%)?"
)
# What makes the only number of a sentence not its answer: other numbers in words, denial, doubt, sums.
_UNSURE = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w{1,9}teen|twenty|thirty|forty|fifty|sixty|seventy|"
    rf"eighty|ninety|{_MULTIPLES}|plus|minus|negative|twice|double|triple|times (?:as|more|less|that)|divided|multiplied|not|no|never|cannot|"
    r"\w{1,9}n't|wrong|incorrect|false|neither|nor|or|either|maybe|perhaps|might|could be|unless|if|impossible|unknown|unclear|off by|"
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


def other_unit(answer: str, reference: str) -> str:
    """Why two texts have different units, or ""; a unit where the other has none is no difference."""
    sign, words = wanted = _rest(reference)
    if not any(wanted):
        return ""
    found_sign, found_words = found = _rest(answer)
    crossed = bool(sign and found_words) or bool(found_sign and words)  # $5 for 5 cm
    same_sign = sign == found_sign if sign and found_sign else not crossed
    if same_sign and (words == found_words or not (words and found_words)):
        return ""
    return " where ".join(repr(" ".join(unit).strip()) for unit in (found, wanted)) + " is asked"


def _rest(text: str) -> tuple[str, str]:
    r"""The sign of a text's unit, and the words behind its number: "\$5 a day" → ("$", "a day"), "5\pi\text{ cm}" → ("", "cm").

    Factors are none: "5xy" → ("", "").
    """
    text = unwrapped(text)
    if len(re.findall(r"(?<!\\)\$", text)) % 2 == 0:
        text = re.sub(r"(?<!\\)\$", " ", text)  # delimiters
    text = _SPACE.sub(" ", _DEGREES.sub("°", text).replace("\\%", "%"))
    text = _MARKED.sub("\0\\1", text).rstrip(". ")
    sign, found = _SIGN_OF_UNIT.search(text), _REST.search(text[-100:])
    words = found["words"].replace("\0", "").strip() if found else ""
    sure = found and (found["marked"] or (found["space"] and len(words) > 1))
    unit = _unit(words).split() if sure or _SHORT_UNIT.fullmatch(words) else []
    if unit and unit[0] in _SIGNS.values():
        return unit[0], " ".join(unit[1:])
    return _SIGNS.get(sign[0].lower(), sign[0]) if sign else "", " ".join(unit)


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
    bare = re.sub(r"[^A-Za-z0-9%²³^°µμΩ$€£¥₹¢/-]+", " ", unwrapped(words).replace(".", "")).strip()
    bare = bare if len(bare) <= 2 else bare.casefold()  # mW is not MW
    return " ".join(_SIGNS.get(word, word) for word in re.sub(r"(?<=[a-z]{2})s\b", "", bare).split())
