"""Arrow schemas of the records, derived from their fields, and the way there and back.

`Step(start=0, end=5, kind="prose")` ↔ `{"start": 0, "end": 5, "kind": "prose"}` ↔ an Arrow struct.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import pyarrow as pa

_SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
Record = TypeVar("Record")


@cache
def arrow_schema(record: Any) -> pa.Schema:
    """The Arrow schema of a record type.

    Raises:
        TypeError: a field is not str, int, float, bool, a record, or a tuple of one of these.
    """
    return pa.schema([pa.field(name, _arrow_type(hint), nullable=False) for name, hint in _hints(record).items()])


def to_table(record: type, rows: Iterable[Any]) -> pa.Table:
    """The rows, all of type `record`, as a table. Shape: len(rows) × fields of the record."""
    return pa.Table.from_pylist([to_plain(row) for row in rows], schema=arrow_schema(record))


def to_plain(row: Any) -> dict[str, Any]:
    """The fields of a record as Arrow takes them: records as dicts, tuples as lists."""
    return {field.name: _plain(getattr(row, field.name)) for field in fields(row)}


def from_plain(record: type[Record], values: dict[str, Any]) -> Record:
    """The record whose fields `values` holds, as Arrow's `to_pylist` gives them."""
    return record(**{name: _rebuilt(hint, values[name]) for name, hint in _hints(record).items()})  # type: ignore[arg-type]


@cache
def _hints(record: Any) -> dict[str, Any]:
    return get_type_hints(record)


def _arrow_type(hint: Any) -> pa.DataType:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if is_dataclass(hint):
        return pa.struct([pa.field(name, _arrow_type(inner), nullable=False) for name, inner in _hints(hint).items()])  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        return pa.list_(pa.field("element", _arrow_type(get_args(hint)[0]), nullable=False))
    raise TypeError(f"no Arrow type for {hint!r}")


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_plain(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _rebuilt(hint: Any, value: Any) -> Any:
    if is_dataclass(hint):
        return from_plain(hint, value)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return tuple(_rebuilt(inner, item) for item in value)
    return value
