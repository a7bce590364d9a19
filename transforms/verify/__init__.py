"""Judges whether a trace's final answer is right.

    Trace(response="So it is \\boxed{5}.", problem=Problem(answer="5", …))
        → Verdict(outcome="correct", extracted="5", rule="boxed/reasoning_gym")

Three verdicts: correct, incorrect, undecided. The comparison runs in a child process with a deadline.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from transforms.configuration import Config as BaseConfig
from transforms.types import Outcome, Problem, Trace, Verdict
from transforms.verify.extract import Extracted, final_answer
from transforms.verify.judge import KINDS, Judgement
from transforms.verify.workers import judge_within

__all__ = [
    "KINDS",
    "Config",
    "Extracted",
    "Judgement",
    "final_answer",
    "is_correct",
    "judge_response",
    "judge_within",
    "verify",
]


class Config(BaseConfig):
    """`deadline_seconds` is how long one comparison may take before it is undecided."""

    deadline_seconds: float = Field(10.0, gt=0)


def verify(trace: Trace, config: Config) -> Iterator[Verdict]:
    """The verdict on one trace."""
    extracted, judgement = judge_response(trace.response, trace.problem, config.deadline_seconds)
    yield Verdict(
        id=trace.id,
        problem_id=trace.problem.id,
        family=trace.problem.family,
        outcome=judgement.outcome,
        extracted=extracted,
        rule=judgement.rule,
        reason=judgement.reason,
    )


def judge_response(response: str, problem: Problem, deadline_seconds: float) -> tuple[str, Judgement]:
    """The final answer that `response` states ("" if none), and its judgement."""
    found = final_answer(response)
    if found is None:
        return "", Judgement(Outcome.UNDECIDED, "extract", "the response states no final answer")
    judgement = judge_within(found.answer, problem, deadline_seconds)
    return found.answer, judgement._replace(rule=f"{found.rule}/{judgement.rule}")


def is_correct(answer: str, problem: Problem, deadline_seconds: float) -> bool:
    """Whether `answer` alone, without a sentence around it, is judged correct."""
    return judge_within(answer, problem, deadline_seconds).outcome == Outcome.CORRECT
