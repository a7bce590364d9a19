"""Parquet files, and Hugging Face datasets by hub id or folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa

from transforms.core.drops import DropReason
from transforms.core.errors import InputError
from transforms.sources.base import Parquet, Planned, Slice, check_fields, evenly, from_columns, in_order, unreadable
from transforms.storage import files as storage
from transforms.storage.parts import open_parquet

_BATCH_ROWS = 256


def plan_parquet(source: Parquet, label: str, seed: int, shard_rows: int) -> Planned:
    """Raises InputError if it is no Parquet file or lacks a column."""
    if os.path.isdir(source.path) or "*" in source.path:
        raise InputError(f"{source.path} is not one file: name a file, or read its folder with kind: huggingface")
    with storage.open_read(source.path) as file:
        parquet = _parquet(source.path, file)
        check_fields(source, label, set(parquet.schema_arrow.names), "in its schema")
        num_rows = parquet.metadata.num_rows
    identity = {"path": os.path.basename(source.path), "sha256": storage.sha256_file(source.path)}
    return evenly(num_rows, shard_rows, identity)


def read_parquet(piece: Slice) -> Iterator[Any]:
    """The rows of a slice. Raises InputError if the file is damaged."""
    path, columns = piece.source.path, piece.source.fields.columns()
    with storage.open_read(path) as file:
        try:
            parquet = _parquet(path, file)
            start, groups = _groups(parquet.metadata, piece.start, piece.stop)
            for batch in parquet.iter_batches(
                batch_size=_BATCH_ROWS, row_groups=groups, columns=columns, use_threads=False
            ):
                first, last = max(piece.start - start, 0), min(piece.stop - start, batch.num_rows)
                if first < last:
                    yield from _rows(piece, start + first, batch.slice(first, last - first))
                start += batch.num_rows
                if start >= piece.stop:
                    return
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"cannot read {path}: {error}") from error


def _groups(metadata: Any, start: int, stop: int) -> tuple[int, list[int]]:
    """(the row where the first of them starts, the row groups that hold rows `start` to `stop`)."""
    groups: list[int] = []
    first = row = 0
    for number in range(metadata.num_row_groups):
        after = row + metadata.row_group(number).num_rows
        if row < stop and after > start:
            first = first if groups else row
            groups.append(number)
        row = after
    return first, groups


def _parquet(path: str, file: BinaryIO) -> Any:
    try:
        return open_parquet(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _rows(piece: Slice, start: int, batch: pa.RecordBatch) -> Iterator[Any]:
    """Rows of a batch. Text is decoded here, row by row: Arrow would fail for all rows where one is no UTF-8."""
    columns = {name: _values(batch.column(name)) for name in batch.schema.names}
    for number in range(batch.num_rows):
        try:
            values = {name: column[number] for name, column in columns.items()}
            yield from_columns(piece, start + number, {name: _decoded(value) for name, value in values.items()})
        except UnicodeDecodeError as error:
            yield unreadable(piece, start + number, DropReason.INVALID_UTF8, str(error))


def _values(column: Any) -> list[Any]:
    text = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}.get(column.type)
    if text:
        return [_Text(value) if value is not None else None for value in column.cast(text).to_pylist()]
    try:
        return column.to_pylist()
    except UnicodeDecodeError:  # in one of the rows
        return [_value(item) for item in column]


def _value(item: Any) -> Any:
    try:
        return item.as_py()
    except UnicodeDecodeError as error:
        return error


class _Text(bytes):
    """The bytes of a text column."""


def _decoded(value: Any) -> Any:
    if isinstance(value, UnicodeDecodeError):
        raise value
    return value.decode("utf-8") if isinstance(value, _Text) else value


def plan_hub(source: Any, label: str, seed: int, shard_rows: int) -> Planned:
    """Raises InputError if it cannot be loaded or lacks a column. Its identity is the content of its columns."""
    dataset = _hub(source)
    check_fields(source, label, set(dataset.column_names or []), "in its schema")
    digest, num_rows = hashlib.sha256(), 0
    for row in islice(_columns(dataset, source), source.limit):
        digest.update(json.dumps(row, sort_keys=True, default=str).encode())
        num_rows += 1
    return evenly(num_rows, shard_rows, {"path": os.path.basename(source.path), "sha256": digest.hexdigest()})


def read_hub(piece: Slice) -> Iterator[Any]:
    """The rows of a slice."""
    rows = _columns(_hub(piece.source), piece.source)
    if hasattr(rows, "select"):
        numbered = enumerate(rows.select(range(piece.start, piece.stop)), start=piece.start)
    else:  # streamed: there is no way but from the start
        numbered = in_order(piece.name, lambda: iter(rows), piece.start, piece.stop)  # type: ignore[assignment]
    for number, values in numbered:
        yield from_columns(piece, number, values)


def _columns(dataset: Any, source: Any) -> Any:
    """The dataset's columns that are read."""
    return dataset.select_columns([name for name in source.fields.columns() if name in (dataset.column_names or [])])


def _hub(source: Any) -> Any:
    import datasets
    from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError

    datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(
            source.path,
            source.subset,
            split=source.split,
            revision=source.revision,
            streaming=source.streaming,
        )
    except (OSError, ValueError, DatasetNotFoundError, DatasetGenerationError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"cannot load the dataset {source.path} (subset {source.subset}, split {source.split}): {reason}"
        ) from error
