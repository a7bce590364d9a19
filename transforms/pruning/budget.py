"""Deletes steps in an order that a method gives, until its budget of tokens holds."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from pydantic import Field

from transforms.core.records import (
    Action,
    Decision,
)
from transforms.pruning.given import PruneInput
from transforms.pruning.method import MethodConfig
from transforms.pruning.protection import protected


class Budget(MethodConfig):
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


def shortfall(given: PruneInput, decisions: Sequence[Decision], config: MethodConfig) -> str:
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
