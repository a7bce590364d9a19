"""What all sources share: their configuration, slices, and rows."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from transforms.core.config import Config as BaseConfig
from transforms.core.drops import Drop, DropReason, Reason, drop
from transforms.core.errors import InputError

MAX_ROWS = 100_000_000


class Fields(BaseConfig):
    """Which column holds what. Without `id`, ids are the source's name and the row number.

    `answer: null` is for problems without references. `options` is a list of texts. The others are for code: `tests`
    holds asserts (a text or a list of texts) or pairs ({inputs, outputs}, or a list of {input, output}, also as JSON).
    """

    question: str = "question"
    answer: str | None = "answer"
    id: str | None = None
    options: str | None = None
    tests: str | None = None
    entry_point: str | None = None
    prefix: str | None = None
    setup: str | None = None

    def columns(self) -> list[str]:
        """The distinct columns that are read."""
        return list(dict.fromkeys(name for name in self.model_dump().values() if name is not None))


class Rows(BaseConfig):
    """What sources of rows have in common, be they problems or traces. `limit`: only this many rows, from the first.

    `answer_after`: keep what follows its last occurrence in the reference, as GSM8K's ####. `license`: of the source, as an SPDX
    identifier such as cc-by-4.0; it goes with each example.
    """

    name: str | None = Field(None, min_length=1, max_length=100)
    limit: int | None = Field(None, ge=1)
    fields: Any
    answer_kind: Literal["math", "choice", "text", "code"] = "math"
    answer_after: str | None = Field(None, min_length=1)
    license: str = Field("", max_length=100)

    @model_validator(mode="after")
    def _kind_has_its_columns(self) -> Rows:
        if (self.answer_kind == "code") != (self.fields.tests is not None):
            raise PydanticCustomError(
                "source",
                "answer_kind: code and fields.tests, the column with the tests, go together",
                {"key": "answer_kind"},
            )
        if self.fields.options is not None and self.answer_kind != "choice":
            raise PydanticCustomError(
                "source",
                "fields.options, the column with the options, needs answer_kind: choice",
                {"key": "answer_kind"},
            )
        return self


class Table(Rows):
    """A source of problems in rows with columns."""

    fields: Fields = Fields()

    def columns(self) -> dict[str, str]:
        """The columns that must be there, by role."""
        return {role: column for role, column in self.fields.model_dump().items() if column is not None}

    def row(self, row: int, values: Mapping[str, Any]) -> Raw | Reason:
        """A row of the table, or why it is none; numbers as `as_text` writes them."""
        columns = self.columns()
        for column in columns.values():
            if column not in values:
                return Reason(DropReason.MISSING_FIELD, f"no field {column!r}")
        return Raw(row, **{"answer": None} | {role: values[column] for role, column in columns.items()})


class ReasoningGym(BaseConfig):
    """Generated problems. `config` is the dataset's own; `seed` is base.seed unless given."""

    kind: Literal["reasoning_gym"]
    dataset: str
    size: int = Field(ge=1, le=MAX_ROWS)
    seed: int | None = None
    config: dict[str, JsonValue] = {}
    license: str = Field("apache-2.0", max_length=100)  # reasoning-gym's own
    name: str | None = Field(None, min_length=1, max_length=100)


class JsonlFile(BaseConfig):
    """JSON lines, plain, .gz or .zst."""

    kind: Literal["jsonl"]
    path: str = Field(min_length=1)


class ParquetFile(BaseConfig):
    """One Parquet file."""

    kind: Literal["parquet"]
    path: str = Field(min_length=1)


class HubDataset(BaseConfig):
    """A dataset by hub id, or a folder that `datasets.load_dataset` reads. `streaming`: row by row, without keeping it."""

    kind: Literal["huggingface"]
    path: str = Field(min_length=1)
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    streaming: bool = False


class Jsonl(JsonlFile, Table):
    """Problems in JSON lines."""


class Parquet(ParquetFile, Table):
    """Problems in a Parquet file."""


class HuggingFace(HubDataset, Table):
    """Problems in a Hugging Face dataset."""


Source = Annotated[ReasoningGym | Jsonl | Parquet | HuggingFace, Field(discriminator="kind")]
Benchmark = Annotated[Jsonl | Parquet | HuggingFace, Field(discriminator="kind")]


class Slice(NamedTuple):
    """Rows `start` to `stop` of a source; `offset` is where they start in an uncompressed file, in bytes."""

    source: Any
    name: str
    seed: int
    start: int
    stop: int
    offset: int


class Planned(NamedTuple):
    """What a source holds: (row, byte offset) where each slice starts, the number of rows, and its identity."""

    starts: list[tuple[int, int]]
    num_rows: int
    identity: dict[str, Any]


class Raw(NamedTuple):
    """A row as its source has it: the value of each role of `Fields` that the source names."""

    row: int
    question: Any
    answer: Any
    id: Any = None
    entry: str = ""
    options: Any = None
    tests: Any = None
    entry_point: Any = None
    prefix: Any = None
    setup: Any = None


def evenly(num_rows: int, shard_rows: int, identity: dict[str, Any]) -> Planned:
    """A source with random access."""
    return Planned([(start, 0) for start in range(0, num_rows, shard_rows)], num_rows, identity)


_READING: dict[str, tuple[int, Iterator[Any]]] = {}  # source → the next row, and the reader that stands there
atexit.register(_READING.clear)


def in_order(name: str, open_rows: Callable[[], Iterator[Any]], start: int, stop: int) -> Iterator[tuple[int, Any]]:
    """Rows `start` to `stop` of what can only be read from its start, each with its number.

    The reader is kept for the slice that follows, so that slices in order cost one pass in all. One reader a process:
    each has a file open.
    """
    there, rows = _READING.get(name, (0, iter(())))
    if there == 0 or there > start:
        there, rows = 0, open_rows()
    _READING.clear()
    for number, row in enumerate(rows, start=there):
        if number + 1 == stop:
            _READING[name] = (stop, rows)
        if number >= start:
            yield number, row
        if number + 1 == stop:
            return


def row_name(piece: Slice, row: int) -> str:
    """The id of a row that has none of its own."""
    return f"{piece.name}-{row:06d}"


def unreadable(piece: Slice, row: int, reason: DropReason, detail: str) -> Drop:
    """A row that cannot be read."""
    return drop(row_name(piece, row), "ingest", reason, detail)


def from_columns(piece: Slice, row: int, values: dict[str, Any]) -> Any:
    """A row of a table as its source reads it (`Raw`, or a `TraceRow`), or a drop, by its own id where it has one."""
    found = piece.source.row(row, values)
    if not isinstance(found, Reason):
        return found
    own = as_text(values.get(piece.source.fields.id or ""))
    return drop(own or row_name(piece, row), "ingest", *found)


def as_text(value: Any) -> str | None:
    """Text as it is, a finite number without exponent, None for everything else. 1e16 → "10000000000000000"."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite() or abs(number.adjusted()) > 1000:
        return None
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def check_fields(source: Any, label: str, there: set[str], where: str) -> None:
    """Raises InputError if a named column is not `there`."""
    for role, column in source.columns().items():
        if column not in there:
            without = "; where there are no references, fields.answer: null" if role == "answer" else ""
            raise InputError(
                f"{label} has no field {column!r} (fields.{role}) {where}; its fields: {', '.join(sorted(there))}{without}"
            )
