"""Sentences and cues of English reasoning, by rules. The only module that imports spaCy.

    "Compute 2 + 3 = 5. Wait, is that right?" → sentences at 0 and 19; a turn at 19

No model is downloaded: spaCy's tokenizer and sentencizer are rules, and so are ours, for its Matcher: the word lists
in cues.toml. Time is linear: spaCy's is not in the length of a word, so it never sees a long one whole.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span

CUES = Path(__file__).with_name("cues.toml")

_OPTIONAL = re.compile(r"(?<=.)\?$")
_MAY_END = re.compile(r"[.!?…][^\w\s]{0,4}+[^\S\n]")  # what a sentence's end inside a line looks like
_LONG_WORD = re.compile(r"\S{200,}+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE = re.compile(r"[^\n]+")
_PIECE_CHARS = 20_000  # more than 200, so that a piece holds a space
_OPENING_MARK = re.compile(r"(?<=\s)[\"'“‘«(\[{*_`]{1,8}$")  # “ of: He said so. “Stop.”
_FACTORIAL = re.compile(r"(?:\d|\)|\b\w)!\s*(?P<operator>[-+*/×÷·=^<>≤≥≈)\]}]?)\s*[(\[{]*$")  # 5! / (2! …
_OPERATORS = frozenset("-+*/×÷·=^<>≤≥≈)]}")
_NUMERAL = re.compile(r"[IVX]+")
_LOOK_BACK = 24  # characters before a sentence that say whether it is one
_LOCK = RLock()
_OPENING_CHARS = 80  # of a sentence: a turn is in them or nowhere


class _Cues:
    """Finds cues of cues.toml, each under its name. Those without # and _ are phrases, which are found much faster."""

    def __init__(self, nlp: Language, cues: dict[str, list[str]]):
        from spacy.matcher import Matcher, PhraseMatcher
        from spacy.tokens import Doc

        self._patterns, self._phrases = Matcher(nlp.vocab), PhraseMatcher(nlp.vocab, attr="LOWER")
        for name, listed in cues.items():
            for cue in listed:
                words = [_OPTIONAL.sub("|", word).split("|") for word in cue.split()]
                if any(word in ("#", "_") for alternatives in words for word in alternatives):
                    self._patterns.add(name, [[_token(word) for word in cue.split()]])
                else:
                    rows = ([word for word in row if word] for row in itertools.product(*words))
                    self._phrases.add(name, [Doc(nlp.vocab, words=row) for row in rows])

    def __call__(self, doc: Doc) -> Iterator[tuple[str, int]]:
        """The name and first token of each cue in `doc`."""
        for match, start, _ in itertools.chain(self._phrases(doc), self._patterns(doc)):
            yield doc.vocab.strings[match], start


class English(NamedTuple):
    """spaCy's rules for English, and ours: cues of turns, and of what is said ("verify.opens")."""

    nlp: Language
    turns: _Cues
    said: _Cues
    numbered: frozenset[str]
    abbreviated: re.Pattern[str]
    fillers: frozenset[str]


@contextmanager
def rules_of_english() -> Iterator[English]:
    """The rules, for a text: no other thread has them meanwhile, and the text's words are forgotten after it.

    spaCy keeps one list of words for all threads, and a thread that forgets its own forgets those of the others.
    """
    with _LOCK:
        rules = _english()
        with rules.nlp.memory_zone():
            yield rules


@cache
def _english() -> English:
    """The rules, made once in a process."""
    import spacy
    from spacy.pipeline import Sentencizer

    nlp = spacy.blank("en")
    nlp.add_pipe(
        "sentencizer", config={"punct_chars": [*Sentencizer.default_punct_chars, "...", "…", "?!", "!!", "??"]}
    )
    cues = tomllib.loads(CUES.read_text(encoding="utf-8"))
    named = {name: places for name, places in cues.items() if isinstance(places, dict)}
    said = {f"{name}.{place}": listed for name, places in named.items() for place, listed in places.items()}
    return English(
        nlp,
        _Cues(nlp, {"turn": cues["turns"]}),
        _Cues(nlp, said),
        frozenset(cues["numbered"]),
        re.compile(rf"\b(?:{'|'.join(cues['abbreviated'])})\.\s*$", re.IGNORECASE),
        frozenset(cues["fillers"]),
    )


def _token(word: str) -> dict[str, Any]:
    """A word of a cue as a token of a Matcher's pattern."""
    optional = {"OP": "?"} if _OPTIONAL.search(word) else {}
    word = _OPTIONAL.sub("", word)
    if word == "#":
        return {"TEXT": {"REGEX": r"^(?:\d+|[A-Z]|[IVX]+)$"}} | optional
    return ({"IS_ALPHA": True} if word == "_" else {"LOWER": {"IN": word.split("|")}}) | optional


def sentence_starts(text: str) -> list[int]:
    """Where sentences begin inside the lines of `text`, by spaCy's sentencizer, with the marks that open them: “Stop.”

    Not after the number of "Step 3.", not at a small letter: "approx. half", and not after a factorial: "3! = 6".
    """
    starts: list[int] = []
    with rules_of_english() as rules:
        for offset, piece in _pieces(text):
            doc = rules.nlp(piece)
            for sentence in list(doc.sents)[1:]:
                start = sentence.start_char
                if not _goes_on(piece, start, rules) and not _is_numbered(doc, sentence.start, rules.numbered):
                    marks = _OPENING_MARK.search(piece, max(start - _LOOK_BACK, 0), start)
                    starts.append(offset + (marks.start() if marks else start))
    return starts


def opens_with_a_turn(text: str, starts: Sequence[int]) -> list[int]:
    """Of the places where sentences start those where the discourse turns."""
    turns: list[int] = []
    with rules_of_english() as rules:
        for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
            opening = plain(text[start : min(end, start + _OPENING_CHARS)]).lstrip("#*_>-\"'“ \n\t")
            if any(at == 0 for _, at in rules.turns(rules.nlp.make_doc(opening))):
                turns.append(start)
    return turns


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """(Offset, piece) of each line that may hold a sentence's end, without long words and cut to _PIECE_CHARS."""
    for line in _LINE.finditer(text):
        if not _MAY_END.search(line[0]):
            continue
        start = line.start()
        long_words = (found.span() for found in _LONG_WORD.finditer(text, *line.span()))
        for end, after in (*long_words, (line.end(), line.end())):
            while start < end:
                cut = end if end - start <= _PIECE_CHARS else _last_space(text, start + _PIECE_CHARS)
                yield start, _SURROGATE.sub("\ufffd", text[start:cut])  # spaCy takes no half pairs
                start = cut
            start = after


def _last_space(text: str, end: int) -> int:
    """After the last white space before `end`; there is one within 200 characters, as long words are left out."""
    return next(place for place in range(end, 0, -1) if text[place - 1].isspace())


def _goes_on(piece: str, start: int, rules: English) -> bool:
    """Whether what starts at `start` goes on with what is before: approx. half; 3! = 6; Eq. 3."""
    first, before = piece[start], piece[max(start - _LOOK_BACK, 0) : start]
    if first.islower() or (first.isdigit() and rules.abbreviated.search(before)):
        return True
    factorial = _FACTORIAL.search(before)
    return factorial is not None and (first in _OPERATORS or bool(factorial["operator"]))


def _is_numbered(doc: Doc, first: int, numbered: frozenset[str]) -> bool:
    """Whether what ends before token `first` is "Step 3.", "Part II." or the number of a list or heading: "3.", "## 3."."""
    if first < 2 or doc[first - 1].text != ".":
        return False
    number, before = doc[first - 2], doc[max(first - 8, 0) : first - 2]
    if not (number.like_num or len(number) == 1 or _NUMERAL.fullmatch(number.text)):
        return False
    leads = first <= 8 and all(token.is_punct or token.is_space for token in before)
    return leads or (len(before) > 0 and before[-1].lower_ in numbered)


def shortened(text: str) -> str:
    """The text as far as its cues need it: long words cut, and the middle of a long step left out."""
    text = _LONG_WORD.sub(lambda found: found[0][:20], plain(text))
    return text if len(text) <= 4000 else f"{text[:3000]} {text[-1000:]}"


def plain(text: str) -> str:
    """The same text with straight apostrophes, as the cues have them, and without half surrogate pairs."""
    return _SURROGATE.sub("\ufffd", text.replace("’", "'"))


class SaidCues(NamedTuple):
    """The names of the cues that a sentence opens with, and of those it holds, in no order."""

    opens: list[str]
    holds: list[str]


def cues_of(sentences: Sequence[Span]) -> list[SaidCues]:
    """The cues of each sentence, inside `rules_of_english`. It opens with what stands after no more than punctuation and fillers."""
    rules = _english()
    found = [SaidCues([], []) for _ in sentences]
    of = {token.i: number for number, sentence in enumerate(sentences) for token in sentence}
    openings = [
        next((token.i for token in sentence if not _is_filler(token, rules.fillers)), sentence.end)
        for sentence in sentences
    ]
    for name, start in rules.said(sentences[0].doc) if sentences else ():
        cue, _, place = name.partition(".")
        number = of[start]
        if place == "holds":
            found[number].holds.append(cue)
        elif start <= openings[number]:
            found[number].opens.append(cue)
    return found


def _is_filler(token: Any, fillers: frozenset[str]) -> bool:
    return token.is_punct or token.is_space or token.lower_ in fillers
