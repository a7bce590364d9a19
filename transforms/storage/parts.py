"""Part files: records as Parquet, byte for byte the same for the same rows."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import IO, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.core import schema
from transforms.core.errors import InputError
from transforms.storage import files as storage

Record = TypeVar("Record")


def part_name(index: int) -> str:
    """The file name of part `index`."""
    return f"part-{index:05d}.parquet"


def to_parquet(table: pa.Table) -> bytes:
    """The table as a Parquet file: zstd, and the same bytes for the same rows."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_statistics=False)  # more than the rows of lean records
    return buffer.getvalue()


def open_parquet(file: IO[bytes]) -> pq.ParquetFile:
    """A Parquet file that only the calling thread reads, given `use_threads=False` and no `pre_buffer`.

    Arrow's own threads call Python's file objects; one that does so while the interpreter ends aborts the process (exit code 134),
    its work done. Raises pyarrow.ArrowInvalid if it is no Parquet file.
    """
    return pq.ParquetFile(file, pre_buffer=False)


def read_part(record: type[Record], path: str) -> Iterator[Record]:
    """The rows of one part.

    Raises:
        InputError: the file is not there, not Parquet, or lacks a column.
    """
    for batch in _table(record, path).to_batches(max_chunksize=64):
        for values in batch.to_pylist():
            yield schema.from_plain(record, values)


def find_row(record: type[Record], paths: Iterable[str], id: str) -> Record | None:
    """The row with this id in several parts, without making records of the others. Raises InputError as `read_part`."""
    for path in paths:
        table = _table(record, path)
        for values in table.filter(pc.equal(table["id"], id)).to_pylist():
            return schema.from_plain(record, values)
    return None


def _table(record: type[Record], path: str) -> pa.Table:
    try:
        table = open_parquet(io.BytesIO(storage.read_bytes(path))).read(use_threads=False)
        return table.select(schema.arrow_schema(record).names)  # type: ignore[arg-type]
    except (pa.ArrowInvalid, KeyError) as error:
        raise InputError(
            f"{path} is damaged or from another version ({error}): run the stage that writes it again with --force"
        ) from error


def read_rows(record: type[Record], paths: Iterable[str]) -> Iterator[Record]:
    """The rows of several parts, one after another. Raises InputError."""
    for path in paths:
        yield from read_part(record, path)
