"""rechecked/METHOD/ from pruned/METHOD/ and the scorer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.stages.base import Context, Plan, first, over
from transforms import recheck
from transforms.core.records import PrunedTrace, RecheckedTrace
from transforms.inference.dialogue import conversation
from transforms.shards.mapping import Job


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One."""
    config = context.params.recheck
    talk = partial(recheck.dialogue, config=config, judging=context.params.verify)
    job = Job("recheck", RecheckedTrace, partial(first, PrunedTrace), **conversation("recheck", talk))
    requests = recheck.NUM_REQUESTS
    yield over(context, "recheck", job, [f"pruned/{method}"], method, ask=config.model, requests_per_row=requests)
