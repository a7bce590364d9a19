"""Deletes the steps with the lowest entropy (step entropy, arXiv 2508.03346).

H(s) = Σ over the tokens of s of the entropy of the scorer's distribution, in nats, from full distributions where
`TraceScores.entropy` is exact, else their lower bound. The paper deletes 80 % of the steps, lowest first; `steps` is
that share. With `steps: null` the steps go until a budget of tokens holds, to compare with other methods. The paper may
leave "[SKIP]" in their place; we do not: what stays is the original's text.
"""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from transforms.core.config import refuse_unread
from transforms.core.records import Decision
from transforms.pruning.budget import Budget, decided, lowest_first, within_budget
from transforms.pruning.given import PruneInput
from transforms.pruning.method import Method
from transforms.pruning.protection import protected


class Config(Budget):
    """`steps`: the share of the steps to delete; null: until the budget of tokens holds."""

    steps: float | None = Field(0.8, gt=0, lt=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> Config:
        if self.steps is not None:
            because = f"steps = {self.steps} says how many go; with steps: null it is"
            refuse_unread(self, "step_entropy", ["ratio", "tokens"], because)
        return self

    @property
    def has_budget(self) -> bool:
        """Not where it is the share of steps that counts."""
        return self.steps is None


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """DELETE the lowest entropies, in order."""
    order = lowest_first([score.sum_entropy_nats for score in given.step_scores()])
    if config.steps is None:
        return within_budget(given, order, config.of(given.num_tokens), "low entropy")
    spared = protected(given.trace)
    gone = {deletion.step for deletion in order[: math.floor(config.steps * len(order))]} - set(spared)
    return decided([score for _, score in sorted(order)], gone, spared, "low entropy", "among the highest entropies")


METHOD = Method("step_entropy", "1", Config, needs=frozenset({"scores", "entropies"}), prune=prune)
