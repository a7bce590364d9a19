"""Where problems come from: reasoning-gym, JSON lines, Parquet, Hugging Face datasets.

A source is planned once (is it there, does it have the named fields, how many rows?) and cut into
slices; a slice is then read anywhere, row by row, as `Raw` values or drops.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from transforms.core.config import combination
from transforms.core.drops import Drop
from transforms.core.errors import InputError
from transforms.sources import gym, jsonl, tables
from transforms.sources.base import Benchmark, Fields, Jsonl, Planned, Raw, Slice, Source, as_text, row_name
from transforms.sources.traces import LAYOUTS, RecordedTrace, TraceRow, TraceSource

__all__ = [
    "LAYOUTS",
    "Benchmark",
    "Fields",
    "Jsonl",
    "Raw",
    "RecordedTrace",
    "Slice",
    "Source",
    "TraceRow",
    "TraceSource",
    "as_text",
    "check_names",
    "plan",
    "read",
    "row_name",
    "source_name",
]

_PLANNERS: dict[str, Callable[[Any, str, int, int], Planned]] = {
    "reasoning_gym": gym.plan,
    "jsonl": jsonl.plan,
    "parquet": tables.plan_parquet,
    "huggingface": tables.plan_hub,
}
_READERS: dict[str, Callable[[Slice], Iterator[Raw | TraceRow | Drop]]] = {
    "reasoning_gym": gym.read,
    "jsonl": jsonl.read,
    "parquet": tables.read_parquet,
    "huggingface": tables.read_hub,
}


def source_name(source: Any) -> str:
    """The source's name: as given, else the dataset, else the file's name without its extensions."""
    if source.name:
        return source.name
    if source.kind == "reasoning_gym":
        return source.dataset
    return os.path.basename(source.path.rstrip("/")).split(".")[0]


def plan(source: Any, seed: int, shard_rows: int, key: str = "ingest.sources") -> tuple[list[Slice], dict[str, Any]]:
    """The slices of a source, at most `shard_rows` rows each, and what identifies its content for the manifest.

    `key` of the parameters is where it is named.

    Raises:
        InputError: it cannot be read, is empty, or lacks a named field.
        ConfigError: reasoning-gym has no such dataset, or refuses its configuration.
    """
    name = source_name(source)
    seed = source.seed if source.kind == "reasoning_gym" and source.seed is not None else seed
    label = f"{key}: {name}"
    try:
        planned = _PLANNERS[source.kind](source, label, seed, shard_rows)
    except InputError as error:
        raise error if str(error).startswith(label) else InputError(f"{label}: {error}") from None
    num_rows = min(planned.num_rows, getattr(source, "limit", None) or planned.num_rows)
    planned = planned._replace(num_rows=num_rows, starts=[start for start in planned.starts if start[0] < num_rows])
    if planned.num_rows == 0:
        raise InputError(f"{key}: {name} ({source.kind}) is empty")
    stops = [start for start, _ in planned.starts[1:]] + [planned.num_rows]
    slices = [
        Slice(source, name, seed, start, stop, offset)
        for (start, offset), stop in zip(planned.starts, stops, strict=True)
    ]
    return slices, {"name": name, "rows": planned.num_rows, **planned.identity}


def read(piece: Slice) -> Iterator[Raw | TraceRow | Drop]:
    """The rows of a slice; a drop for each that cannot be read."""
    return _READERS[piece.source.kind](piece)


def check_names(given: Sequence[Any], key: str) -> None:
    """Raises a validation error if two sources have the same name."""
    names = [source_name(source) for source in given]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise combination(
                f"{key}.{number}.name", f"{name!r} is taken by an earlier source; give each source a name of its own"
            )
