"""Runs tests, in a sandbox of its own, over a program that runs in another one.

    plan {"prefix", "modules", "needed", "optional", "setup", "asserts"}  →  verdict {"outcome", "reason"}

The names under test are bound to what the candidate answers: plain data, or a `Handle` that asks the candidate when it
is called, read or iterated. Comparisons are made here, over plain types, so no object of the candidate takes part in
them: a handle equals only itself.
"""

from __future__ import annotations

import builtins
import json

from . import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn

TESTS = "<tests>"
MAX_ITERATIONS = 200_000
MAX_REASON = 200
CORRECT, INCORRECT, UNDECIDED, GONE = "correct", "incorrect", "undecided", "gone"


class RemoteError(Exception):
    """An exception of the candidate that is no builtin one; the message starts with its name."""


class Verdict(BaseException):
    """Ends the tests, from any depth. No `except Exception` of a test catches it."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(outcome, reason)
        self.outcome, self.reason = outcome, reason


class Remote:
    """Asks the candidate. A verdict once reached stays, whatever a test does with the exception."""

    def __init__(self, channel: int) -> None:
        self.channel = channel
        self.asked = 0
        self.verdict: Verdict | None = None
        self.handles: dict[int, Handle] = {}

    def start(self) -> None:
        """Waits until the candidate is about to run the program."""
        if wire.receive(self.channel) != b'"ready"':
            self.end(UNDECIDED, "the sandbox of the program did not start")

    def ask(self, operation: str, *operands: Any) -> Any:
        """The answer, or the exception that the candidate says it met."""
        if self.verdict:
            raise self.verdict
        self.asked += 1
        match self._exchange(self._packed([operation, *operands])):
            case ("ok", value):
                return value
            case ("error", str(name), str(message)):
                raise _exception(name, message)
        return self.end(INCORRECT, "the program broke the protocol")

    def _exchange(self, request: bytes) -> Any:
        try:
            wire.send(self.channel, request)
            answer = wire.receive(self.channel)
            if answer is not None:
                return wire.unpack(answer, self.handle)
        except OSError:
            pass
        except ValueError as error:
            self.end(INCORRECT, f"the program broke the protocol: {error}")
        return self.end(GONE, "")

    def _packed(self, value: Any) -> bytes:
        try:
            return wire.pack(value, self._number)
        except wire.UnsendableError as error:
            self.end(UNDECIDED, f"the tests pass {error}")

    def _number(self, value: Any) -> int:
        if isinstance(value, Handle):
            return object.__getattribute__(value, "_number")
        raise wire.UnsendableError(f"a {type(value).__name__}, which is not plain data")

    def handle(self, number: int) -> Handle:
        """The one handle of a number."""
        if number not in self.handles:
            self.handles[number] = Handle(self, number)
        return self.handles[number]

    def end(self, outcome: str, reason: str) -> NoReturn:
        """Ends the tests with a verdict."""
        self.verdict = Verdict(outcome, reason)
        raise self.verdict from None


class Handle:
    """Something in the candidate. Equal to itself alone, and hashed by identity."""

    __slots__ = ("_number", "_remote")
    _number: int
    _remote: Remote

    def __init__(self, remote: Remote, number: int) -> None:
        object.__setattr__(self, "_remote", remote)
        object.__setattr__(self, "_number", number)

    def __call__(self, *positional: Any, **named: Any) -> Any:
        return self._remote.ask("call", self, positional, named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._remote.ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._remote.ask("set", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._remote.ask("item", self, key)

    def __iter__(self) -> Iterator[Any]:
        iterator, size, count = self._remote.ask("iter", self), 1, 0
        while True:
            items, ended = self._take(iterator, size)
            yield from items
            if ended:
                return
            size, count = min(2 * size, 256), count + len(items)
            if count > MAX_ITERATIONS:
                self._remote.end(INCORRECT, f"an iterator of more than {MAX_ITERATIONS} items")

    def __next__(self) -> Any:
        items, _ = self._take(self, 1)
        if not items:
            raise StopIteration
        return items[0]

    def _take(self, iterator: Any, size: int) -> tuple[list[Any], bool]:
        match self._remote.ask("take", iterator, size):
            case (list() as items, bool() as ended) if len(items) <= size and (items or ended):
                return items, ended
        return self._remote.end(INCORRECT, "the program broke the protocol")

    def __len__(self) -> int:
        return self._remote.ask("len", self)

    def __bool__(self) -> bool:
        return self._remote.ask("bool", self)

    def __str__(self) -> str:
        return self._remote.ask("str", self)

    def __repr__(self) -> str:
        return f"<handle {self._number}>"


def check(channel: int, source: int, verdict: int) -> None:
    """Runs the plan in the file `source` over the candidate at the end of `channel`; writes to `verdict`."""
    remote = Remote(channel)
    try:
        remote.start()
        _run(json.loads(wire.read_all(source)), remote)
        found = remote.verdict or Verdict(CORRECT, "")
    except Verdict as error:
        found = error
    wire.send(verdict, json.dumps({"outcome": found.outcome, "reason": found.reason[: 2 * MAX_REASON]}).encode())


def _run(plan: dict[str, Any], remote: Remote) -> None:
    space: dict[str, Any] = {"__name__": TESTS}
    _execute(plan["prefix"], space, remote)
    space.update({name: __import__(name) for name in plan["modules"]})
    space.update(_loaded(plan, remote))
    for text in (plan["setup"], *plan["asserts"]):
        _execute(text, space, remote)
    if not remote.asked:
        remote.end(UNDECIDED, "the tests never ask the program")


def _loaded(plan: dict[str, Any], remote: Remote) -> dict[str, Any]:
    """What the program defines of the names under test. From here on, plain values count as asked for."""
    try:
        loaded = remote.ask("load", [*plan["needed"], *plan["optional"]])
    except Exception as error:
        remote.end(INCORRECT, f"the program raises {_said(error)}")
    if not isinstance(loaded, dict) or not set(plan["needed"] + plan["optional"]) >= set(loaded):
        remote.end(INCORRECT, "the program broke the protocol")
    for name in plan["needed"]:
        if name not in loaded:
            remote.end(INCORRECT, f"the program does not define {name}")
    remote.asked = sum(not isinstance(value, Handle) for value in loaded.values())
    return loaded


def _execute(text: str, space: dict[str, Any], remote: Remote) -> None:
    """Runs a piece of the tests. What fails before the program was asked anything is the tests' own fault."""
    try:
        exec(compile(text, TESTS, "exec"), space)
    except Verdict:
        raise
    except BaseException as error:
        if remote.verdict:
            raise remote.verdict from None
        said = f"{_said(error)} at: {_line(error, text)}"
        remote.end(*((INCORRECT, said) if remote.asked else (UNDECIDED, f"the tests do not run: {said}")))


def _said(error: BaseException) -> str:
    name = "" if isinstance(error, RemoteError) else f"{type(error).__name__}: "
    return (name + str(error)).rstrip(": ")[:MAX_REASON]


def _line(error: BaseException, text: str) -> str:
    """The innermost line of the tests that the error went through."""
    number, trace = 1, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == TESTS:
            number = trace.tb_lineno
        trace = trace.tb_next
    lines = text.splitlines()[number - 1 : number]
    return lines[0].strip()[:MAX_REASON] if lines else ""


def _exception(name: str, message: str) -> Exception:
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(message)
        except TypeError:  # UnicodeDecodeError wants five arguments
            pass
    return RemoteError(f"{name}: {message}" if message else name)
