"""kept/ from the versions of all methods, verdicts/ and the drops of traces/."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.stages.base import Context, Plan, over, versions_of
from transforms import filter
from transforms.core.records import Kept
from transforms.shards.mapping import Job


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One."""
    methods = context.params.prune.methods
    job = Job("filter", Kept, filter.read_versions, filter.keep)
    reads = ["steps", *versions_of(methods), "verdicts"]
    traces = context.paths.folder("traces")
    prepare = filter.ChooseVersions(context.params.filter, methods, context.params.base.seed, traces.drops_path())
    yield over(context, "filter", job, reads, beside=["traces"], prepare=prepare)
