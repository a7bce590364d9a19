"""problems/ from the sources, and from files of traces."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from pipeline.freshness import depends_on
from pipeline.stages.base import Context, Plan
from transforms import ingest, sources
from transforms.core.records import Problem
from transforms.shards.mapping import Job


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One, over slices of the sources."""
    base, config = context.params.base, context.params.ingest
    planned = [sources.plan(source, base.seed, base.shard_rows) for source in config.sources]
    planned += [
        sources.plan(source, base.seed, base.shard_rows, "generate.import")
        for source in context.params.generate.imports
    ]
    benchmarks = [sources.plan(one, base.seed, base.shard_rows, "ingest.benchmarks")[1] for one in config.benchmarks]
    read: list[dict[str, Any]] = [identity for _, identity in planned]
    folder = context.paths.stage("problems")
    yield Plan(
        stage="ingest",
        folder=folder,
        job=Job("ingest", Problem, partial(ingest.read_problems, config=config), lambda problem: [problem]),
        shards=ingest.pack([piece for pieces, _ in planned for piece in pieces], base.shard_rows),
        about={
            **depends_on("ingest", context.params),
            "inputs": {"sources": [*read, *({"benchmark": one} for one in benchmarks)]},
        },
        prepare=ingest.MarkRepeats(config),
        empty=f"no row of the sources is a problem that can be used; {folder}/drops.parquet has the reasons",
    )
