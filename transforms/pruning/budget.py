"""What every pruning method gets, what stays whatever it says, and how decisions become text.

A method that ranks steps gives an order of deletion; `within_budget` deletes down that order until the budget holds.
Three kinds of steps are protected: the first, the last one that has the final answer, and code that the response quotes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from pydantic import Field

from transforms.answers.statements import fenced, has_answer, lines
from transforms.core.config import Config
from transforms.core.records import (
    Action,
    Annotations,
    Decision,
    Opinion,
    Rewrite,
    SegmentedTrace,
    StepScore,
    TraceScores,
)
from transforms.score import final_answer

QUOTED = "code that the response quotes"


class PruneInput(NamedTuple):
    """A trace in steps, with its scores and the teacher's opinions where the method asks for them."""

    trace: SegmentedTrace
    scores: TraceScores | None = None
    annotations: Annotations | None = None

    def step_scores(self) -> tuple[StepScore, ...]:
        """Of each step, for a method that needs scores."""
        assert self.scores is not None
        return self.scores.steps

    def opinions(self) -> tuple[Opinion, ...]:
        """On each step, for a method that needs them."""
        assert self.annotations is not None
        return self.annotations.opinions

    def rewrites(self) -> tuple[Rewrite, ...]:
        """The teacher's, for a method that needs its actions."""
        assert self.annotations is not None
        return self.annotations.rewrites

    @property
    def num_tokens(self) -> int:
        """Of the thinking, by its steps; for a method that needs scores."""
        return sum(score.num_tokens for score in self.step_scores())


class Budget(Config):
    """How many tokens of the thinking may stay: the share `ratio` of them, or `tokens` where that is given."""

    ratio: float = Field(0.5, gt=0, le=1)
    tokens: int | None = Field(None, ge=1)

    @property
    def has_budget(self) -> bool:
        """Whether the options set one."""
        return True

    def of(self, num_tokens: int) -> int:
        """The budget for a thinking of so many tokens."""
        return (
            math.floor(round(self.ratio * num_tokens, 6)) if self.tokens is None else self.tokens
        )  # 0.29 of 100 is 29


class Deletion(NamedTuple):
    """A step that may go, and the score that says so."""

    step: int
    score: float


def lowest_first(scores: Sequence[float]) -> list[Deletion]:
    """The steps by their scores, the lowest first; of equals the earlier one. What has no score goes last."""
    ranked = [Deletion(step, score) for step, score in enumerate(scores)]
    return sorted(ranked, key=lambda deletion: (math.isnan(deletion.score), deletion.score, deletion.step))


def within_budget(given: PruneInput, order: Sequence[Deletion], budget: int, reason: str) -> list[Decision]:
    """Deletes steps in the given order, but for the protected ones, until no more than `budget` tokens stay."""
    spared, scores = protected(given.trace), given.step_scores()
    left = given.num_tokens
    gone = set()
    for step, _ in order:
        if left <= budget:
            break
        if step not in spared:
            gone.add(step)
            left -= scores[step].num_tokens
    ranked = {deletion.step: deletion.score for deletion in order}
    return decided(
        [ranked.get(step, math.nan) for step in range(len(scores))], gone, spared, reason, "within the budget"
    )


def decided(
    scores: Sequence[float], gone: Collection[int], spared: Mapping[int, str], reason: str, kept: str
) -> list[Decision]:
    """DELETE for the steps in `gone`, for one reason, and KEEP for all others: the `spared` for their own, the rest as `kept`."""
    return [
        Decision(step, Action.DELETE, reason, score)
        if step in gone
        else Decision(step, Action.KEEP, spared.get(step, kept), score)
        for step, score in enumerate(scores)
    ]


def shortfall(given: PruneInput, decisions: Sequence[Decision], config: Config) -> str:
    """Why more tokens stay than the budget holds, or ""."""
    if not isinstance(config, Budget) or not config.has_budget:
        return ""
    kept = sum(given.step_scores()[one.step].num_tokens for one in decisions if one.action == Action.KEEP)
    budget = config.of(given.num_tokens)
    if kept <= budget:
        return ""
    reasons = dict.fromkeys(one.reason for one in decisions if one.action == Action.KEEP)
    spared = set(reasons) <= set(protected(given.trace).values())
    return f"{kept} tokens stay where {budget} may: {'those of protected steps' if spared else '; '.join(reasons)}"


def protected(trace: SegmentedTrace) -> dict[int, str]:
    """The steps that no ranking may delete, and why."""
    texts = trace.texts
    spared = dict.fromkeys(quoted_steps(trace), QUOTED)
    if (last := _last_with(final_answer(trace.response, trace.problem), texts)) is not None:
        spared[last] = "has the final answer"
    if texts:
        spared[0] = "the first step"
    return spared


def _last_with(answer: str, texts: Sequence[str]) -> int | None:
    """The last text that has the answer as a value of its own."""
    if not answer:
        return None
    return next((number for number in reversed(range(len(texts))) if has_answer(texts[number], answer)), None)


def quoted_steps(trace: SegmentedTrace) -> list[int]:
    """The steps with a fenced block of code whose lines stand in the response, one after another, however far indented."""
    places = [_lined(trace.response), *map(_lined, fenced(trace.response))]
    bodies = [[body for body in map(_lined, fenced(text)) if body.strip()] for text in trace.texts]
    return [step for step, found in enumerate(bodies) if any(body in place for body in found for place in places)]


def _lined(code: str) -> str:
    """Its lines, each between two ends of lines."""
    return "\n" + "\n".join(line.strip() for line in lines(code)) + "\n"
