"""Plain values as bytes, between two processes that do not trust each other.

    [1, (2.5, {"a"})]  ↔  ["l",1,["t",2.5,["s","a"]]] as JSON, after its length

Exactly None, bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset, dict, range, Decimal,
Fraction, date, datetime without a time zone, timedelta, and the builtin types cross. An instance of a subclass
(Counter, namedtuple, IntEnum) crosses as its plain base, so that no method of it comes along; from the candidate, with
its number too. Anything else crosses as a number that stands for it, its handle.

The containers of a request have numbers, so that an answer can say which of them it means, and what has changed.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False  # typing takes longer to import than a program needs to run
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_BYTES = 8 << 20
MAX_DEPTH = 100
MAX_ITEMS = 1_000_000

_EXACT = 1 << 53  # a larger int goes as hexadecimal: JSON's decimals take quadratic time
_SEQUENCES: tuple[tuple[Any, str], ...] = ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "z"))
_TYPES: tuple[type, ...] = (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict, type(None))
_TYPE_NAMES = {id(kind): kind.__name__ for kind in _TYPES}
_TYPE_OF = {kind.__name__: kind for kind in _TYPES}
_SHARED = (list, dict, set, bytearray)
# How values that are made of ints or a text are taken apart; their modules are imported only where they are needed.
_VALUES: dict[tuple[str, str], tuple[type, Callable[[Any], list[Any]]]] = {
    ("builtins", "range"): (int, lambda value: [value.start, value.stop, value.step]),
    ("decimal", "Decimal"): (str, lambda value: [str(value)]),
    ("fractions", "Fraction"): (int, lambda value: [value.numerator, value.denominator]),
    ("datetime", "date"): (int, lambda value: [value.year, value.month, value.day]),
    ("datetime", "datetime"): (int, lambda value: [*value.timetuple()[:6], value.microsecond]),
    ("datetime", "timedelta"): (int, lambda value: [value.days, value.seconds, value.microseconds]),
}
_MODULE_OF = {name: module for module, name in _VALUES}


class UnsendableError(Exception):
    """A value is too deep or too large, or has no handle."""


class Proxy:
    """Stands in the checker for an object of the candidate, and goes back as its handle."""

    __slots__ = ()


class Shared:
    """The lists, dicts, sets and bytearrays of a request, in their order. Once `closed`, no more are added."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.closed = False

    def add(self, value: Any) -> None:
        """Gives the value the next number."""
        if not self.closed:
            self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)


def contents(container: Any) -> Any:
    """What is in a container that is shared, as it crosses."""
    if isinstance(container, bytearray):
        return bytes(container)
    if isinstance(container, dict):
        return [item for pair in dict.items(container) for item in pair]
    return list(set.__iter__(container) if isinstance(container, set) else list.__iter__(container))


def replace(container: Any, found: Any) -> None:
    """Puts `contents` into a container in place of what was in it.

    Raises:
        TypeError, ValueError: they do not fit.
    """
    if isinstance(container, bytearray):
        bytearray.__setitem__(container, slice(None), found)
    elif isinstance(container, dict):
        pairs = list(zip(found[::2], found[1::2], strict=True))
        dict.clear(container)
        dict.update(container, pairs)
    elif isinstance(container, set):
        items = set(found)
        set.clear(container)
        set.update(container, items)
    else:
        list.__setitem__(container, slice(None), list(found))


def pack(value: Any, handle: Callable[[Any], int], shared: Shared | None = None, marks: bool = False) -> bytes:
    """`value` as JSON; `handle` numbers what is not plain, and with `marks` what is more than plain.

    Raises:
        UnsendableError: the value is too deep or too large (a list that holds itself is both).
    """
    packed = json.dumps(
        _Packer(handle, shared, marks).pack(value, MAX_DEPTH), allow_nan=False, separators=(",", ":")
    ).encode()
    if len(packed) > MAX_BYTES:
        raise UnsendableError(f"a value of more than {MAX_BYTES >> 20} MiB")
    return packed


class _Packer:
    """Counts the items on the way down."""

    def __init__(self, handle: Callable[[Any], int], shared: Shared | None, marks: bool) -> None:
        self.handle, self.shared, self.marks = handle, shared, marks
        self.left = MAX_ITEMS

    def pack(self, value: Any, depth: int) -> Any:
        self.left -= 1
        if depth < 0 or self.left < 0:
            raise UnsendableError("a value that is too deep or too large")
        if value is None or value is True or value is False:
            return value
        kind = type(value)  # not isinstance, which would ask the value
        if issubclass(kind, Proxy):
            return ["h", self.handle(value)]
        if self.shared and issubclass(kind, _SHARED):
            if (number := self.shared.numbers.get(id(value))) is not None:
                return ["r", number]
            self.shared.add(value)
        if self.marks and id(kind) not in _TYPE_NAMES and issubclass(kind, _TYPES):
            return ["u", self.handle(value), self._plain(value, kind, depth - 1)]
        return self._plain(value, kind, depth)

    def _plain(self, value: Any, kind: type, depth: int) -> Any:
        if issubclass(kind, str):
            return str.__str__(value)
        if issubclass(kind, int):
            number = int.__int__(value)
            return number if -_EXACT < number < _EXACT else ["i", hex(number)]
        if issubclass(kind, float):
            real = float.__float__(value)
            return real if real - real == 0 else ["f", repr(real)]
        for base, tag in _SEQUENCES:
            if issubclass(kind, base):
                return [tag, *[self.pack(item, depth - 1) for item in base.__iter__(value)]]
        if issubclass(kind, dict):
            return ["d", *[self.pack(item, depth - 1) for pair in dict.items(value) for item in pair]]
        if issubclass(kind, bytes):
            return ["b", bytes.hex(value)]
        if kind is bytearray:
            return ["a", value.hex()]
        if issubclass(kind, complex):
            plain = complex.__complex__(value)
            return ["c", self.pack(plain.real, depth - 1), self.pack(plain.imag, depth - 1)]
        if name := _TYPE_NAMES.get(id(value)):
            return ["y", name]
        if parts := _parts(value, kind):
            return ["v", kind.__name__, *[self.pack(part, 0) for part in parts]]
        return ["h", self.handle(value)]


def _parts(value: Any, kind: type) -> list[Any]:
    """What one of `_VALUES` is made of; nothing for other objects."""
    try:
        module, name = type.__getattribute__(kind, "__module__"), type.__getattribute__(kind, "__name__")
        _, parts = _VALUES[module, name]
    except (KeyError, TypeError, AttributeError):
        return []
    if getattr(sys.modules.get(module), name, None) is not kind or getattr(value, "tzinfo", None) is not None:
        return []
    return parts(value)


def unpack(packed: bytes, handle: Callable[..., Any], shared: Shared | None = None) -> Any:
    """The value, of plain types only; `handle` gives what stands for a number, or for a number and a plain copy.

    Raises:
        ValueError: the bytes are not what `pack` makes.
    """
    try:
        return _Unpacker(handle, shared or Shared()).unpack(json.loads(packed, parse_constant=_refused), MAX_DEPTH)
    except (TypeError, IndexError, KeyError, RecursionError, ArithmeticError) as error:
        raise ValueError(f"not a packed value: {type(error).__name__}") from None


class _Unpacker:
    def __init__(self, handle: Callable[..., Any], shared: Shared) -> None:
        self.handle, self.shared = handle, shared

    def unpack(self, value: Any, depth: int) -> Any:
        if not isinstance(value, (list, dict)):
            return value
        if isinstance(value, dict) or depth < 0:
            raise ValueError("not a packed value: an object, or too deep")
        tag, items = value[0], value[1:]
        if tag in ("l", "d", "s", "a"):
            return self._container(tag, items, depth - 1)
        if tag in ("t", "z"):
            return (tuple if tag == "t" else frozenset)(self.unpack(item, depth - 1) for item in items)
        (first, *rest) = items
        if tag == "c":
            return complex(self.unpack(first, 0), self.unpack(rest[0], 0))
        if tag == "h" and type(first) is int:
            return self.handle(first)
        if tag == "u" and type(first) is int:
            return self.handle(first, self.unpack(rest[0], depth - 1))
        if tag == "r" and type(first) is int and first >= 0:
            return self.shared.objects[first]
        if tag == "y":
            return _TYPE_OF[first]
        if tag == "v":
            return _value(first, [self.unpack(item, 0) for item in rest])
        if tag == "i":
            return int(first, 16)
        if tag == "f" and first in ("nan", "inf", "-inf"):
            return float(first)
        if tag == "b":
            return bytes.fromhex(first)
        raise ValueError("not a packed value: unknown tag")

    def _container(self, tag: str, items: list[Any], depth: int) -> Any:
        """Numbered before what is in it, as when it was packed."""
        made: Any = {"l": list, "d": dict, "s": set, "a": bytearray}[tag]()
        self.shared.add(made)
        replace(made, bytes.fromhex(items[0]) if tag == "a" else [self.unpack(item, depth) for item in items])
        return made


def _value(name: str, parts: list[Any]) -> Any:
    """One of `_VALUES`."""
    module = _MODULE_OF[name]
    kind, _ = _VALUES[module, name]
    if any(type(part) is not kind for part in parts):
        raise ValueError("not a packed value: parts of another type")
    return getattr(__import__(module), name)(*parts)


def _refused(constant: str) -> None:
    raise ValueError(f"not a packed value: {constant}")


def send(channel: int, packed: bytes) -> None:
    """Writes one message."""
    message = memoryview(len(packed).to_bytes(4, "big") + packed)
    while message:
        message = message[os.write(channel, message) :]


def receive(channel: int) -> bytes | None:
    """Reads one message; None where the other side has gone.

    Raises:
        ValueError: the message says that it is longer than any may be.
    """
    head = _read(channel, 4)
    if head is None:
        return None
    length = int.from_bytes(head, "big")
    if length > MAX_BYTES:
        raise ValueError("a message that is too long")
    return _read(channel, length)


def _read(channel: int, length: int) -> bytes | None:
    parts = []
    while length:
        try:
            part = os.read(channel, min(length, 1 << 20))
        except ConnectionResetError:
            return None
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def read_all(file: int) -> bytes:
    """The whole of a file that is open, which is then closed."""
    parts = []
    while part := os.read(file, 1 << 20):
        parts.append(part)
    os.close(file)
    return b"".join(parts)
