"""Compares an answer with a problem's reference. Plain functions that run inside a worker process.

Each kind gives a `Judgement`; what a kind cannot compare is undecided, never incorrect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from transforms.types import Outcome, Problem
from transforms.verify.extract import plain

# The scorers of these reasoning-gym datasets evaluate the model's answer as code (eval, exec or sympy's
# parse_expr, which is eval). Text from a model is never executed here, so they are refused at ingest.
EVALUATES_ANSWERS = frozenset(
    {
        "binary_matrix",
        "codeio",
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


class Judgement(NamedTuple):
    """A verdict, the rule that gave it, and the reason where there is something to say."""

    outcome: Outcome
    rule: str
    reason: str = ""


def judge(answer: str, problem: Problem) -> Judgement:
    """Compares `answer` with the reference of `problem`."""
    return KINDS[problem.answer_kind](answer, problem)


def _reasoning_gym(answer: str, problem: Problem) -> Judgement:
    entry = json.loads(problem.entry)
    scores = [float(_scorer(problem.family)(variant, entry)) for variant in dict.fromkeys((answer, plain(answer)))]
    return _decided(max(scores) >= 1.0, "reasoning_gym", f"score {max(scores):.2f}")


def _math(answer: str, problem: Problem) -> Judgement:
    if plain(answer) == plain(problem.answer):
        return Judgement(Outcome.CORRECT, "math:equal_text")
    gold, found = _parsed(problem.answer), _parsed(answer)
    if not gold:
        return Judgement(Outcome.UNDECIDED, "math", "the reference is not an expression")
    if not found:
        return Judgement(Outcome.UNDECIDED, "math", "the answer is not an expression")
    import math_verify

    return _decided(bool(math_verify.verify(gold, found, timeout_seconds=None)), "math:math_verify")


def _choice(answer: str, problem: Problem) -> Judgement:
    found = re.fullmatch(r"\W*([A-Ja-j])\b.*", plain(answer), re.DOTALL)
    if found is None:
        return Judgement(Outcome.UNDECIDED, "choice", "no option letter")
    return _decided(found[1].upper() == plain(problem.answer).upper().strip("(). "), "choice")


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
def _scorer(dataset: str) -> Callable[[str, dict[str, Any]], float]:
    import reasoning_gym

    if dataset in EVALUATES_ANSWERS:
        raise ValueError(f"the scorer of {dataset} evaluates answers as code")
    return reasoning_gym.get_score_answer_fn(dataset)


def _parsed(text: str) -> list[Any]:
    import math_verify

    found = math_verify.parse(f"${plain(text)}$", parsing_timeout=None)
    return [] if all(isinstance(value, str) for value in found) else found  # text alone: nothing was parsed


def _folded(text: str) -> str:
    return " ".join(plain(text).casefold().split())
