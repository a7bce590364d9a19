"""rechecked/METHOD/ from steps/, pruned/METHOD/ and the scorer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.stages.base import Context, Plan, over
from transforms import recheck
from transforms.core.records import Rechecked
from transforms.shards.joins import proposed
from transforms.shards.mapping import Job, Shard
from transforms.steps.versions import Version


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One."""
    config = context.params.recheck
    talk = partial(recheck.dialogue, config=config, judging=context.params.verify)
    job = Job("recheck", Rechecked, _read, dialogue=talk)
    reads = ["steps", f"pruned/{method}"]
    yield over(context, "recheck", job, reads, method, ask=config.model, requests_per_row=recheck.NUM_REQUESTS)


def _read(shard: Shard) -> Iterator[Version]:
    return proposed(*shard.source)
