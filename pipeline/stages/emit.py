"""shards/FORMAT/ from kept/."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.stages.base import Context, Plan, first, over
from transforms import emit
from transforms.core.records import Example, KeptTrace
from transforms.shards.mapping import Job


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One a format."""
    config, base = context.params.emit, context.params.base
    for name in config.formats:
        job = Job(
            "emit",
            Example,
            partial(first, KeptTrace),
            partial(emit.emit, format_name=name, round=base.round, instruction=config.instruction),
            splits=emit.SPLITS,
            split=partial(emit.split_of, validation_share=config.validation_share, seed=base.seed),
        )
        yield over(context, "emit", job, ["kept"], folder=f"shards/{name}")
