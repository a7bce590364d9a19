r"""Compares an answer with a problem's reference. Plain functions that run inside a worker process.

Each kind gives a `Judgement`; what a kind cannot compare is undecided, never incorrect.

    math           a number (alone, with a unit, or the only one of a sentence) is compared as a number, all else by
                   math-verify: fractions, intervals, sets, matrices, equations
    reasoning_gym  by the dataset's scorer; but a whole number as above, for scorers take "189 - 7" for 189
    choice         an option's letter, or its text, up to ten options
    text           equal up to case and spaces
    code           by its tests, in a sandbox

An answer is correct if it is judged so against the reference or one of the other accepted answers.
"""

from __future__ import annotations

import json
import logging
import re
import resource
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

from transforms.types import Outcome, Problem
from transforms.verify import maths
from transforms.verify.code import judge_code
from transforms.verify.extract import plain, unwrapped
from transforms.verify.judgement import Judgement, decided
from transforms.verify.numbers import Number, lone_number, same_unit, stated_number
from transforms.verify.options import option_letter
from transforms.verify.sandbox import Limits

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
DEFAULT_LIMITS = Limits()
WORKER_MEMORY = 4 << 30  # bytes of address space; sympy can ask for more than a machine has

_LITERAL = re.compile(r"[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+|/\d+)?", re.IGNORECASE)
_LATEX_FRACTION = re.compile(r"(?P<sign>[-−+]?)\\[dt]?frac\{(\d+)\}\{(\d+)\}")
_PROSE = re.compile(r"(?<!\\)\b[A-Za-z]{3,}\b")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{\w+\*?\}")
_RELATION = re.compile(r"[=<>≤≥≠]|\\(?:le|ge|lt|gt|ne)q?\b")
_ASSIGNED = re.compile(
    r"\s*(?:\\?[A-Za-z]+(?:_\{?\w+\}?)?(?:\([A-Za-z](?:,\s*[A-Za-z])*\))?|\([A-Za-z](?:,\s*[A-Za-z])+\))\s*=\s*(?P<value>[^=<>]+)"
)
_MEMBER = re.compile(r"^\s*\$?\s*[A-Za-z]\s*\\in\b\s*")
_VARIABLE = re.compile(r"^\s*\$?\s*([A-Za-z])\s*=\s*")


def judge(answer: str, problem: Problem, limits: Limits = DEFAULT_LIMITS) -> Judgement:
    """Compares `answer` with what is right for `problem`; `limits` are for answers that are code."""
    if problem.answer_kind == "code":
        return judge_code(answer, problem.tests, limits)
    if not problem.answer:
        return Judgement(Outcome.UNDECIDED, "no_reference", "the problem has no reference answer")
    judgements = []
    for reference in (problem.answer, *problem.accepted):
        judgements.append(KINDS[problem.answer_kind](answer, replace(problem, answer=reference)))
        if judgements[-1].outcome == Outcome.CORRECT:
            return judgements[-1]
    return next((one for one in judgements if one.outcome == Outcome.UNDECIDED), judgements[0])


def warm_up() -> None:
    """Imports what judging needs, so that no deadline counts it."""
    import reasoning_gym

    del reasoning_gym
    resource.setrlimit(resource.RLIMIT_AS, (WORKER_MEMORY, WORKER_MEMORY))
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it would warn that its own time-outs are off
    _parsed("1")


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
    return decided(score >= 1.0, "reasoning_gym", f"score {score:.2f}")


def _math(answer: str, problem: Problem) -> Judgement:
    gold, found = (_MEMBER.sub("", text) for text in (problem.answer, answer))
    ours, theirs = _VARIABLE.match(gold), _VARIABLE.match(found)
    if "=" not in gold and (assigned := _ASSIGNED.fullmatch(unwrapped(found))):
        found = assigned["value"]
    if plain(found) == plain(gold) and not (ours and theirs and ours[1] != theirs[1]):
        return Judgement(Outcome.CORRECT, "math:equal_text")
    if doubt := maths.doubtful(found, gold):
        return Judgement(Outcome.UNDECIDED, "math", doubt)
    gold_number = lone_number(gold)
    if gold_number and lone_number(found) is None and (doubt := maths.points(found)):
        return Judgement(Outcome.UNDECIDED, "math", doubt)
    lists = maths.items(gold), maths.items(found)
    if len(lists[0].parts) > 1 or len(lists[1].parts) > 1:
        return _lists(*lists, problem)
    if ours and theirs and ours[1] != theirs[1]:
        return Judgement(Outcome.INCORRECT, "math", f"{theirs[1]} = … where {ours[1]} = … is asked")
    if gold_number and (judgement := _numbers(gold_number, found)):
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
    if len(_PROSE.findall(_ENVIRONMENT.sub("", plain(found)))) >= 3:
        return Judgement(Outcome.UNDECIDED, "math", "words where maths is asked")
    if _RELATION.search(plain(found)) and not _RELATION.search(plain(gold)):
        return Judgement(Outcome.UNDECIDED, "math", "the answer is a relation, the reference is none")
    return _by_math_verify(gold, found)


def _by_math_verify(gold: str, found: str) -> Judgement:
    (gold, unit), (found, other) = maths.without_unit(gold), maths.without_unit(found)
    if unit and other and not same_unit(unit, other):
        return Judgement(Outcome.UNDECIDED, "math", f"{other!r} where {unit!r} is asked")
    parsed_gold, parsed = _parsed(gold), _parsed(found)
    if not parsed_gold:
        return Judgement(Outcome.UNDECIDED, "math", "the reference is not an expression")
    if not parsed:
        return Judgement(Outcome.UNDECIDED, "math", "the answer is not an expression")
    import math_verify

    return decided(bool(math_verify.verify(parsed_gold, parsed, timeout_seconds=None)), "math:math_verify")


def _lists(gold: maths.Items, found: maths.Items, problem: Problem) -> Judgement:
    """Several values: as many, and each equal to one of the others; in order in brackets, by name with names."""
    if {gold.kind, found.kind} <= {"tuple", "interval"}:
        return _by_math_verify(problem.answer, found.text)  # points, intervals
    if gold.kind != found.kind and ("bare" not in (gold.kind, found.kind) or "named" in (gold.kind, found.kind)):
        return Judgement(Outcome.UNDECIDED, "math:list", f"a {found.kind} where a {gold.kind} is asked")
    if len(gold.parts) != len(found.parts):
        return _one_of_several(gold, found, problem)
    ordered = bool({"tuple", "interval", "named"} & {gold.kind, found.kind})
    left = list(found.parts)
    for wanted in gold.parts:
        judgements = [_math(part, replace(problem, answer=wanted)) for part in (left[:1] if ordered else left)]
        place = next((n for n, one in enumerate(judgements) if one.outcome == Outcome.CORRECT), None)
        if place is None:
            undecided = [one for one in judgements if one.outcome == Outcome.UNDECIDED]
            return undecided[0] if undecided else decided(False, "math:list")
        left.pop(place)
    return decided(True, "math:list")


def _one_of_several(gold: maths.Items, found: maths.Items, problem: Problem) -> Judgement:
    """Lists of different lengths. One value beside several is wrong, unless it is one of them, or they are all the same."""
    one, several = sorted((gold, found), key=lambda side: len(side.parts))
    if len(one.parts) > 1:
        return decided(False, "math:list")
    if _RELATION.search(one.text) or _PROSE.search(plain(one.text)):
        return Judgement(Outcome.UNDECIDED, "math:list", "several values and one that may stand for them")
    if several.kind in ("interval", "tuple") and not re.search(r"\d", one.text):
        return Judgement(Outcome.UNDECIDED, "math:list", "several values and a name that may stand for them")
    if several.kind != "bare":
        return decided(False, "math:list")
    outcomes = {_math(part, replace(problem, answer=one.text)).outcome for part in several.parts}
    if outcomes == {Outcome.INCORRECT}:
        return decided(False, "math:list")
    if outcomes == {Outcome.CORRECT} and one is gold and len(set(several.parts)) == len(several.parts):
        return decided(True, "math:list")  # one value, written in two ways
    return Judgement(Outcome.UNDECIDED, "math:list", "several values and one")


def _word(text: str) -> str:
    """The text, folded, if it is words alone, such as "\\text{east}" or "E"; else ""."""
    text = plain(text)
    return text.casefold() if re.fullmatch(r"[A-Za-z]{2,}(?:[ -][A-Za-z]+)*|[A-Z]", text) else ""


def _numbers(gold: Number, answer: str) -> Judgement | None:
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


def _choice(answer: str, problem: Problem) -> Judgement:
    gold, found = option_letter(problem.answer, problem.options), option_letter(answer, problem.options)
    if not gold:
        return Judgement(Outcome.UNDECIDED, "choice", "the reference is not one of the options")
    if not found:
        return Judgement(Outcome.UNDECIDED, "choice", "not one option")
    return decided(found == gold, "choice")


def _text(answer: str, problem: Problem) -> Judgement:
    return decided(_words(answer) == _words(problem.answer), "text")


def _words(text: str) -> str:
    r"""The text in one case and one Unicode form, without quotes around it, \text{}, and a final full stop."""
    text = re.sub(
        r"\\(?:text\w{0,2}|mathrm|mbox)\{([^{}]*)\}", r"\1", unicodedata.normalize("NFKC", text).replace("~", " ")
    )
    return " ".join(unwrapped(unwrapped(text).rstrip(".")).casefold().split())


KINDS: dict[str, Callable[[str, Problem], Judgement]] = {
    "reasoning_gym": _reasoning_gym,
    "math": _math,
    "choice": _choice,
    "text": _text,
}


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
