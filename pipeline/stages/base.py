"""What the wiring of a stage says: a `Plan`, of what a command was given, the `Context`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam

from pipeline import runner
from pipeline.freshness import depends_on, refuse_stale
from pipeline.graph import NAMED
from pipeline.params import Params
from pipeline.paths import Paths
from transforms.shards.mapping import Job, Shard
from transforms.storage.folders import StageFolder, lineage
from transforms.storage.parts import read_part


@dataclass(frozen=True)
class Context:
    """What a command was given."""

    params: Params
    paths: Paths
    flags: list[str] = field(default_factory=list)
    force: bool = False

    def new_pipeline(self) -> beam.Pipeline:
        """An empty pipeline on the configured runner. Raises ConfigError."""
        settings = self.params.runner
        return runner.new_pipeline(settings.name, settings.workers, settings.options, self.flags)


@dataclass(frozen=True)
class Plan:
    """One run of a stage into one folder.

    Attributes:
        folder: what it writes.
        job: what it does with a shard.
        shards: all of them.
        about: what the rows are made from: code, parameters, and the content of each folder that is read, and of those these were made from.
        prepare: looks at all rows first, and puts notes on the shards.
        ask: the model that the job asks, by its name in params; `requests_per_row`: how often, for the progress.
        rows: how many come in, likewise.
        further: what requests are called that follow from answers.
        remarks: what the user should know of the finished folder.
        empty: the error if no row is kept, where nothing can follow then.
    """

    stage: str
    folder: str
    job: Job
    shards: list[Shard]
    about: dict[str, Any]
    method: str = ""
    prepare: beam.PTransform | None = None
    ask: str = ""
    requests_per_row: int = 1
    rows: int = 0
    further: str = "further requests that followed from answers"
    remarks: Callable[[StageFolder], Iterable[str]] | None = None
    empty: str = ""

    @property
    def label(self) -> str:
        """The stage, and the method where there are several."""
        return f"{self.stage} {self.method}".strip()


def over(
    context: Context,
    stage: str,
    job: Job,
    reads: Sequence[str],
    method: str = "",
    folder: str = "",
    beside: Sequence[str] = (),
    **more: Any,
) -> Plan:
    """A plan over folders whose parts have the same numbers, as `traces` or `pruned/asap`; `beside` are others that the stage looks into.

    Raises:
        InputError: a folder is not finished, or was made from what is no longer there.
    """
    given = {name: context.paths.folder(name) for name in reads}
    looked_into = {name: context.paths.folder(name) for name in beside}
    made_from = lineage(given | looked_into)  # before parts are paired: those of different runs may differ in number
    refuse_stale(given | looked_into, made_from, context.paths)
    paths = list(zip(*(one.part_paths() for one in given.values()), strict=True))
    return Plan(
        stage=stage,
        folder=context.paths.stage(folder or NAMED[stage].folder, method),
        job=job,
        shards=[Shard(index, source) for index, source in enumerate(paths)],
        about={**depends_on(stage, context.params, method), "inputs": made_from},
        method=method,
        rows=next(iter(given.values())).num_rows(),
        **more,
    )


def versions_of(methods: Iterable[str]) -> list[str]:
    """The folders that versions are read from, beside the steps: two a method."""
    return [f"{folder}/{method}" for method in methods for folder in ("pruned", "rechecked")]


def first(record: type, shard: Shard) -> Iterator[Any]:
    """The rows of the first folder of a shard."""
    return read_part(record, shard.source[0])
