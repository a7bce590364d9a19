"""Runs tests, in a sandbox of its own, over a program that runs in another one.

    plan {"prefix", "modules", "needed", "optional", "setup", "asserts"}  →  verdict {"outcome", "reason"}

The names under test are bound to what the candidate answers: plain data, or a `Handle` that asks the candidate when it
is called, read or iterated. Comparisons are made here, over plain types, so no object of the candidate takes part in
them: where a test compares a handle, or does else what cannot be asked, the verdict is undecided.
"""

from __future__ import annotations

import builtins
import json
import re
import sys

from . import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn

TESTS = "<tests>"
MAX_ITERATIONS = 200_000
MAX_REASON = 200
TOLD = ("__name__", "__qualname__", "__doc__", "__dict__")
CORRECT, INCORRECT, UNDECIDED, GONE = "correct", "incorrect", "undecided", "gone"
_ENDS = (StopIteration, StopAsyncIteration)  # they would end a loop of the tests, such as that of `all`
_MISSING = re.compile(r"No module named '(\w+)")
_HANDLED = re.compile(r"'Handle'|\bHandle\b|catching classes that do not inherit|exceptions must derive from")


class RemoteError(Exception):
    """An exception of the candidate that is no builtin one, or would end a loop; the message starts with its name."""


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
        self.raised: Exception | None = None
        self.handles: dict[int, Handle] = {}
        self.surroundings = _surroundings()

    def start(self) -> None:
        """Waits until the candidate is about to run the program."""
        if wire.receive(self.channel) != b'"ready"':
            self.end(UNDECIDED, "the sandbox of the program did not start")

    def ask(self, operation: str, *operands: Any) -> Any:
        """The answer, or the exception that the candidate says it met."""
        if self.verdict:
            raise self.verdict
        if any(now is not before for now, before in zip(_surroundings(), self.surroundings, strict=True)):
            self.needs("to read what the program prints, or to replace what it calls")
        self.asked += 1
        shared = wire.Shared()
        request = self._packed([operation, *operands], shared)
        shared.closed = True
        match self._exchange(request, shared):
            case (list() as changes, "ok", value):
                self._apply(changes, shared)
                return value
            case (list() as changes, "error", str(name), str(message)):
                self._apply(changes, shared)
                self.raised = _exception(name, message)
                raise self.raised
        return self.end(INCORRECT, "the program broke the protocol")

    def _apply(self, changes: list[Any], shared: wire.Shared) -> None:
        """What the program changed in what the test passed, as if it had been passed itself."""
        try:
            for number, found in changes:
                wire.replace(shared.objects[number], found)
        except (TypeError, ValueError, IndexError):
            self.end(INCORRECT, "the program broke the protocol")

    def _exchange(self, request: bytes, shared: wire.Shared) -> Any:
        try:
            wire.send(self.channel, request)
            answer = wire.receive(self.channel)
            if answer is not None:
                return wire.unpack(answer, self.handle, shared)
        except OSError:
            pass
        except ValueError as error:
            self.end(INCORRECT, f"the program broke the protocol: {error}")
        return self.end(GONE, "")

    def _packed(self, value: Any, shared: wire.Shared) -> bytes:
        try:
            return wire.pack(value, _number, shared)
        except wire.UnsendableError as error:
            self.end(UNDECIDED, f"the tests pass {error}")

    def handle(self, number: int, *copied: Any) -> Any:
        """The one handle of a number, or a plain copy that knows its handle."""
        if number not in self.handles:
            self.handles[number] = Handle(number)
        return _copy(self.handles[number], *copied) if copied else self.handles[number]

    def needs(self, what: str) -> NoReturn:
        """Ends the tests, which cannot be answered."""
        self.end(UNDECIDED, f"the tests need {what}")

    def end(self, outcome: str, reason: str) -> NoReturn:
        """Ends the tests with a verdict."""
        self.verdict = self.verdict or Verdict(outcome, reason)
        raise self.verdict from None


def _surroundings() -> tuple[Any, ...]:
    """What tests replace to see what a program prints, or to tell it what to read."""
    return sys.stdin, sys.stdout, sys.stderr, builtins.input, builtins.print, builtins.open


def _refusal(name: str) -> Any:
    def refuse(*_: Any) -> NoReturn:
        Kind.remote.needs(f"{name} of an object of the program")

    return refuse


class Kind(type):
    """The type of `Handle`: what tests ask of an object's type cannot be told."""

    remote: Remote  # not where a name of the candidate's objects could meet it

    def _needs(cls, *_: Any) -> NoReturn:
        Kind.remote.needs("the type of an object of the program")

    __eq__ = __ne__ = _needs
    __hash__ = type.__hash__
    __name__ = property(_needs)


class Handle(wire.Proxy, metaclass=Kind):
    """Something in the candidate. What it cannot be asked ends the tests, undecided."""

    __slots__ = ("__number",)
    __class__ = property(_refusal("the type"))

    def __init__(self, number: int) -> None:
        object.__setattr__(self, "_Handle__number", number)

    def __call__(self, *positional: Any, **named: Any) -> Any:
        return Kind.remote.ask("call", self, positional, named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in TOLD:
            Kind.remote.needs(f"{name} of an object of the program")
        return Kind.remote.ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        Kind.remote.ask("set", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return Kind.remote.ask("item", self, key)

    def __iter__(self) -> Iterator[Any]:
        iterator, size, count = Kind.remote.ask("iter", self), 1, 0
        while True:
            items, ended = _take(iterator, size)
            yield from items
            if ended:
                return
            size, count = min(2 * size, 256), count + len(items)
            if count > MAX_ITERATIONS:
                Kind.remote.end(INCORRECT, f"an iterator of more than {MAX_ITERATIONS} items")

    def __next__(self) -> Any:
        items, _ = _take(self, 1)
        if not items:
            raise StopIteration
        return items[0]

    def __contains__(self, value: Any) -> bool:
        if Kind.remote.ask("has", self, "__contains__") is not False:
            Kind.remote.needs("__contains__ of an object of the program")
        return any(item is value or item == value for item in self)

    def __len__(self) -> int:
        return Kind.remote.ask("len", self)

    def __bool__(self) -> bool:
        return Kind.remote.ask("bool", self)

    def __str__(self) -> str:
        return Kind.remote.ask("str", self)

    def __repr__(self) -> str:
        return Kind.remote.ask("repr", self)

    def __format__(self, how: str) -> str:
        return Kind.remote.ask("format", self, how)


def _take(iterator: Any, size: int) -> tuple[list[Any], bool]:
    match Kind.remote.ask("take", iterator, size):
        case (list() as items, bool() as ended) if len(items) <= size and (items or ended):
            return items, ended
    return Kind.remote.end(INCORRECT, "the program broke the protocol")


class _More(wire.Proxy):
    """What the copies have instead of the rest of the object that they were made of."""

    _handle: Handle
    __class__ = property(_refusal("the type"))

    def __getattr__(self, name: str) -> Any:
        Kind.remote.needs(f"{name} of an object of the program")

    def __str__(self) -> str:
        return str(self._handle)

    def __repr__(self) -> str:
        return repr(self._handle)

    def __format__(self, how: str) -> str:
        return format(self._handle, how)


def _names(text: str) -> list[str]:
    return [f"__{name}__" for name in text.split()]


_OPERATORS = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor"
_BINARY = _names(" ".join(f"{name} r{name} i{name}" for name in _OPERATORS.split()) + " lt le gt ge")
_OTHERS = _names(
    "eq ne hash neg pos abs invert round trunc floor ceil int float complex index bytes reversed setitem delitem delattr "
    "enter exit aenter aexit await aiter anext instancecheck subclasscheck mro_entries fspath dir"
)
for _name in (*_BINARY, *_OTHERS):
    setattr(Handle, _name, _refusal(_name))

_PLAIN = (int, float, complex, str, bytes, list, tuple, set, frozenset, dict)
_COPIES = {kind: type(kind.__name__, (_More, kind), {}) for kind in _PLAIN}
for _name in (*_BINARY, "__missing__"):
    setattr(_COPIES[dict], _name, _refusal(_name))


def _copy(handle: Handle, value: Any) -> Any:
    """A value of a candidate's own type, as the plain one that it is.

    Raises:
        KeyError: the value is of no type that has copies.
    """
    copied = _COPIES[type(value)](value)
    copied._handle = handle
    return copied


def _number(value: Any) -> int:
    """The number of a handle, or of a copy that no test can have changed."""
    kind = type(value)
    if issubclass(kind, _More) and not issubclass(kind, (list, dict, set)):
        value = value._handle
    elif kind is not Handle:
        raise wire.UnsendableError(f"a {kind.__name__}, which is not plain data")
    return object.__getattribute__(value, "_Handle__number")


def check(channel: int, source: int, verdict: int) -> None:
    """Runs the plan in the file `source` over the candidate at the end of `channel`; writes to `verdict`."""
    Kind.remote = remote = Remote(channel)
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
        _lacks(error, remote)
        remote.end(INCORRECT, f"the program raises {_said(error)}")
    if not isinstance(loaded, dict) or not set(plan["needed"] + plan["optional"]) >= set(loaded):
        remote.end(INCORRECT, "the program broke the protocol")
    for name in plan["needed"]:
        if name not in loaded:
            remote.end(INCORRECT, f"the program does not define {name}")
    remote.asked = sum(type(value) is not Handle for value in loaded.values())
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
        _lacks(error, remote)
        said = _said(error)
        if remote.verdict:
            raise remote.verdict from None
        if error is not remote.raised and isinstance(error, (TypeError, AttributeError)) and _HANDLED.search(said):
            remote.needs(f"an object of the program: {said}")
        said += f" at: {_line(error, text)}"
        remote.end(*((INCORRECT, said) if remote.asked else (UNDECIDED, f"the tests do not run: {said}")))


def _lacks(error: BaseException, remote: Remote) -> None:
    """Ends the tests where a module is missing that the standard library does not have."""
    found = _MISSING.match(str(error)) if isinstance(error, ModuleNotFoundError) else None
    if found and found[1] not in sys.stdlib_module_names:
        remote.end(UNDECIDED, f"needs the module {found[1]}, which is not in the sandbox")


def _said(error: BaseException) -> str:
    name = "" if isinstance(error, RemoteError) else f"{type(error).__name__}: "
    try:
        return (name + str(error)).rstrip(": ")[:MAX_REASON]
    except Exception:  # its message is an object of the program
        return name.rstrip(": ")


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
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _ENDS):
        try:
            return kind(message)
        except TypeError:  # UnicodeDecodeError wants five arguments
            pass
    return RemoteError(f"{name}: {message}" if message else name)
