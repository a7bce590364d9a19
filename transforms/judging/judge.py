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

from transforms.answers.extract import folded, plain, unwrapped
from transforms.answers.maths import latex, unlike
from transforms.answers.numbers import lone_number
from transforms.answers.options import option_letter
from transforms.core.records import Outcome, Problem
from transforms.judging.compare import judge_math, judge_number, parsed
from transforms.judging.gym_scorers import scorer
from transforms.judging.judgement import Judgement, decided
from transforms.judging.programs import judge_code
from transforms.sandbox.bubblewrap import Limits

DEFAULT_LIMITS = Limits()
WORKER_MEMORY = 4 << 30  # bytes of address space; sympy can ask for more than a machine has

_LITERAL = re.compile(r"[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+|/\d+)?", re.IGNORECASE)
_LATEX_FRACTION = re.compile(r"(?P<sign>[-−+]?)\\[dt]?frac\{(\d+)\}\{(\d+)\}")


def judge(answer: str, problem: Problem, limits: Limits = DEFAULT_LIMITS) -> Judgement:
    """Compares `answer` with what is right for `problem`; `limits` are for answers that are code."""
    if problem.answer_kind == "code":
        return judge_code(answer, problem.tests, limits)
    if not problem.answer:
        return Judgement(
            Outcome.UNDECIDED,
            "no_reference",
            "the problem has no reference; verify.reference: vote takes the majority's answer",
        )
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
    parsed("1")


def _math(answer: str, problem: Problem) -> Judgement:
    return judge_math(answer, problem.answer)


def _reasoning_gym(answer: str, problem: Problem) -> Judgement:
    gold = lone_number(problem.answer)
    if gold and gold.value.denominator == 1:
        if doubt := unlike(latex(answer), problem.answer):
            return Judgement(Outcome.UNDECIDED, "reasoning_gym", doubt)
        return judge_number(gold, latex(answer)) or Judgement(
            Outcome.UNDECIDED, "reasoning_gym", "the answer is not one number"
        )
    fraction = _LATEX_FRACTION.fullmatch(plain(answer))
    variants = [answer, plain(answer), *([f"{fraction['sign']}{fraction[2]}/{fraction[3]}"] if fraction else [])]
    if gold and not any(_LITERAL.fullmatch(variant) for variant in variants):
        return Judgement(Outcome.UNDECIDED, "reasoning_gym", "the answer is not one number")
    entry = json.loads(problem.entry)
    score = max(float(scorer(problem.family)(variant, entry)) for variant in dict.fromkeys(variants))
    return decided(score >= 1.0, "reasoning_gym", f"score {score:.2f}")


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
    r"""The text in one case and one Unicode form (10² is no 102), without quotes around it, \text{}, and a final full stop."""
    text = re.sub(
        r"\\(?:text\w{0,2}|mathrm|mbox)\{([^{}]*)\}",
        r"\1",
        unicodedata.normalize("NFKC", latex(text)).replace("~", " "),
    )
    return folded(unwrapped(text))


KINDS: dict[str, Callable[[str, Problem], Judgement]] = {
    "reasoning_gym": _reasoning_gym,
    "math": _math,
    "choice": _choice,
    "text": _text,
}
