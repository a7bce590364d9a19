"""Where problems come from: reasoning-gym, JSON lines, Parquet, Hugging Face datasets.

A source is planned once (is it there, does it have the named fields, how many rows?) and cut into
slices; a slice is then read anywhere, row by row, as `Raw` values or drops.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from typing import Annotated, Any, BinaryIO, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from transforms import storage
from transforms.configuration import Config as BaseConfig
from transforms.errors import ConfigError, InputError
from transforms.types import Drop, DropReason

MAX_LINE_BYTES = 64 << 20
_PEEK_ROWS = 100


class Fields(BaseConfig):
    """Which column holds what. Without `id`, ids are the source's name and the row number."""

    question: str = "question"
    answer: str = "answer"
    id: str | None = None


class _Table(BaseConfig):
    name: str | None = Field(None, min_length=1, max_length=100)
    fields: Fields = Fields()
    answer_kind: Literal["math", "choice", "text"] = "math"
    answer_after: str | None = Field(
        None, min_length=1, description="keep what follows its last occurrence, as GSM8K's ####"
    )


class ReasoningGym(BaseConfig):
    """Generated problems. `config` is the dataset's own; `seed` is base.seed unless given."""

    kind: Literal["reasoning_gym"]
    dataset: str
    size: int = Field(ge=1)
    seed: int | None = None
    config: dict[str, Any] = {}
    name: str | None = Field(None, min_length=1, max_length=100)


class Jsonl(_Table):
    """JSON lines, plain, .gz or .zst."""

    kind: Literal["jsonl"]
    path: str = Field(min_length=1)


class Parquet(_Table):
    """One Parquet file."""

    kind: Literal["parquet"]
    path: str = Field(min_length=1)


class HuggingFace(_Table):
    """A dataset by hub id, or a folder that `datasets.load_dataset` reads."""

    kind: Literal["huggingface"]
    path: str = Field(min_length=1)
    subset: str | None = None
    split: str = "train"
    revision: str | None = None


Source = Annotated[ReasoningGym | Jsonl | Parquet | HuggingFace, Field(discriminator="kind")]


class Slice(NamedTuple):
    """Rows `start` to `stop` of a source; `offset` is where they start in an uncompressed file, in bytes."""

    source: Any
    name: str
    seed: int
    start: int
    stop: int
    offset: int


class Raw(NamedTuple):
    """A row as its source has it."""

    row: int
    question: Any
    answer: Any
    id: Any
    entry: str


def source_name(source: Any) -> str:
    """The source's name: as given, else the dataset, else the file's name without its extensions."""
    if source.name:
        return source.name
    if source.kind == "reasoning_gym":
        return source.dataset
    return os.path.basename(source.path.rstrip("/")).split(".")[0]


def plan(source: Any, seed: int, shard_rows: int) -> tuple[list[Slice], dict[str, Any]]:
    """The slices of a source, at most `shard_rows` rows each, and what identifies its content for the manifest.

    Raises:
        InputError: it cannot be read, is empty, or lacks a named field.
        ConfigError: reasoning-gym has no such dataset, or refuses its configuration.
    """
    name = source_name(source)
    seed = source.seed if source.kind == "reasoning_gym" and source.seed is not None else seed
    offsets, identity = _PLANNERS[source.kind](source, seed, shard_rows)
    *starts, (total, _) = offsets
    if total == 0:
        raise InputError(f"ingest.sources: {name} ({source.kind}) is empty")
    stops = [start for start, _ in starts[1:]] + [total]
    slices = [
        Slice(source, name, seed, start, stop, offset) for (start, offset), stop in zip(starts, stops, strict=True)
    ]
    return slices, {"name": name, "rows": total, **identity}


def read(piece: Slice) -> Iterator[Raw | Drop]:
    """The rows of a slice; a drop for each that cannot be read."""
    return _READERS[piece.source.kind](piece)


def _even(total: int, shard_rows: int) -> list[tuple[int, int]]:
    """Starts of slices of a source with random access, and its end."""
    return [(start, 0) for start in range(0, total, shard_rows)] + [(total, 0)]


# reasoning-gym


def _dataset(source: ReasoningGym, seed: int) -> Any:
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    from transforms.verify.judge import EVALUATES_ANSWERS

    key = f"ingest.sources: dataset = {source.dataset!r}"
    if source.dataset not in DATASETS:
        raise ConfigError(
            f"{key}: reasoning-gym has no such dataset; allowed: {', '.join(sorted(set(DATASETS) - EVALUATES_ANSWERS))}"
        )
    if source.dataset in EVALUATES_ANSWERS:
        raise ConfigError(
            f"{key}: its scorer runs the model's answer as code, which is never done here; choose another dataset"
        )
    allowed = sorted(set(DATASETS[source.dataset][1].__dataclass_fields__) - {"seed", "size"})
    for name in source.config:
        if name not in allowed:
            raise ConfigError(
                f"ingest.sources: {source.dataset}: config.{name} = {source.config[name]!r}: unknown key; allowed: {', '.join(allowed)}"
            )
    try:
        return reasoning_gym.create_dataset(source.dataset, seed=seed, size=source.size, **source.config)
    except (AssertionError, ValueError, TypeError) as error:
        raise ConfigError(f"ingest.sources: {source.dataset}: config = {source.config!r}: {error}") from error


def _plan_gym(source: ReasoningGym, seed: int, shard_rows: int) -> tuple[list[tuple[int, int]], dict[str, Any]]:
    from importlib.metadata import version

    _dataset(source, seed)
    return _even(source.size, shard_rows), {"reasoning_gym": version("reasoning_gym"), "seed": seed}


def _read_gym(piece: Slice) -> Iterator[Raw | Drop]:
    dataset = _dataset(piece.source, piece.seed)
    for row in range(piece.start, piece.stop):
        entry = dataset[row]
        yield Raw(row, entry["question"], entry["answer"], None, json.dumps(entry, default=str, ensure_ascii=False))


# JSON lines


_CODECS = {".gz": "gzip", ".zst": "zstd"}


def _open(path: str) -> BinaryIO:
    file = storage.open_read(path)
    codec = _CODECS.get(os.path.splitext(path)[1])
    if codec is None:
        return file
    return io.BufferedReader(pa.CompressedInputStream(file, codec), 1 << 20)


def _lines(path: str, offset: int = 0) -> Iterator[tuple[int, bytes | None]]:
    """(where the next line starts, line) for each line that is not blank; None for one that is too long to read."""
    try:
        with _open(path) as file:
            if offset:
                file.seek(offset)
            while line := file.readline(MAX_LINE_BYTES):
                offset += len(line)
                whole = line.endswith(b"\n") or len(line) < MAX_LINE_BYTES
                while not whole:
                    rest = file.readline(MAX_LINE_BYTES)
                    offset += len(rest)
                    line, whole = b"", rest.endswith(b"\n") or len(rest) < MAX_LINE_BYTES
                if line.strip() or not line:
                    yield offset, line or None
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _plan_jsonl(source: Jsonl, seed: int, shard_rows: int) -> tuple[list[tuple[int, int]], dict[str, Any]]:
    seekable = os.path.splitext(source.path)[1] not in _CODECS
    offsets, start, total = [], 0, 0
    seen: set[str] = set()
    for total, (after, line) in enumerate(_lines(source.path), start=1):
        if (total - 1) % shard_rows == 0:
            offsets.append((total - 1, start if seekable else 0))
        start = after
        if total <= _PEEK_ROWS and line is not None:
            values = _parsed(line)
            seen |= set(values) if isinstance(values, dict) else set()
    if seen:
        _check_fields(source, seen, f"in its first {min(total, _PEEK_ROWS)} rows")
    return [*offsets, (total, 0)], {"path": os.path.basename(source.path), "sha256": storage.sha256_file(source.path)}


def _read_jsonl(piece: Slice) -> Iterator[Raw | Drop]:
    skip = 0 if piece.offset else piece.start
    lines = _lines(piece.source.path, piece.offset)
    for position, (_, line) in enumerate(lines):
        row = piece.start + position - skip
        if row >= piece.stop:
            return
        if row >= piece.start:
            yield _json_row(piece, row, line)


def _json_row(piece: Slice, row: int, line: bytes | None) -> Raw | Drop:
    if line is None:
        return _drop(piece, row, DropReason.TOO_LONG, f"the line is longer than {MAX_LINE_BYTES} bytes")
    try:
        values = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return _drop(piece, row, DropReason.INVALID_UTF8, str(error))
    except (ValueError, RecursionError) as error:
        return _drop(piece, row, DropReason.INVALID_JSON, str(error))
    if not isinstance(values, dict):
        return _drop(piece, row, DropReason.INVALID_JSON, "not an object")
    return _from_columns(piece, row, values)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


# Parquet and Hugging Face datasets


def _plan_parquet(source: Parquet, seed: int, shard_rows: int) -> tuple[list[tuple[int, int]], dict[str, Any]]:
    with storage.open_read(source.path) as file:
        parquet = _parquet(source.path, file)
        _check_fields(source, set(parquet.schema_arrow.names), "in its schema")
        total = parquet.metadata.num_rows
    return _even(total, shard_rows), {"path": os.path.basename(source.path), "sha256": storage.sha256_file(source.path)}


def _parquet(path: str, file: BinaryIO) -> Any:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _read_parquet(piece: Slice) -> Iterator[Raw | Drop]:
    columns = _columns(piece.source)
    with storage.open_read(piece.source.path) as file:
        row = 0
        for batch in _parquet(piece.source.path, file).iter_batches(batch_size=256, columns=columns):
            if row + batch.num_rows > piece.start:
                for number, values in enumerate(batch.to_pylist(), start=row):
                    if piece.start <= number < piece.stop:
                        yield _from_columns(piece, number, values)
            row += batch.num_rows
            if row >= piece.stop:
                return


def _hub(source: HuggingFace) -> Any:
    import datasets
    from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError

    datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(source.path, source.subset, split=source.split, revision=source.revision)
    except (OSError, ValueError, DatasetNotFoundError, DatasetGenerationError) as error:
        raise InputError(
            f"cannot load the dataset {source.path} (subset {source.subset}, split {source.split}): {str(error).splitlines()[0]}"
        ) from error


def _plan_hub(source: HuggingFace, seed: int, shard_rows: int) -> tuple[list[tuple[int, int]], dict[str, Any]]:
    dataset = _hub(source)
    _check_fields(source, set(dataset.column_names), "in its schema")
    return _even(len(dataset), shard_rows), {
        "path": source.path,
        "revision": source.revision,
        "fingerprint": dataset._fingerprint,
    }


def _read_hub(piece: Slice) -> Iterator[Raw | Drop]:
    rows = _hub(piece.source).select_columns(_columns(piece.source)).select(range(piece.start, piece.stop))
    for number, values in enumerate(rows, start=piece.start):
        yield _from_columns(piece, number, values)


def _columns(source: _Table) -> list[str]:
    return list(dict.fromkeys(name for name in source.fields.model_dump().values() if name is not None))


def _check_fields(source: Any, there: set[str], where: str) -> None:
    for role, column in source.fields.model_dump().items():
        if column is not None and column not in there:
            raise InputError(
                f"ingest.sources: {source_name(source)} has no field {column!r} (fields.{role}) {where}; its fields: {', '.join(sorted(there))}"
            )


def _from_columns(piece: Slice, row: int, values: dict[str, Any]) -> Raw | Drop:
    fields = piece.source.fields
    for column in _columns(piece.source):
        if column not in values:
            return _drop(piece, row, DropReason.MISSING_FIELD, f"no field {column!r}")
    return Raw(row, values[fields.question], values[fields.answer], values[fields.id] if fields.id else None, "")


def _drop(piece: Slice, row: int, reason: DropReason, detail: str) -> Drop:
    return Drop(row_name(piece, row), "ingest", reason, detail[:300].encode("utf-8", "replace").decode())


def row_name(piece: Slice, row: int) -> str:
    """The id of a row that has none of its own."""
    return f"{piece.name}-{row:06d}"


_PLANNERS: dict[str, Callable[..., Any]] = {
    "reasoning_gym": _plan_gym,
    "jsonl": _plan_jsonl,
    "parquet": _plan_parquet,
    "huggingface": _plan_hub,
}
_READERS: dict[str, Callable[[Slice], Iterator[Raw | Drop]]] = {
    "reasoning_gym": _read_gym,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "huggingface": _read_hub,
}
