"""shards/FORMAT/ from kept/ and the versions of all methods."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.stages.base import Context, Plan, over, versions_of
from transforms import emit
from transforms.core.records import Example
from transforms.shards.mapping import Job


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One a format."""
    config, base = context.params.emit, context.params.base
    reads = ["steps", *versions_of(context.params.prune.methods), "kept"]
    for name in config.formats:
        job = Job(
            "emit",
            Example,
            emit.read_kept,
            partial(emit.emit, format_name=name, round=base.round, instruction=config.instruction),
            splits=emit.SPLITS,
            split=partial(emit.split_of, validation_share=config.validation_share, seed=base.seed),
        )
        yield over(context, "emit", job, reads, folder=f"shards/{name}")
