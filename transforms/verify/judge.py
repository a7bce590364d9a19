r"""Compares an answer with a problem's reference. Plain functions that run inside a worker process.

Each kind gives a `Judgement`; what a kind cannot compare is undecided, never incorrect.

    math           a lone number (with or without words behind it) is compared as a number, all else by math-verify
    reasoning_gym  by the dataset's scorer; but a whole number as above, for scorers take "189 - 7" for 189
    choice         one option letter
    text           equal up to case and spaces
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from transforms.types import Outcome, Problem
from transforms.verify.extract import plain, unwrapped

# The scorers of these reasoning-gym datasets evaluate the model's answer as code (eval, exec or sympy's
# parse_expr, which is eval). Text from a model is never executed here, so they are refused at ingest.
EVALUATES_ANSWERS = frozenset(
    {
        "binary_matrix",
        "codeio",
        "composite",  # may hold any of the others
        "countdown",
        "intermediate_integration",
        "n_queens",
        "number_sorting",
        "polynomial_multiplication",
        "puzzle24",
        "simple_integration",
        "spiral_matrix",
        "string_insertion",
    }
)
PROBES = ("I do not know", "zzz")  # no scorer may take these for right

_NUMBER = re.compile(
    r"(?P<sign>[-−+]?)\s*(?P<whole>\d{1,3}(?:(?:,|\{,\})\d{3})+|\d+)?(?P<decimals>\.\d+)?(?:/(?P<below>\d+))?\.?"
    r"(?P<words>(?:[\s~]*%|[\s~(]+[A-Za-z][A-Za-z\s.²³()-]*(?:\^\{?[23]\}?)?)?)"
)
# Words behind a number that make it another one, or take it back. A lone letter may be a factor.
_CHANGES = re.compile(
    r"\b(?:hundred|thousand|[mb]illion|trillion|dozen|hal(?:f|ves)|thirds?|quarters?|percent|squared|cubed|pi|plus|minus|"
    r"times|over|less|more|than|or|and|not|no|is|are|was|to|cannot|wrong|so|cents?|mod|[A-Za-z])\b",
    re.IGNORECASE,
)
_LITERAL = re.compile(r"[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+|/\d+)?", re.IGNORECASE)
_LATEX_FRACTION = re.compile(r"(?P<sign>[-−+]?)\\[dt]?frac\{(\d+)\}\{(\d+)\}")
_SEVERAL = re.compile(r"\d\s+\d|\de[-+]?\d")
_PROSE = re.compile(r"(?<!\\)\b[A-Za-z]{3,}\b")
_RELATION = re.compile(r"[=<>≤≥≠]|\\(?:le|ge|lt|gt|ne)q?\b")
_VARIABLE = re.compile(r"^\s*\$?\s*([A-Za-z])\s*=\s*")
_OPTION = re.compile(r"[(\[]?(?P<letter>[A-Ja-j])[)\].:]*(?:(?<=[)\].:])\s+\S.*)?", re.DOTALL)


class Judgement(NamedTuple):
    """A verdict, the rule that gave it, and the reason where there is something to say."""

    outcome: Outcome
    rule: str
    reason: str = ""


class Number(NamedTuple):
    """A lone number, exactly, and the words behind it."""

    value: Fraction
    words: str


def judge(answer: str, problem: Problem) -> Judgement:
    """Compares `answer` with the reference of `problem`."""
    return KINDS[problem.answer_kind](answer, problem)


def warm_up() -> None:
    """Imports what judging needs, so that no deadline counts it."""
    import reasoning_gym

    del reasoning_gym
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it would warn that its own time-outs are off
    _parsed("1")


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
    return Number(_signed(found["sign"], Fraction(digits) / int(found["below"] or 1)), " ".join(found["words"].split()))


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign in ("-", "−") else value


def _reasoning_gym(answer: str, problem: Problem) -> Judgement:
    gold = lone_number(problem.answer)
    if gold and gold.value.denominator == 1:
        return _numbers(gold, answer) or Judgement(Outcome.UNDECIDED, "reasoning_gym", "the answer is not one number")
    fraction = _LATEX_FRACTION.fullmatch(plain(answer))
    variants = [answer, plain(answer), *([f"{fraction['sign']}{fraction[2]}/{fraction[3]}"] if fraction else [])]
    if gold and not any(_LITERAL.fullmatch(variant) for variant in variants):
        return Judgement(Outcome.UNDECIDED, "reasoning_gym", "the answer is not one number")
    entry = json.loads(problem.entry)
    score = max(float(scorer(problem.family)(variant, entry)) for variant in dict.fromkeys(variants))
    return _decided(score >= 1.0, "reasoning_gym", f"score {score:.2f}")


def _math(answer: str, problem: Problem) -> Judgement:
    ours, theirs = _VARIABLE.match(problem.answer), _VARIABLE.match(answer)
    if ours and theirs and ours[1] != theirs[1]:
        return Judgement(Outcome.INCORRECT, "math", f"{theirs[1]} = … where {ours[1]} = … is asked")
    if plain(answer) == plain(problem.answer):
        return Judgement(Outcome.CORRECT, "math:equal_text")
    gold_number = lone_number(problem.answer)
    if gold_number and (judgement := _numbers(gold_number, answer)):
        return judgement
    words = _PROSE.findall(plain(answer))
    if len(words) >= 3 or (gold_number and (words or _SEVERAL.search(plain(answer)))):
        return Judgement(Outcome.UNDECIDED, "math", "words or several numbers where one is asked")
    if _RELATION.search(plain(answer)) and not _RELATION.search(plain(problem.answer)):
        return Judgement(Outcome.UNDECIDED, "math", "the answer is a relation, the reference is none")
    gold, found = _parsed(problem.answer), _parsed(answer)
    if not gold:
        return Judgement(Outcome.UNDECIDED, "math", "the reference is not an expression")
    if not found:
        return Judgement(Outcome.UNDECIDED, "math", "the answer is not an expression")
    import math_verify

    return _decided(bool(math_verify.verify(gold, found, timeout_seconds=None)), "math:math_verify")


def _numbers(gold: Number, answer: str) -> Judgement | None:
    """The verdict where the reference is a lone number; None if the answer is not, or its unit needs thought."""
    found = lone_number(answer)
    if found is None or ("%" in (gold.words + found.words) and gold.value != found.value):
        return None
    if found.value == gold.value and gold.words and found.words and gold.words.casefold() != found.words.casefold():
        return Judgement(Outcome.UNDECIDED, "number", f"{found.words!r} where {gold.words!r} is asked")
    return _decided(found.value == gold.value, "number")


def _choice(answer: str, problem: Problem) -> Judgement:
    found, gold = _OPTION.fullmatch(plain(answer)), _OPTION.fullmatch(plain(problem.answer))
    if found is None or gold is None:
        return Judgement(Outcome.UNDECIDED, "choice", "not one option letter")
    if re.search(r"\b[A-J]\b", plain(answer)[found.end("letter") :]):
        return Judgement(Outcome.UNDECIDED, "choice", "more than one option letter")
    return _decided(found["letter"].upper() == gold["letter"].upper(), "choice")


def _text(answer: str, problem: Problem) -> Judgement:
    return _decided(_folded(answer) == _folded(problem.answer), "text")


KINDS: dict[str, Callable[[str, Problem], Judgement]] = {
    "reasoning_gym": _reasoning_gym,
    "math": _math,
    "choice": _choice,
    "text": _text,
}


def _decided(correct: bool, rule: str, reason: str = "") -> Judgement:
    return Judgement(Outcome.CORRECT if correct else Outcome.INCORRECT, rule, reason)


@cache
def scorer(dataset: str) -> Callable[[str, dict[str, Any]], float]:
    """reasoning-gym's own scorer of a dataset.

    Raises:
        ValueError: it would run the answer as code.
    """
    import reasoning_gym

    if dataset in EVALUATES_ANSWERS:
        raise ValueError(f"the scorer of {dataset} evaluates answers as code")
    return reasoning_gym.get_score_answer_fn(dataset)


def _parsed(text: str) -> list[Any]:
    import math_verify

    found = math_verify.parse(f"${plain(text)}$", parsing_timeout=None)
    return [] if all(isinstance(value, str) for value in found) else found  # text alone: nothing was parsed


def _folded(text: str) -> str:
    return " ".join(unwrapped(text).casefold().split())
