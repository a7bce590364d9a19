"""Plain values as bytes, between two processes that do not trust each other.

    [1, (2.5, {"a"})]  ↔  ["l",1,["t",2.5,["s","a"]]] as JSON, after its length

Exactly None, bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict and these types cross. An
instance of a subclass (Counter, namedtuple, IntEnum) crosses as its plain base, so that no method of it comes along;
anything else crosses as a number that stands for it, its handle.
"""

from __future__ import annotations

import json
import os

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
_MAKE: dict[str, Callable[[Any], Any]] = {"l": list, "t": tuple, "s": set, "z": frozenset}


class UnsendableError(Exception):
    """A value is too deep or too large, or has no handle."""


def pack(value: Any, handle: Callable[[Any], int]) -> bytes:
    """`value` as JSON; `handle` numbers what is not plain.

    Raises:
        UnsendableError: the value is too deep or too large (a list that holds itself is both).
    """
    packed = json.dumps(_Packer(handle).pack(value, MAX_DEPTH), allow_nan=False, separators=(",", ":")).encode()
    if len(packed) > MAX_BYTES:
        raise UnsendableError(f"a value of more than {MAX_BYTES >> 20} MiB")
    return packed


class _Packer:
    """Counts the items on the way down."""

    def __init__(self, handle: Callable[[Any], int]) -> None:
        self.handle = handle
        self.left = MAX_ITEMS

    def pack(self, value: Any, depth: int) -> Any:
        self.left -= 1
        if depth < 0 or self.left < 0:
            raise UnsendableError("a value that is too deep or too large")
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            number = int.__int__(value)
            return number if -_EXACT < number < _EXACT else ["i", hex(number)]
        if isinstance(value, float):
            real = float.__float__(value)
            return real if real - real == 0 else ["f", repr(real)]
        for kind, tag in _SEQUENCES:
            if isinstance(value, kind):
                return [tag, *[self.pack(item, depth - 1) for item in kind.__iter__(value)]]
        if isinstance(value, dict):
            return ["d", *[self.pack(item, depth - 1) for pair in dict.items(value) for item in pair]]
        if isinstance(value, bytes):
            return ["b", bytes.hex(value)]
        if isinstance(value, complex):
            plain = complex.__complex__(value)
            return ["c", self.pack(plain.real, depth - 1), self.pack(plain.imag, depth - 1)]
        if name := _TYPE_NAMES.get(id(value)):
            return ["y", name]
        return ["h", self.handle(value)]


def unpack(packed: bytes, handle: Callable[[int], Any]) -> Any:
    """The value, of plain types only; `handle` gives what stands for a number.

    Raises:
        ValueError: the bytes are not what `pack` makes.
    """
    try:
        return _unpacked(json.loads(packed, parse_constant=_refused), handle, MAX_DEPTH)
    except (TypeError, IndexError, KeyError, RecursionError, OverflowError) as error:
        raise ValueError(f"not a packed value: {type(error).__name__}") from None


def _unpacked(value: Any, handle: Callable[[int], Any], depth: int) -> Any:
    if not isinstance(value, (list, dict)):
        return value
    if isinstance(value, dict) or depth < 0:
        raise ValueError("not a packed value: an object, or too deep")
    tag, items = value[0], value[1:]
    if tag in _MAKE:
        return _MAKE[tag]([_unpacked(item, handle, depth - 1) for item in items])
    if tag == "d":
        flat = [_unpacked(item, handle, depth - 1) for item in items]
        return dict(zip(flat[::2], flat[1::2], strict=True))
    (first, *rest) = items
    if tag == "c":
        return complex(_unpacked(first, handle, 0), _unpacked(rest[0], handle, 0))
    if tag == "h" and type(first) is int:
        return handle(first)
    if tag == "y":
        return _TYPE_OF[first]
    if tag == "i":
        return int(first, 16)
    if tag == "f" and first in ("nan", "inf", "-inf"):
        return float(first)
    if tag == "b":
        return bytes.fromhex(first)
    raise ValueError("not a packed value: unknown tag")


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
