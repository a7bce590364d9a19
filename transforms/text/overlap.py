r"""Problems that are questions of a benchmark: found by runs of n words, and by their numbers.

    ("gsm8k_test", "gsm8k_test-000001", "A robe takes 2 bolts of blue fiber and …") in the index, and the problem
    "Solve it: A ROBE takes two bolts of blue fiber and …" → Overlap("gsm8k_test", "gsm8k_test-000001", 1.0, 8)

A text becomes words and symbols. Symbols are what makes another problem where it changes: numbers, operators,
brackets around maths, variables, functions, and words such as `twice`. Before that, as far as it goes:

- NFKC and casefolded; LaTeX commands by name, without delimiters, braces and spacing: `$x^{2}+3$`, `x² + 3`.
- One form for each number: `1,000`, `1000.0`, `one thousand`; `2.50`, `2.5`; `\frac{3}{20}`, `3/20`. But `5 million`
  stays two numbers, `100,200` without a space is one, and `dozen` is a symbol of its own.
- Punctuation is dropped, as are hyphens of words, markup, and diagrams in [asy] … [/asy].

Others look at words only: PaLM wants 70% of the 8-grams (arXiv:2204.02311), s1 any one (arXiv:2501.19393). Measured
with three random words of each question of GSM8K's test set replaced: half of the runs finds 61% of them again, 0.3
finds 82%, but takes more of MBPP's look-alikes for each other (9 hits, not 4). A problem that is only a part of a
question is not looked for: the only two such of 7,473 in GSM8K's training set have other numbers.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import Field

from transforms.core.config import Config as BaseConfig

_MAX_QUESTIONS_PER_RUN = 20
_LONG = 3  # times ngram_words: enough words to tell a question without numbers
_MAX_PLACES_PER_RUN = 16


class Config(BaseConfig):
    """A problem overlaps a benchmark's question if both hold, at one place in the problem:

    - at least `min_share` of the question's runs of `ngram_words` words and symbols are there. A run that occurs in
      more than 20 different questions is boilerplate and does not count;
    - the question's symbols are there, in its order, with none between them and no maths running on from them.

    Some questions say too little for that: with fewer than `ngram_words` words, without a number in fewer than three
    times as many, or with no run that counts. They are found as whole sentences or lines of the problem; those of fewer
    than `ngram_words` words without a number, as "Find x.", only as the whole problem.
    """

    ngram_words: int = Field(8, ge=1)
    min_share: float = Field(0.5, gt=0, le=1)


class Overlap(NamedTuple):
    """The benchmark's question that a problem repeats, and the share of its runs that were found."""

    benchmark: str
    row: str
    share: float
    ngram_words: int  # 0 where the whole question was found, word for word

    def describe(self) -> str:
        """In words, for a drop's detail."""
        if not self.ngram_words:
            return f"the same words and numbers as {self.row}"
        return f"{self.share:.0%} of the {self.ngram_words}-word runs of {self.row}, and all its numbers"


class Index:
    """The questions of all benchmarks. Independent of their order; of equal questions, the first by name counts."""

    def __init__(self, rows: Iterable[tuple[str, str, str]], config: Config | None = None) -> None:
        """`rows` are (benchmark, row's id, question); questions without words are passed over."""
        self._config = config or Config()
        self._rows = _distinct(rows, self._config.ngram_words)
        frequency = Counter(run for row in self._rows for run in set(row.runs))
        self._by_run: dict[int, list[int]] = {}
        self._whole: dict[int, int] = {}
        self._num_counted: list[int] = []
        for number, row in enumerate(self._rows):
            counted = set()
            if row.has_number or len(row.text.tokens) >= _LONG * self._config.ngram_words:
                counted = {run for run in row.runs if frequency[run] <= _MAX_QUESTIONS_PER_RUN}
            self._num_counted.append(len(counted))
            for run in counted:
                self._by_run.setdefault(run, []).append(number)
            if not counted:
                self._whole[_digest(row.text.tokens)] = number
        self._whole_lengths = sorted({len(self._rows[number].text.tokens) for number in self._whole.values()})

    def __len__(self) -> int:
        """The number of different questions."""
        return len(self._rows)

    def find(self, question: str) -> Overlap | None:
        """The benchmark's question that overlaps most; of equals, the first by name."""
        text = _parse(question)
        found = [*self._find_whole(text), *self._find_runs(text)]
        return min(found, key=lambda hit: (-hit.share, hit.benchmark, hit.row), default=None)

    def _find_whole(self, text: _Text) -> Iterator[Overlap]:
        for start in text.ends:
            for length in self._whole_lengths:
                stop = start + length
                number = self._whole.get(_digest(text.tokens[start:stop])) if stop in text.ends else None
                if number is not None:
                    row = self._rows[number]
                    if row.has_number or row.runs or length == len(text.tokens):
                        yield Overlap(row.benchmark, row.id, 1.0, 0)

    def _find_runs(self, text: _Text) -> Iterator[Overlap]:
        places: dict[int, list[int]] = {}
        for place, run in enumerate(_runs(text.tokens, self._config.ngram_words)):
            if run in self._by_run:
                places.setdefault(run, []).append(place)
        for number, count in Counter(row for run in places for row in self._by_run[run]).items():
            if count >= self._config.min_share * self._num_counted[number]:
                row = self._rows[number]
                pairs = _aligned(row, places)
                share = len({row.runs[own] for own, _ in pairs}) / self._num_counted[number]
                if share >= self._config.min_share and self._same_symbols(row.text, text, pairs):
                    yield Overlap(row.benchmark, row.id, share, self._config.ngram_words)

    def _same_symbols(self, own: _Text, other: _Text, pairs: list[tuple[int, int]]) -> bool:
        """Whether `other` has the symbols of `own`, no more and no less, where the runs lie."""
        (first, _), (last, _) = pairs[0], pairs[-1]
        begin = min(place for _, place in pairs)
        end = max(place for _, place in pairs) + self._config.ngram_words
        before, before_own = bisect_left(other.symbols, begin), bisect_left(own.symbols, first)
        inside = bisect_left(other.symbols, end) - before
        start = before - before_own
        if start < 0 or inside != bisect_left(own.symbols, last + self._config.ngram_words) - before_own:
            return False
        there = [other.tokens[place] for place in other.symbols[start : start + len(own.symbols)]]
        if there != [own.tokens[place] for place in own.symbols]:
            return False
        ends_there = last + self._config.ngram_words == len(own.tokens)
        return not (first == 0 and _runs_on(own, 0, other, begin - 1, begin)) and not (
            ends_there and _runs_on(own, len(own.tokens) - 1, other, end, end)
        )


class _Text(NamedTuple):
    """`symbols` are places in `tokens`, ascending; `ends` are the places where a sentence or line starts or ends."""

    tokens: list[str]
    symbols: list[int]
    ends: frozenset[int]


class _Row(NamedTuple):
    """A benchmark's question; `runs` are the digests of its runs, by the place where they start."""

    benchmark: str
    id: str
    text: _Text
    runs: list[int]

    @property
    def has_number(self) -> bool:
        return any(token[0].isdigit() for token in self.text.tokens)


def _distinct(rows: Iterable[tuple[str, str, str]], ngram_words: int) -> list[_Row]:
    first: dict[tuple[str, ...], _Row] = {}
    for benchmark, name, question in sorted(rows):
        text = _parse(question)
        if text.tokens:
            first.setdefault(tuple(text.tokens), _Row(benchmark, name, text, _runs(text.tokens, ngram_words)))
    return list(first.values())


def _runs(tokens: list[str], length: int) -> list[int]:
    return [_digest(tokens[start : start + length]) for start in range(len(tokens) - length + 1)]


def _digest(tokens: list[str]) -> int:
    """64 bits, the same in every process."""
    return int.from_bytes(hashlib.blake2b(" ".join(tokens).encode("utf-8", "replace"), digest_size=8).digest(), "big")


def _aligned(row: _Row, places: dict[int, list[int]]) -> list[tuple[int, int]]:
    """(place in the row, place in the problem) of the runs both have, around the place where most of them are.

    A second copy of the question is further away than half its length, an insertion is not.
    """
    both = [(own, place) for own, run in enumerate(row.runs) for place in places.get(run, ())[:_MAX_PLACES_PER_RUN]]
    shifts = Counter(place - own for own, place in both)
    shift = min(shifts, key=lambda value: (-shifts[value], value))
    nearest: dict[int, int] = {}
    for own, place in both:
        away = abs(place - own - shift)
        if away <= len(row.text.tokens) // 2 and (own not in nearest or away < abs(nearest[own] - own - shift)):
            nearest[own] = place
    return list(nearest.items())


def _runs_on(own: _Text, edge: int, other: _Text, beyond: int, end: int) -> bool:
    """Whether maths that ends the question goes on in the problem, as `1 + 2` in `1 + 2 + 3`."""
    return 0 <= beyond < len(other.tokens) and end not in other.ends and beyond in other.symbols and edge in own.symbols


def tokens(text: str) -> list[str]:
    """The words and symbols of a text. "Janet's 1,000 $x^2$-coins" → janets 1000 x ^ 2 coins."""
    return _parse(text).tokens


def _words(text: str) -> list[str]:
    return text.split()


_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SIGNS = str.maketrans("−–‐‑—×·∙⋅÷⁄∕", "---- ****///") | str.maketrans(
    {"≤": "<=", "≥": ">=", "≠": "!=", "√": " sqrt ", "∞": " infty ", "°": "^circ"}
)
_GREEK_NAMES = _words(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon phi chi psi omega"
)
_GREEK = dict(zip("αβγδεζηθικλμνξοπρςστυφχψω", _GREEK_NAMES, strict=True))
_COMMANDS = {
    "div": "/", "lt": "<", "gt": ">", "degree": "^circ", "%": "%", "|": "|", "!": "",
    "[": "\n", "]": "\n", "\\": "\n",  # displayed maths, and line breaks, end a line
    **dict.fromkeys(_words("cdot times ast"), "*"),
    **dict.fromkeys(_words("le leq leqslant"), "<="),
    **dict.fromkeys(_words("ge geq geqslant"), ">="),
    **dict.fromkeys(_words("ne neq"), "!="),
    **dict.fromkeys(_words("dfrac tfrac cfrac"), " frac "),
    **dict.fromkeys(_words("dbinom tbinom choose"), " binom "),
    **dict.fromkeys(_words("bmod pmod"), " mod "),
    **dict.fromkeys(
        _words(
            "left right big bigg bigl bigr biggl biggr middle displaystyle textstyle limits nolimits text textbf textit textrm mathrm "
            "mathbf mathit mathbb mathcal mathsf operatorname boldsymbol mbox quad qquad ldots cdots dots $ , ; : ( ) { } _ & #"
        ),
        " ",
    ),
}  # fmt: skip
_FUNCTIONS = _words(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log exp sqrt frac binom mod gcd lcm lim sum prod int det max min "
    "floor ceil lfloor rfloor lceil rceil infty circ"
)
_MATHS_WORDS = frozenset(_FUNCTIONS + _GREEK_NAMES)
_QUANTITIES = frozenset(
    _words(
        "half halves twice thrice double triple quadruple dozen second third thirds fourth fourths quarter quarters fifth fifths "
        "sixth sixths seventh eighth eighths ninth tenth tenths"
    )
)
_SHORT_WORDS = frozenset(
    _words(
        "a i ah am an as at be by do dr go ha he hi if in is it ll me mr ms my nd no of oh ok on or pm rd re so st th to tv up us ve vs we"
    )
)
_SMALL = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
)
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_VALUES = {word: value for value, word in enumerate(_SMALL)} | {word: 10 * tens for tens, word in enumerate(_TENS, 2)}
_VALUES |= {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_NUMBER_WORD = f"(?:{'|'.join(sorted(_VALUES, key=len, reverse=True))})"
_NUMBER_WORDS = re.compile(
    rf"\b{_NUMBER_WORD}(?:(?:[ \t]*-[ \t]*|[ \t]+\n?[ \t]*|\n[ \t]*|(?<=hundred)\s+and\s+|(?<=thousand)\s+and\s+){_NUMBER_WORD})*\b"
)
_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:{\s*(\w+)\s*}|(\d))\s*(?:{\s*(\w+)\s*}|(\d))")
_TOKEN = re.compile(
    r"""(?P<number>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
      | (?P<word>[\u3040-\u30ff\u3400-\u9fff]|(?:(?![\u3040-\u30ff\u3400-\u9fff])[^\W\d_])+)
      | (?P<sign>(?<=[\w)\]])\*\*(?=[\w(\[-])|(?<=[\w)\]]\s)\*\*(?=\s[\w(\[-])|!=|(?<=[\d)])!|(?<=\b[a-z])!|(?<!\*)\*(?!\*)|[-+/^=<>|%()\[\]])
      | (?P<end>\n|[.?!:;](?=[*"')\]]*(?:\s|$)))""",
    re.VERBOSE,
)
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['’‘ʼ´](?=[^\W\d_])")
_NEEDS_LEFT, _NEEDS_RIGHT = frozenset(_words("* / ^ ) ] % !")), frozenset(_words("+ - * / ^ = < > != ( ["))


def _plain(text: str) -> str:
    """The text without LaTeX's markup, other alphabets' digits, and number words."""
    if not text.isascii():
        text = re.sub("[⁰¹²³⁴-⁹⁻⁺]+", lambda found: "^" + found[0].translate(_SUPERSCRIPTS), text)
        text = unicodedata.normalize("NFKC", re.sub("(?=[¼-¾⅐-⅞])", " ", text).translate(_SIGNS)).translate(_SIGNS)
        text = re.sub(r"[^\D0-9]", lambda found: str(unicodedata.decimal(found[0])), text)
    text = text.casefold()
    text = re.sub("(?<![α-ω])[α-ω](?![α-ω])", lambda found: f" {_GREEK.get(found[0], found[0])} ", text)
    text = re.sub(r"\[asy\](?:(?!\[asy\]).)*?\[/asy\]", "\n", text, flags=re.DOTALL)
    if "\\" in text or "$" in text:
        text = text.replace("$$", "\n").replace("{,}", ",").replace(",\\!", ",")
        text = _FRACTION.sub(lambda found: f" {found[1] or found[2]}/{found[3] or found[4]} ", text)
        text = re.sub(r"\\(?:begin|end)\s*{[^{}]*}", "\n", text)
        text = re.sub(r"\\([a-z]+|.)", lambda found: _COMMANDS.get(found[1], f" {found[1]} "), text, flags=re.DOTALL)
    text = re.sub("[{}]", " ", text.replace("$", ""))
    text = re.sub(r"\b([ap])\.m\b\.?", r"\1m", _APOSTROPHE.sub("", text))
    return _NUMBER_WORDS.sub(lambda found: _spelled_out(found[0]), re.sub(r"\bper ?cent\b", "%", text))


def _spelled_out(words: str) -> str:
    """The numbers that number words say. "two hundred and five" → 205, "two three" → 2 3."""
    numbers: list[int] = []
    total, group, room = 0, 0, 0  # a word below `room` adds to the group
    for value in (_VALUES[word] for word in re.findall("[a-z]+", words) if word != "and"):
        if value >= 1000 and (group or room != 1) and value < (total or value + 1):
            total, group, room = total + max(group, 1) * value, 0, 1000
        elif value == 100 and (0 < group < 10 or (group == 0 and not numbers)):
            group, room = max(group, 1) * 100, 100
        elif value < room:
            group, room = group + value, 10 if value >= 20 else 1
        else:
            if room:
                numbers.append(total + group)
            total, group, room = 0, value, 10 if 20 <= value < 100 else 1
    return ("\n" if "\n" in words else " ").join(map(str, [*numbers, total + group]))


def _parse(text: str) -> _Text:
    raw = [(found.lastgroup or "", _canonical(found)) for found in _TOKEN.finditer(_plain(text))]
    maths = _maths(raw)
    left, right = _neighbours(raw, maths), _neighbours(raw[::-1], maths[::-1])[::-1]
    kept: list[str] = []
    symbols: list[int] = []
    ends = {0}
    for place, (kind, token) in enumerate(raw):
        if kind == "end" or token == "!":
            ends.add(len(kept) + (token == "!" and left[place]))
        if kind == "end" or (kind == "sign" and not _is_maths(token, left[place], right[place])):
            continue
        if kind == "sign" or maths[place] or token in _QUANTITIES:
            symbols.append(len(kept))
        kept.append(token)
    return _Text(kept, symbols, frozenset(ends | {len(kept)}))


def _canonical(found: re.Match[str]) -> str:
    token = found[0]
    if found.lastgroup == "number":
        token = token.replace(",", "")
        token = token.rstrip("0").rstrip(".") if "." in token else token
        return "0" + token if token[:1] in ("", ".") else token
    return "^" if token == "**" else token


def _maths(raw: list[tuple[str, str]]) -> list[bool]:
    """Which tokens are numbers, variables or functions; `a` and `i` where an operator is beside them."""
    flags = []
    for place, (kind, token) in enumerate(raw):
        short = len(token) <= 2 and token.isascii()
        flag = kind == "number" or (kind == "word" and (short or token in _MATHS_WORDS))
        if flag and token in _SHORT_WORDS:
            beside = raw[max(place - 1, 0) : place] + raw[place + 1 : place + 2]
            flag = len(token) == 1 and any(sign in ("+", "-", "/", "^", "=") for _, sign in beside)
        flags.append(flag)
    return flags


def _neighbours(raw: list[tuple[str, str]], maths: list[bool]) -> list[bool]:
    """For each token, whether the last word or number before it is maths."""
    flags, last = [], False
    for (kind, _), flag in zip(raw, maths, strict=True):
        flags.append(last)
        last = flag if kind in ("number", "word") else last
    return flags


def _is_maths(sign: str, left: bool, right: bool) -> bool:
    """Whether a sign is no hyphen, markup or punctuation, by what is beside it."""
    if sign == "|":
        return left or right
    return (left or sign not in _NEEDS_LEFT) and (right or sign not in _NEEDS_RIGHT)
