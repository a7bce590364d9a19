"""Kinds of tokens, and the words that are of each kind (words.toml)."""

from __future__ import annotations

import tomllib
from enum import IntEnum, auto
from pathlib import Path
from typing import Any


class Kind(IntEnum):
    """What a token is. Its value: a Literal for NUMBER, a number for SCALE, PREFIX and POWER, else a text."""

    NUMBER = auto()
    SIGN = auto()  # + - * / ^, and "over"
    RELATION = auto()  # = ≈, "is" for all verbs that mean it, "may be" for those that often do
    OPEN = auto()
    CLOSE = auto()
    WORDS = auto()  # one or more, in small letters
    BREAK = auto()  # punctuation and ends of lines
    NAME = auto()  # x, x_1
    FRACTION = auto()  # \\frac
    ROOT = auto()
    OF = auto()
    PERCENT = auto()
    POWER = auto()  # squared, ²
    FACTORIAL = auto()
    SCALE = auto()  # dozen, thousand
    PREFIX = auto()  # twice, double
    VERB = auto()  # "adding" 3 "and" 4; its value is the sign
    OTHER = auto()


_DATA: dict[str, Any] = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))

IN_DIGITS: dict[str, int] = _DATA["numbers"]
PARTS: dict[str, int] = _DATA["parts"]
SCALES: dict[str, int] = _DATA["scales"]
_LISTS = {name: frozenset(words) for name, words in _DATA["lists"].items()}
COUNTED, UNITS, ORDINAL = _LISTS["counted"], _LISTS["units"], _LISTS["ordinal"]
SUPPOSING, ROUGHLY, WHICH, JOINING = _LISTS["supposing"], _LISTS["roughly"], _LISTS["which"], _LISTS["joining"]
INTRODUCING, MEANING = _LISTS["introducing"], _LISTS["meaning"]

_ENTRIES: dict[str, tuple[Kind, object]] = {
    "of": (Kind.OF, ""),
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
