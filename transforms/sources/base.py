"""What all sources share: their configuration, slices, and rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from transforms.configuration import Config as BaseConfig
from transforms.errors import InputError
from transforms.types import Drop, DropReason, drop

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


class Table(BaseConfig):
    """What sources of rows with columns have in common."""

    name: str | None = Field(None, min_length=1, max_length=100)
    fields: Fields = Fields()
    answer_kind: Literal["math", "choice", "text", "code"] = "math"
    answer_after: str | None = Field(
        None, min_length=1, description="keep what follows its last occurrence, as GSM8K's ####"
    )

    @model_validator(mode="after")
    def _kind_has_its_columns(self) -> Table:
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


class ReasoningGym(BaseConfig):
    """Generated problems. `config` is the dataset's own; `seed` is base.seed unless given."""

    kind: Literal["reasoning_gym"]
    dataset: str
    size: int = Field(ge=1, le=MAX_ROWS)
    seed: int | None = None
    config: dict[str, JsonValue] = {}
    name: str | None = Field(None, min_length=1, max_length=100)


class Jsonl(Table):
    """JSON lines, plain, .gz or .zst."""

    kind: Literal["jsonl"]
    path: str = Field(min_length=1)


class Parquet(Table):
    """One Parquet file."""

    kind: Literal["parquet"]
    path: str = Field(min_length=1)


class HuggingFace(Table):
    """A dataset by hub id, or a folder that `datasets.load_dataset` reads."""

    kind: Literal["huggingface"]
    path: str = Field(min_length=1)
    subset: str | None = None
    split: str = "train"
    revision: str | None = None


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


def row_name(piece: Slice, row: int) -> str:
    """The id of a row that has none of its own."""
    return f"{piece.name}-{row:06d}"


def unreadable(piece: Slice, row: int, reason: DropReason, detail: str) -> Drop:
    """A row that cannot be read."""
    return drop(row_name(piece, row), "ingest", reason, detail)


def from_columns(piece: Slice, row: int, values: dict[str, Any]) -> Raw | Drop:
    """A row of a table; numbers as `as_text` writes them."""
    fields = piece.source.fields
    for column in fields.columns():
        if column not in values:
            return unreadable(piece, row, DropReason.MISSING_FIELD, f"no field {column!r}")
    return Raw(
        row,
        **{role: values[column] for role, column in fields.model_dump().items() if column is not None}
        | ({} if fields.answer else {"answer": None}),
    )


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


def check_fields(source: Table, label: str, there: set[str], where: str) -> None:
    """Raises InputError if a named column is not `there`."""
    for role, column in source.fields.model_dump().items():
        if column is not None and column not in there:
            without = "; where there are no references, fields.answer: null" if role == "answer" else ""
            raise InputError(
                f"{label} has no field {column!r} (fields.{role}) {where}; its fields: {', '.join(sorted(there))}{without}"
            )
