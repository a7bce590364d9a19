"""Judges whether a trace's final answer is right.

    Trace(response="So it is \\boxed{5}.", problem=Problem(answer="5", …))
        → Verdict(outcome="correct", extracted="5", rule="boxed/reasoning_gym", reference="given")

Three verdicts: correct, incorrect, undecided. Comparisons run in child processes with a deadline, code in a sandbox.
A problem without a reference is undecided, or decided by the majority of its traces (`reference: vote`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from transforms.answers.extract import RETRACTED, Extracted, final_answer, stated_answer
from transforms.core.records import Outcome, Problem
from transforms.judging.judge import KINDS
from transforms.judging.judgement import Judgement
from transforms.judging.vote import Config as VoteConfig
from transforms.judging.workers import judge_all, judge_within
from transforms.sandbox.bubblewrap import Limits

__all__ = [
    "KINDS",
    "Config",
    "Extracted",
    "Judgement",
    "checkable",
    "final_answer",
    "has_reference",
    "is_correct",
    "judge_response",
    "judge_responses",
    "judge_within",
    "stated_answer",
]

TAKEN_BACK = Judgement(
    Outcome.UNDECIDED, RETRACTED, "the response takes its answer back, gives another, or makes another of it"
)
NONE_STATED = Judgement(Outcome.UNDECIDED, "extract", "the response states no final answer")


class Config(Limits):
    """`deadline_seconds` is how long one comparison may take before it is undecided; the limits are for code.

    `reference: vote` decides problems without a reference by the majority of their traces; `given` leaves them undecided.
    """

    deadline_seconds: float = Field(10.0, gt=0)
    reference: Literal["given", "vote"] = "given"
    vote: VoteConfig = VoteConfig()


def has_reference(problem: Problem) -> bool:
    """Whether there is anything to judge an answer against."""
    return bool(problem.answer or problem.tests.asserts or problem.tests.inputs)


def checkable(problem: Problem, response: str) -> Problem:
    """The problem with something to compare with: where it has no reference, the answer that the response states.

    Whether that answer is right was voted on before; here it only has to be stated still.
    """
    own = None if has_reference(problem) else stated_answer(response, problem.answer_kind)
    return problem if own is None else replace(problem, answer=own.answer)


def judge_responses(asked: Sequence[tuple[str, Problem]], config: Config) -> Iterator[tuple[str, Judgement]]:
    """For each (response, problem), in order: the final answer that it states ("" if none), and its judgement.

    The rule begins with how the answer was found: "boxed/number".
    """
    found = [stated_answer(response, problem.answer_kind) for response, problem in asked]
    standing = ((one.answer, of) for one, (_, of) in zip(found, asked, strict=True) if one and one.stands)
    judgements = judge_all(standing, config.deadline_seconds, config)
    for one in found:
        if one is None:
            yield "", NONE_STATED
        elif not one.stands:
            yield one.answer, TAKEN_BACK
        else:
            judgement = next(judgements)
            yield one.answer, judgement._replace(rule=f"{one.rule}/{judgement.rule}")


def judge_response(response: str, problem: Problem, config: Config) -> tuple[str, Judgement]:
    """`judge_responses` for one."""
    return next(judge_responses([(response, problem)], config))


def is_correct(answer: str, problem: Problem, deadline_seconds: float) -> bool:
    """Whether `answer` alone, without a sentence around it, is judged correct."""
    return judge_within(answer, problem, deadline_seconds).outcome == Outcome.CORRECT
