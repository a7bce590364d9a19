r"""Compares an answer that is maths with its reference: numbers exactly, lists value by value, all else by math-verify.

judge_math("70 minutes", "70")      → Judgement(CORRECT, "number")
judge_math("x=3, y=4", "y=4, x=3")  → Judgement(CORRECT, "math:list")
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from transforms.answers import maths
from transforms.answers.extract import WORD, plain, unwrapped
from transforms.answers.numbers import Number, lone_number, same_unit, stated_number
from transforms.core.records import Outcome
from transforms.judging.judgement import Judgement, decided

_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{\w+\*?\}")
_RELATION = re.compile(r"[=<>≤≥≠]|\\(?:le|ge|lt|gt|ne)q?\b")
_ASSIGNED = re.compile(
    r"\s*(?:\\?[A-Za-z]+(?:_\{?\w+\}?)?(?:\([A-Za-z](?:,\s*[A-Za-z])*\))?|\((?P<names>[A-Za-z](?:,\s*[A-Za-z])+)\))\s*=\s*(?P<value>[^=<>]+)"
)
_MEMBER = re.compile(r"^\s*\$?\s*[A-Za-z]\s*\\in\b\s*")
_VARIABLE = re.compile(r"^\s*\$?\s*([A-Za-z])\s*=\s*")


def judge_math(answer: str, reference: str) -> Judgement:
    """The verdict on an answer; undecided wherever it can be read in two ways."""
    gold, found = (_MEMBER.sub("", maths.latex(text)) for text in (reference, answer))
    if doubt := maths.unlike(found, gold):
        return Judgement(Outcome.UNDECIDED, "math:unlike", doubt)
    ours, theirs = _VARIABLE.match(gold), _VARIABLE.match(found)
    if "=" not in gold and (assigned := _ASSIGNED.fullmatch(unwrapped(found))):
        names = re.findall(r"[A-Za-z]", assigned["names"] or "")
        found = assigned["value"] if names == sorted(names) else found  # "(y,x)=(1,2)" is no (1,2)
    if plain(found) == plain(gold) and not (ours and theirs and ours[1] != theirs[1]):
        return Judgement(Outcome.CORRECT, "math:equal_text")
    gold_number, found_number = lone_number(gold), lone_number(found)
    both = gold_number is not None and found_number is not None
    doubt = ("" if both else maths.grouping(found, gold)) or maths.doubtful(found, gold)
    if not doubt and gold_number and not found_number:
        doubt = maths.points(found)
    if doubt:
        return Judgement(Outcome.UNDECIDED, "math", doubt)
    lists = maths.items(gold), maths.items(found)
    if len(lists[0].parts) > 1 or len(lists[1].parts) > 1:
        return _lists(*lists, reference)
    if ours and theirs and ours[1] != theirs[1]:
        return Judgement(Outcome.INCORRECT, "math", f"{theirs[1]} = … where {ours[1]} = … is asked")
    if gold_number and (judgement := judge_number(gold_number, found)):
        return judgement
    if (gold_word := _word(gold)) and (word := _word(found)):
        short, long = sorted((gold_word, word), key=len)
        if short != long and long.startswith(short):
            return Judgement(Outcome.UNDECIDED, "math:words", f"{word!r} where {gold_word!r} is asked")
        return decided(short == long, "math:words")
    if gold_number and gold_number.words and re.search(r"\d\s*[A-Za-z]$", plain(found)):
        return Judgement(Outcome.UNDECIDED, "math", f"a letter behind the number where {gold_number.words!r} is asked")
    if gold_number and (doubt := maths.no_number(found)):
        return Judgement(Outcome.UNDECIDED, "math", doubt)
    if len(WORD.findall(_ENVIRONMENT.sub("", plain(found)))) >= 3:
        return Judgement(Outcome.UNDECIDED, "math", "words where maths is asked")
    if _RELATION.search(plain(found)) and not _RELATION.search(plain(gold)):
        return Judgement(Outcome.UNDECIDED, "math", "the answer is a relation, the reference is none")
    return _by_math_verify(gold, found)


def _by_math_verify(gold: str, found: str) -> Judgement:
    (gold, unit), (found, other) = maths.without_unit(gold), maths.without_unit(found)
    if unit and other and not same_unit(unit, other):
        return Judgement(Outcome.UNDECIDED, "math", f"{other!r} where {unit!r} is asked")
    wanted, given = parsed(gold), parsed(found)
    if not wanted or not given:
        which = "answer" if wanted else "reference"
        return Judgement(Outcome.UNDECIDED, "math", f"the {which} is not an expression")
    import math_verify

    equal = bool(math_verify.verify(wanted, given, timeout_seconds=None))
    ours, theirs = maths.letters(gold), maths.letters(found)
    if equal and not (ours <= theirs or theirs <= ours):  # it drops some letters as units: "5t" and "5h" are 5 to it
        return Judgement(Outcome.UNDECIDED, "math", "other letters than asked for")
    return decided(equal, "math:math_verify")


def _lists(gold: maths.Items, found: maths.Items, reference: str) -> Judgement:
    """Several values: as many, and each equal to one of the others; in order in brackets, by name with names."""
    if {gold.kind, found.kind} <= {"tuple", "interval"}:
        return _by_math_verify(reference, found.text)  # points, intervals
    if gold.kind != found.kind and ("bare" not in (gold.kind, found.kind) or "named" in (gold.kind, found.kind)):
        return Judgement(Outcome.UNDECIDED, "math:list", f"a {found.kind} where a {gold.kind} is asked")
    if len(gold.parts) != len(found.parts):
        return _one_of_several(gold, found)
    ordered = bool({"tuple", "interval", "named"} & {gold.kind, found.kind})
    left = list(found.parts)
    for wanted in gold.parts:
        judgements = [judge_math(part, wanted) for part in (left[:1] if ordered else left)]
        place = next((n for n, one in enumerate(judgements) if one.outcome == Outcome.CORRECT), None)
        if place is None:
            undecided = [one for one in judgements if one.outcome == Outcome.UNDECIDED]
            return undecided[0] if undecided else decided(False, "math:list")
        left.pop(place)
    return decided(True, "math:list")


def _one_of_several(gold: maths.Items, found: maths.Items) -> Judgement:
    """Lists of different lengths. One value beside several is wrong, unless it is one of them, or they are all the same."""
    one, several = sorted((gold, found), key=lambda side: len(side.parts))
    if len(one.parts) > 1:
        return decided(False, "math:list")
    if _RELATION.search(one.text) or WORD.search(plain(one.text)):
        return Judgement(Outcome.UNDECIDED, "math:list", "several values and one that may stand for them")
    if several.kind in ("interval", "tuple") and not re.search(r"\d", one.text):
        return Judgement(Outcome.UNDECIDED, "math:list", "several values and a name that may stand for them")
    if several.kind != "bare":
        return decided(False, "math:list")
    outcomes = {judge_math(part, one.text).outcome for part in several.parts}
    if outcomes == {Outcome.INCORRECT}:
        return decided(False, "math:list")
    if outcomes == {Outcome.CORRECT} and one is gold and len(set(several.parts)) == len(several.parts):
        return decided(True, "math:list")  # one value, written in two ways
    return Judgement(Outcome.UNDECIDED, "math:list", "several values and one")


def _word(text: str) -> str:
    """The text, folded, if it is words alone, such as "\\text{east}" or "E"; else ""."""
    text = plain(text)
    return text.casefold() if re.fullmatch(r"[A-Za-z]{2,}(?:[ -][A-Za-z]+)*|[A-Z]", text) else ""


def judge_number(gold: Number, answer: str) -> Judgement | None:
    """The verdict where the reference is a number; None if the answer states none, or its unit needs thought."""
    found, rule = lone_number(answer), "number"
    if found is None:
        found, rule = stated_number(answer), "number:sentence"
    if found is None:
        return None
    if gold.words and found.words and "%" not in gold.words + found.words and not same_unit(gold.words, found.words):
        return Judgement(Outcome.UNDECIDED, rule, f"{found.words!r} where {gold.words!r} is asked")
    if ("%" in gold.words) != ("%" in found.words):  # 50% is 0.5, and also what "50" means where percent are asked for
        if gold.value == found.value and gold.value <= 1 and "%" in found.words:
            return Judgement(Outcome.UNDECIDED, f"{rule}:percent", "percent of a share, or the share")
        return decided(
            gold.value in (found.value, _as_share(found)) or _as_share(gold) == found.value, f"{rule}:percent"
        )
    return decided(found.value == gold.value, rule)


def _as_share(number: Number) -> Fraction:
    return number.value / 100 if "%" in number.words else number.value


def parsed(text: str) -> list[Any]:
    """What math-verify makes of a text; nothing where it finds no maths."""
    import math_verify

    found = math_verify.parse(f"${plain(text)}$", parsing_timeout=None)
    return [] if all(isinstance(value, str) for value in found) else found  # text alone: nothing was parsed
