"""JSON lines, plain, .gz or .zst; read line by line in bounded memory."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa

from transforms.core.drops import DropReason
from transforms.core.errors import InputError
from transforms.sources.base import Jsonl, Planned, Slice, check_fields, from_columns, in_order, unreadable
from transforms.storage import files as storage

MAX_LINE_BYTES = 64 << 20
_PEEK_ROWS = 100
_CODECS = {".gz": "gzip", ".zst": "zstd"}
_BOM = b"\xef\xbb\xbf"


def plan(source: Jsonl, label: str, seed: int, shard_rows: int) -> Planned:
    """Counts the lines, and notes where slices start. Raises InputError."""
    starts: list[tuple[int, int]] = []
    columns: set[str] = set()
    num_rows = start = 0
    for num_rows, (after, line) in enumerate(_lines(source.path), start=1):
        if (num_rows - 1) % shard_rows == 0:
            starts.append((num_rows - 1, 0 if _codec(source.path) else start))
        start = after
        if num_rows <= _PEEK_ROWS and line is not None:
            values = _parsed(line)
            columns |= set(values) if isinstance(values, dict) else set()
    peeked = min(num_rows, _PEEK_ROWS)
    if num_rows and not columns:
        raise InputError(f"{label}: none of the first {peeked} lines of {source.path} is a JSON object")
    if num_rows:
        check_fields(source, label, columns, f"in its first {peeked} rows")
    return Planned(
        starts, num_rows, {"path": os.path.basename(source.path), "sha256": storage.sha256_file(source.path)}
    )


def read(piece: Slice) -> Iterator[Any]:
    """The rows of a slice. In a compressed file one has to read up to it; reading goes on where the slice before ended."""
    path = piece.source.path
    if not _codec(path):
        numbered = enumerate(_lines(path, piece.offset), start=piece.start)
        yield from (_row(piece, row, line) for row, (_, line) in islice(numbered, piece.stop - piece.start))
        return
    for row, (_, line) in in_order(path, lambda: _lines(path), piece.start, piece.stop):
        yield _row(piece, row, line)


def _codec(path: str) -> str | None:
    return _CODECS.get(os.path.splitext(path)[1].lower())


def _open(path: str) -> BinaryIO:
    file, codec = storage.open_read(path), _codec(path)
    return io.BufferedReader(pa.CompressedInputStream(file, codec), 1 << 20) if codec else file


def _lines(path: str, offset: int = 0) -> Iterator[tuple[int, bytes | None]]:
    """(where the next line starts, line) for each line that is not blank; None for one that is too long to read."""
    try:
        with _open(path) as file:
            if offset:
                file.seek(offset)
            while line := file.readline(MAX_LINE_BYTES):
                text = line.removeprefix(_BOM) if offset == 0 else line
                offset += len(line)
                whole = too_long = False
                while not (whole or line.endswith(b"\n") or len(line) < MAX_LINE_BYTES):
                    line, too_long = file.readline(MAX_LINE_BYTES), True
                    offset += len(line)
                    whole = not line
                if too_long or text.strip():
                    yield offset, None if too_long else text
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _row(piece: Slice, row: int, line: bytes | None) -> Any:
    if line is None:
        return unreadable(piece, row, DropReason.TOO_LONG, f"the line is longer than {MAX_LINE_BYTES} bytes")
    try:
        values = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return unreadable(piece, row, DropReason.INVALID_UTF8, str(error))
    except (ValueError, RecursionError) as error:
        return unreadable(piece, row, DropReason.INVALID_JSON, str(error))
    if not isinstance(values, dict):
        return unreadable(piece, row, DropReason.INVALID_JSON, "not an object")
    return from_columns(piece, row, values)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
