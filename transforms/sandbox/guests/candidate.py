"""Runs a model's program inside its sandbox. Nothing that this process says is trusted.

`serve` loads the program, then answers a checker's requests: (operation, operands…) → (changes, "ok", value), or
(changes, "error", name of the exception, message); the changes are the contents of those containers of the request
that are no longer as they were. `run` runs it as a script, with standard input and output.
"""

from __future__ import annotations

import builtins
import json
import operator
import os
import sys

from . import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

NAME = "solution"


class Objects:
    """What crossed as a handle: the objects by their number. They stay alive, so `id` tells them apart."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.failed: dict[int, BaseException] = {}

    def number(self, value: Any) -> int:
        """The number that stands for `value`."""
        if id(value) not in self.numbers:
            self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)
        return self.numbers[id(value)]

    def take(self, iterator: Iterator[Any], most: int) -> tuple[list[Any], bool]:
        """At most `most` next items, and whether that was all. An exception after some items comes the next time."""
        if failed := self.failed.pop(id(iterator), None):
            raise failed
        items: list[Any] = []
        try:
            while len(items) < most:
                items.append(next(iterator))
        except StopIteration:
            return items, True
        except BaseException as error:
            if not items:
                raise
            self.failed[id(iterator)] = error
        return items, False


def load(prefix: str, whole_prefix: str, code: str, names: list[str]) -> dict[str, Any]:
    """Runs the program; those of `names` that it defines.

    The code may go on in the middle of the prefix, as the body of its last function; where the two together are
    no Python (`from __future__` must come first), they are run one after the other, the prefix as what is whole.
    """
    module = _module(NAME)
    try:
        parts = [compile(f"{prefix}\n{code}", f"{NAME}.py", "exec")]
    except SyntaxError:
        parts = [compile(part, f"{NAME}.py", "exec") for part in (whole_prefix, code)]
    for part in parts:
        exec(part, module)
    return {name: module[name] for name in names if name in module}


def _module(name: str) -> dict[str, Any]:
    module = type(sys)(name)
    module.__file__ = os.path.abspath(f"{NAME}.py")
    sys.modules[name] = module
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # `site` is not there to make them
    return module.__dict__


def serve(channel: int, source: int) -> None:
    """Answers requests until the checker goes. `source` is a file with {"prefix", "whole_prefix", "code"} as JSON."""
    texts = json.loads(wire.read_all(source))
    objects = Objects()
    operations: dict[str, Callable[..., Any]] = {
        "load": lambda names: load(**texts, names=names),
        "call": lambda target, positional, named: target(*positional, **named),
        "get": getattr,
        "set": setattr,
        "item": lambda target, key: target[key],
        "iter": iter,
        "take": objects.take,
        "len": len,
        "bool": bool,
        "str": str,
        "repr": repr,
        "format": format,
        "has": lambda target, name: hasattr(type(target), name),
    }
    wire.send(channel, b'"ready"')
    while (request := wire.receive(channel)) is not None:
        shared = wire.Shared()
        operation, *operands = wire.unpack(request, objects.objects.__getitem__, shared)
        shared.closed = True
        wire.send(channel, _answer(operations[operation], operands, objects, shared))


def _answer(operation: Callable[..., Any], operands: list[Any], objects: Objects, shared: wire.Shared) -> bytes:
    before = [wire.contents(container) for container in shared.objects]
    try:
        try:
            found: tuple[Any, ...] = ("ok", operation(*operands))
        except BaseException as error:
            found = _error(error)
        return wire.pack((_changes(shared, before), *found), objects.number, shared, marks=True)
    except BaseException as error:  # the answer is too large
        return wire.pack(([], *_error(error)), objects.number)


def _error(error: BaseException) -> tuple[str, str, str]:
    try:
        message = str(error)[:200]
    except BaseException:
        message = ""
    return "error", type(error).__name__, message


def _changes(shared: wire.Shared, before: list[Any]) -> list[tuple[int, Any]]:
    """(number, contents) of each container that holds other objects than before, or in another order."""
    after = [wire.contents(container) for container in shared.objects]
    return [(number, now) for number, now in enumerate(after) if not _same(before[number], now)]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bytes):
        return one == other
    return len(one) == len(other) and all(map(operator.is_, one, other))


def run(started: int, source: int) -> None:
    """Runs the program in the file `source` as a script, after a byte to `started`."""
    code = wire.read_all(source).decode()
    os.write(started, b"1")
    os.close(started)
    sys.argv = [f"{NAME}.py"]
    exec(compile(code, f"{NAME}.py", "exec"), _module("__main__"))
