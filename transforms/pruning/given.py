"""What a pruning method is given."""

from __future__ import annotations

from typing import NamedTuple

from transforms.core.records import (
    Annotations,
    Opinion,
    Rewrite,
    SegmentedTrace,
    StepScore,
    TraceScores,
)


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
