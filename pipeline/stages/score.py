"""scores/ from steps/ and the scorer; where no method needs them, nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.stages.base import Context, Plan, first, over
from transforms import score
from transforms.core.records import SegmentedTrace, TraceScores
from transforms.shards.mapping import Job


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One."""
    config, read = context.params.score, partial(first, SegmentedTrace)
    model = context.params.models[config.model].model
    if "scores" not in context.params.prune.needs:
        yield over(context, "score", Job("score", TraceScores, read, partial(score.unscored, model=model)), ["steps"])
        return
    job = Job("score", TraceScores, read, dialogue=partial(score.dialogue, config=config, model=model))
    yield over(context, "score", job, ["steps"], ask=config.model, requests_per_row=2)
