"""`python -m pipeline export STAGE [--method M] FILE`: what a stage found out with all that it belongs to, texts included.

    export recheck --method asap asap.parquet  → id, problem, thinking, steps, decisions, proposed, status, …, final: a row a version

For people who look with other tools; no stage reads these files.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.commands.writing import check_new, lines, whole_or_none
from pipeline.graph import NAMED
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.stages.base import versions_of
from transforms.core import schema
from transforms.core.errors import ConfigError, InputError
from transforms.core.records import (
    Annotations,
    Kept,
    Problem,
    Pruned,
    Rechecked,
    SegmentedTrace,
    Trace,
    TraceScores,
    Verdict,
)
from transforms.shards.joins import beside, chosen, proposed, versions
from transforms.steps.versions import Version
from transforms.storage.folders import lineage

RECORDS = {
    "ingest": (Problem,),
    "generate": (Trace,),
    "verify": (Trace, Verdict),
    "segment": (SegmentedTrace,),
    "score": (SegmentedTrace, TraceScores),
    "annotate": (SegmentedTrace, Annotations),
    "prune": (SegmentedTrace, Pruned),
    "recheck": (SegmentedTrace, Pruned, Rechecked),
    "filter": (SegmentedTrace, Pruned, Rechecked, Kept),
}  # what a row of each stage is joined of, the stage's own record last
TEXTS = {
    "ingest": ("question",),
    "prune": ("proposed",),
    "recheck": ("proposed", "final"),
    "filter": ("proposed", "final"),
}


def export(params: Params, paths: Paths, stage: str, methods: Sequence[str], target: str) -> int:
    """Writes the rows of a stage, joined; returns how many. The ending of `target` says how: .parquet, .jsonl, .jsonl.gz, .jsonl.zst.

    A field that two records have (id, model, method) is that of the later one. "-" is the terminal, as JSON lines.

    Raises:
        ConfigError: there is no such stage, the target exists, or its ending says nothing.
        InputError: a folder is not finished, or folders belong to different runs.
    """
    _check(stage, target)
    number = 0
    with _writer(stage, target) as write:
        for rows in _parts(params, paths, stage, methods):
            plain = [_row(row, stage) for row in rows]
            write(plain)
            number += len(plain)
    print(f"{number:,} rows in {target}", file=sys.stderr)
    return number


def _check(stage: str, target: str) -> None:
    if stage not in RECORDS:
        hint = "; shards/ and report/ hold whole rows already" if stage in ("emit", "report") else ""
        raise ConfigError(f"export {stage!r}: allowed: {', '.join(RECORDS)}{hint}")
    endings = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst")
    if target != "-" and not target.endswith(endings):
        raise ConfigError(f"{target}: must end in {', '.join(endings)}, or be -")
    check_new(target)


@contextmanager
def _writer(stage: str, target: str) -> Iterator[Callable[[list[dict[str, Any]]], object]]:
    """What writes some rows to the file or the terminal."""
    if not target.endswith(".parquet"):
        with lines(target) as file:
            yield lambda rows: file.writelines(json.dumps(_known(row), allow_nan=False) + "\n" for row in rows)
        return
    fields = {field.name: field for record in RECORDS[stage] for field in schema.arrow_schema(record)}
    fields |= {name: pa.field(name, pa.string(), nullable=False) for name in TEXTS.get(stage, ())}
    columns = pa.schema(list(fields.values()))
    with whole_or_none(target) as unfinished, pq.ParquetWriter(unfinished, columns, compression="zstd") as parquet:
        yield lambda rows: parquet.write_table(pa.Table.from_pylist(rows, schema=columns))


def _parts(params: Params, paths: Paths, stage: str, methods: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    """The joined records of each part, the stage's own last; and the version they make, where they make one."""
    folder = NAMED[stage].folder
    if stage in ("prune", "recheck"):
        for method in methods or params.prune.methods:
            names = ["steps", f"pruned/{method}"] if stage == "prune" else ["steps", *versions_of([method])]
            for steps, *parts in _paired(paths, names):
                found = proposed(steps, *parts) if stage == "prune" else versions(steps, parts)
                yield [(*_records(version), version) for version in found]
        return
    if methods:
        raise ConfigError(f"--method: the rows of {stage} are of no method, or of the one that was chosen")
    if stage == "filter":
        for steps, *parts, kept in _paired(paths, ["steps", *versions_of(params.prune.methods), "kept"]):
            yield [(*_records(version), row, version) for version, row in chosen(kept, steps, parts)]
        return
    base = {"verify": ["traces"], "score": ["steps"], "annotate": ["steps"]}.get(stage, [])
    for part in _paired(paths, [*base, folder]):
        yield [row for row in beside(RECORDS[stage], part) if None not in row]


def _paired(paths: Paths, names: Sequence[str]) -> list[tuple[str, ...]]:
    """The parts of the same number of these folders. Raises InputError if they belong to different runs."""
    given = {name: paths.folder(name) for name in names}
    lineage(given)
    found = [folder.part_paths() for folder in given.values()]
    if len({len(parts) for parts in found}) > 1:
        raise InputError(f"{', '.join(names)} have different numbers of parts: run the stages again, or `dvc repro`")
    return list(zip(*found, strict=True))


def _records(version: Version) -> tuple[Any, ...]:
    return (version.trace, version.pruned, *([version.rechecked] if version.rechecked else []))


def _row(row: tuple[Any, ...], stage: str) -> dict[str, Any]:
    records = row[: len(RECORDS[stage])]
    plain = {name: value for record in records for name, value in schema.to_plain(record).items()}
    return plain | {name: getattr(row[-1], name) for name in TEXTS.get(stage, ())}


def _known(value: Any) -> Any:
    """The value with null for numbers that are not known, as JSON has no NaN."""
    if isinstance(value, dict):
        return {name: _known(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_known(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
