r"""Keeps the thinking up to the step that first reaches the right answer; the rest is repeated checking.

The idea of LC-R1 (arXiv 2506.14755), Self-Braking Tuning (2505.14604) and TrimR (2505.17155). A step
reaches the answer when something it concludes is judged correct by the verifier: a boxed expression, the
right-hand side of an "=", or the number at the end of a clause that says so ("so the total is 17"). A
number that merely stands there, is weighed ("if it were 17"), or is given by the question does not count. With `solutions: 2` the second
such step that comes after a step without the answer ends it, if it derives the answer and does not only state it again. A trace that never reaches the answer is
kept whole, and so is one whose answer is code. Without a reference it is the trace's own answer that is reached.
Of what comes later only code that the response quotes stays. The step that states the answer again goes, too, unless
`keep_conclusion` says so: the response states it.
"""

from __future__ import annotations

import re

import regex
from pydantic import Field

from transforms.answers.extract import final_answer
from transforms.answers.statements import has_answer, masked, sentences
from transforms.core.records import Action, Decision, Problem
from transforms.judging import checkable, is_correct
from transforms.pruning.given import PruneInput
from transforms.pruning.method import Method, MethodConfig
from transforms.pruning.protection import QUOTED, quoted_steps

_MAX_CANDIDATES = 20  # conclusions judged in one step; the last ones, where conclusions stand
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")
_VALUE = (  # "= 3 + 4", "= 5x" and "= 5 1/2" conclude nothing yet
    r"(?>(?P<value>-?\d[\d,]*(?:\.\d+)?(?:/\d+)?))"
    r"(?![A-Za-z(^!:%]|\s*(?:[-+/×÷^]|\*(?!\*))|\s+(?:\d|mod\b)|\s*\\(?:times|div|cdot|sqrt|[dt]?frac|pi|%))"
)
_WRAPPED = r"(?:\\text\{|[$€£*({\s\\])*+"  # possessive, as the text is a model's: no backtracking; re's are wrong before Python 3.11.5
_EQUALS = regex.compile(rf"(?:=|≈|\bequals\b){_WRAPPED}{_VALUE}")
_VARIABLE_IS = regex.compile(rf"(?<![A-Za-z0-9*+/-])(?P<name>[A-Za-z])\s*=\s*{_VALUE}")
_SAYS = regex.compile(
    rf"(?:\bis\b|\bare\b|\bbe\b|\b(?:that|it)['’]s\b|\bgets?\b|\bgives\b|\bhave\b|\bhas\b|:){_WRAPPED}{_VALUE}"
)
_CUE = re.compile(
    r"\b(?:so|thus|therefore|hence|answer|result|total|sum|product|difference|quotient|value|solution|gives|left|remain\w*)\b",
    re.IGNORECASE,
)
_WEIGHS = re.compile(
    r"\b(?:if|maybe|perhaps|suppose|assum\w+|try|guess|might|could|option|would|not|wrong|cannot|contradict\w*|fails?"
    r"|(?:is|are|was|do|does|did|ca|could)n['’]t|let (?!me\b|us\b))\b|\?",
    re.IGNORECASE,
)


class Config(MethodConfig):
    """`solutions`: how many derivations to keep. `keep_conclusion`: keep the last step too, if it states the answer (the response does already)."""

    solutions: int = Field(1, ge=1)
    keep_conclusion: bool = False
    deadline_seconds: float = Field(5.0, gt=0)


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """KEEP up to the step that ends the wanted number of solutions, and the conclusion; DELETE the rest."""
    trace = given.trace
    texts = trace.texts
    problem = checkable(trace.problem, trace.response)
    end = _last_needed(texts, problem, config)
    last = len(texts) - 1
    quoted = quoted_steps(trace)
    decisions = []
    for number, text in enumerate(texts):
        if end is None:
            decisions.append(Decision(number, Action.KEEP, "no step says the answer"))
        elif number <= end:
            decisions.append(
                Decision(number, Action.KEEP, "reaches the answer" if number == end else "before the answer")
            )
        elif number in quoted:
            decisions.append(Decision(number, Action.KEEP, QUOTED))
        elif number == last and config.keep_conclusion and reaches(text, problem, config.deadline_seconds):
            decisions.append(Decision(number, Action.KEEP, "conclusion"))
        else:
            decisions.append(Decision(number, Action.DELETE, "after the answer"))
    return decisions


def _last_needed(texts: list[str], problem: Problem, config: Config) -> int | None:
    """The step that ends solution number `solutions`, or the last solution there is; None without any."""
    if problem.answer_kind == "code":
        return None
    solutions, end, apart = 0, None, True
    for number, text in enumerate(texts):
        if not reaches(text, problem, config.deadline_seconds):
            apart = True
        elif apart and (not solutions or _derives(text, problem)):
            solutions, end, apart = solutions + 1, number, False
            if solutions == config.solutions:
                break
    return end


def _derives(text: str, problem: Problem) -> bool:
    """Whether some sentence with the answer does more than state it."""
    about = (problem.answer, problem.answer_kind, problem.question)
    return any(has_answer(one, problem.answer) and masked(one, *about).strip() for one in sentences(text))


def reaches(text: str, problem: Problem, deadline_seconds: float) -> bool:
    """Whether something that `text` concludes is the right answer."""
    return any(is_correct(candidate, problem, deadline_seconds) for candidate in conclusions(text, problem.question))


def conclusions(text: str, question: str) -> list[str]:
    """What the step concludes, last first, without repeats: "12 + 5 = 17, so there are 17" → ["17"].

    Numbers that the question gives count only when they are boxed, or as the value of a variable: "r = 45".
    """
    given = {number.replace(",", "") for number in _NUMBER.findall(question)}
    boxed = final_answer(text)
    found = []
    for sentence in sentences(text):
        if not _WEIGHS.search(sentence):
            patterns = (_EQUALS, _SAYS) if _CUE.search(sentence) else (_EQUALS,)
            found += [match["value"] for pattern in patterns for match in pattern.finditer(sentence)]
    numbers = [value.replace(",", "") for value in reversed(found)]
    candidates = [boxed.answer] if boxed and boxed.rule == "boxed" else []
    equations = {f"{match['name']}={match['value']}" for match in _VARIABLE_IS.finditer(text)}
    solved = {equation.partition("=")[2] for equation in equations if equation not in question.replace(" ", "")}
    candidates += [value for value in numbers if value not in given or value in solved]
    return list(dict.fromkeys(candidates))[:_MAX_CANDIDATES]


METHOD = Method("first_correct", "3", Config, prune=prune)
