"""steps/ from traces/; with the unit confidence, and from the scorer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.stages.base import Context, Plan, first, over
from transforms import segment
from transforms.core.records import SegmentedTrace, Trace
from transforms.shards.mapping import Job


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One."""
    config, read = context.params.segment, partial(first, Trace)
    if config.unit == "confidence":
        job = Job("segment", SegmentedTrace, read, dialogue=partial(segment.dialogue, config=config))
        yield over(context, "segment", job, ["traces"], ask=context.params.score.model)
    else:
        job = Job("segment", SegmentedTrace, read, partial(segment.segment, config=config))
        yield over(context, "segment", job, ["traces"])
