"""Kinds of tokens, and the words that are of each kind (words.toml)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any


class Kind:
    """What a token is. Its value: a Literal for NUMBER, a number for SCALE, PREFIX and POWER, else a text.

    Texts, as members of an enum take four times as long to look up, which is a sixth of all that reading a trace takes.
    """

    NUMBER = "number"
    SIGN = "sign"  # + - * / ^, and "over"
    RELATION = "relation"  # = ≈, "is" for all verbs that mean it, "may be" for those that often do
    OPEN = "open"
    CLOSE = "close"
    WORDS = "words"  # one or more, in small letters
    BREAK = "break"  # punctuation and ends of lines
    NAME = "name"  # x, x_1
    FRACTION = "fraction"  # \\frac
    ROOT = "root"
    OF = "of"
    PERCENT = "percent"
    POWER = "power"  # squared, ²
    FACTORIAL = "factorial"
    SCALE = "scale"  # dozen, thousand
    PREFIX = "prefix"  # twice, double
    VERB = "verb"  # "adding" 3 "and" 4; its value is the sign
    OTHER = "other"


_DATA: dict[str, Any] = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))

IN_DIGITS: dict[str, int] = _DATA["numbers"]
PARTS: dict[str, int] = _DATA["parts"]
SCALES: dict[str, int] = _DATA["scales"]
_LISTS = {name: frozenset(words) for name, words in _DATA["lists"].items()}
COUNTED, UNITS, ORDINAL = _LISTS["counted"], _LISTS["units"], _LISTS["ordinal"]
SUPPOSING, ROUGHLY, WHICH, JOINING = _LISTS["supposing"], _LISTS["roughly"], _LISTS["which"], _LISTS["joining"]
INTRODUCING, MEANING = _LISTS["introducing"], _LISTS["meaning"]

_ENTRIES: dict[str, tuple[str, object]] = {
    "of": (Kind.OF, ""),
    "sqrt": (Kind.ROOT, "sqrt"),
    **{word: (Kind.SIGN, sign) for word, sign in _DATA["signs"].items()},
    **{word: (Kind.VERB, sign) for word, sign in _DATA["verbs"].items()},
    **{word: (Kind.RELATION, relation) for relation, words in _DATA["relations"].items() for word in words},
    **{word: (Kind.PREFIX, factor) for word, factor in _DATA["prefixes"].items()},
    **{word: (Kind.POWER, power) for word, power in _DATA["powers"].items()},
    **dict.fromkeys(_LISTS["percent"], (Kind.PERCENT, "")),
}
WORDS = {word: entry for word, entry in _ENTRIES.items() if " " not in word}
PAIRS = {tuple(word.split(" ")): entry for word, entry in _ENTRIES.items() if " " in word}
FIRST_OF_PAIRS = frozenset(words[0] for words in PAIRS)
SPECIAL = frozenset({*WORDS, *FIRST_OF_PAIRS, *IN_DIGITS, *PARTS, *SCALES})  # words with a meaning of their own
