"""Rows of parts that have the same number in their folders, joined by id: what belongs together is in them.

A later stage may have dropped a row; a row that its earlier stage does not have belongs to another run, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from transforms.core.errors import InputError
from transforms.core.records import Kept, Pruned, Rechecked, SegmentedTrace
from transforms.steps.versions import Version
from transforms.storage.parts import read_part

Record = TypeVar("Record")


def by_id(record: type[Record], path: str) -> dict[str, Record]:
    """The rows of a part. Raises InputError if two have the same id."""
    rows: dict[str, Any] = {}
    for row in read_part(record, path):
        if rows.setdefault(row.id, row) is not row:  # type: ignore[attr-defined]
            raise InputError(f"{path} has {row.id} twice: run the stage that writes it again with --force")  # type: ignore[attr-defined]
    return rows


def of_id(rows: Mapping[str, Record], id: str, path: str, earlier: str) -> Record:
    """The row of `earlier` that one of `path` belongs to. Raises InputError if there is none."""
    if id not in rows:
        raise InputError(
            f"{path} has {id} and {earlier} has not: they belong to different runs; run the stages again, or `dvc repro`"
        )
    return rows[id]


def beside(records: Sequence[type], paths: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Each row of the first part with those of the others, None where one has dropped it."""
    first: dict[str, Any] = by_id(records[0], paths[0])
    others: list[dict[str, Any]] = [by_id(record, path) for record, path in zip(records[1:], paths[1:], strict=True)]
    for rows, path in zip(others, paths[1:], strict=True):
        for name in rows:
            of_id(first, name, path, paths[0])
    for name, row in first.items():
        yield (row, *(rows.get(name) for rows in others))


def proposed(steps: str, pruned: str) -> Iterator[Version]:
    """One method's versions, in the order of the method's part."""
    traces = by_id(SegmentedTrace, steps)
    for row in by_id(Pruned, pruned).values():
        yield Version(of_id(traces, row.id, pruned, steps), row)


def decided(pruned: str, rechecked: str) -> Iterator[tuple[Pruned, Rechecked]]:
    """What one method and the re-check found of each trace, in the order of the re-check's part."""
    made = by_id(Pruned, pruned)
    for row in by_id(Rechecked, rechecked).values():
        yield of_id(made, row.id, rechecked, pruned), row


def versions(steps: str, parts: Sequence[str]) -> Iterator[Version]:
    """The re-checked versions, method by method; `parts` are those of `pruned/` and `rechecked/` of each method in turn."""
    traces = by_id(SegmentedTrace, steps)
    for pruned, rechecked in zip(parts[::2], parts[1::2], strict=True):
        for made, found in decided(pruned, rechecked):
            yield Version(of_id(traces, made.id, pruned, steps), made, found)


def chosen(kept: str, steps: str, parts: Sequence[str]) -> Iterator[tuple[Version, Kept]]:
    """The versions that were kept, in the order of the traces."""
    known = {(version.id, version.method): version for version in versions(steps, parts)}
    for row in read_part(Kept, kept):
        if (row.id, row.method) not in known:
            others = ", ".join(parts[1::2])
            raise InputError(
                f"{kept} has {row.id} of {row.method}, and none of {others} has: run filter again, or `dvc repro`"
            )
        yield known[row.id, row.method], row
