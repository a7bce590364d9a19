"""Judges a program by its tests. The program is a model's text, so it runs in a sandbox and is never believed.

    judge_code("def f(x):\n    return x + 1", CodeTests(asserts=("assert f(1) == 2",)), Limits())
        → Judgement(CORRECT, "code:asserts")

Asserts run in a second sandbox (`guests/checker.py`), which asks the program for values over a socket; the expected
values never enter the program's sandbox, and the verdict does not pass through it. Programs that read and write are
run once per pair, and what they wrote is compared here. What the tests themselves get wrong is undecided.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import re
import socket
import subprocess
import symtable
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from io import FileIO

from transforms.core.records import CodeTests, Outcome
from transforms.judging.judgement import Judgement
from transforms.sandbox.bubblewrap import Limits, guest, require, run_seconds, text_file, wall_seconds
from transforms.sandbox.watch import Over, watch

ASSERTS, STDIN = "code:asserts", "code:stdin"
_BUILTINS = frozenset(dir(builtins))
_MAX_VERDICT_BYTES = 1 << 16
_MISSING = re.compile(r"ModuleNotFoundError: No module named '(\w+)")
_OVER = {
    "cpu": "the program needs more than {0.cpu_seconds:g} s of CPU time",
    "memory": "the program needs more than {0.memory_mib} MiB of memory",
    "processes": "the program starts more than {0.processes} processes",
    "output": "the program writes more than {0.output_kib} KiB",
}


@dataclass(frozen=True)
class Plan:
    """What the checker does. `needed` are the names under test, `optional` those that the program may define."""

    prefix: str
    modules: tuple[str, ...]
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    setup: str
    asserts: tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """The global names of a text: those it binds, uses, and calls."""

    bound: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    called: frozenset[str] = frozenset()


def judge_code(code: str, tests: CodeTests, limits: Limits) -> Judgement:
    """Whether the program passes all tests.

    Raises:
        SandboxError: no sandbox works here, and the limits do not allow to go without.
    """
    require(limits.allow_unsandboxed)
    if tests.asserts:
        return _judge_asserts(code, tests, limits)
    if len(tests.inputs) != len(tests.outputs) or not tests.inputs:
        return Judgement(Outcome.UNDECIDED, STDIN, "there are no tests, or not as many outputs as inputs")
    return _judge_pairs(code, tests, limits)


def _judge_asserts(code: str, tests: CodeTests, limits: Limits) -> Judgement:
    try:
        plan = make_plan(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Judgement(Outcome.UNDECIDED, ASSERTS, f"the tests do not run: {type(error).__name__}: {error}"[:300])
    if not plan.needed:
        return Judgement(Outcome.UNDECIDED, ASSERTS, "the tests do not say what is under test")
    with ExitStack() as stack:
        channels = [stack.enter_context(end) for end in socket.socketpair()]
        verdict, told = _pipe(stack)
        texts = {"prefix": tests.prefix, "whole_prefix": plan.prefix, "code": code}
        program = text_file(stack, json.dumps(texts).encode())
        checks = text_file(stack, json.dumps(asdict(plan)).encode())
        candidate = stack.enter_context(guest("candidate.serve", limits, (channels[0].fileno(), program)))
        checker = stack.enter_context(guest("checker.check", limits, (channels[1].fileno(), checks, told.fileno())))
        for channel in channels:
            channel.close()
        told.close()
        said = {verdict.fileno(): bytearray()}
        end = time.monotonic() + run_seconds(limits)
        over = watch([candidate, checker], said, limits, _MAX_VERDICT_BYTES, end)
        if over:
            return _over(over, limits, ASSERTS)
        (message,) = said.values()
        return _concluded(bytes(message[4:]), candidate)


def _pipe(stack: ExitStack) -> tuple[FileIO, FileIO]:
    reads, writes = os.pipe()
    return stack.enter_context(FileIO(reads, "rb")), stack.enter_context(FileIO(writes, "wb"))


def _concluded(message: bytes, candidate: subprocess.Popen[bytes]) -> Judgement:
    """The verdict of the checker, which is trusted, but may have died."""
    if not message:
        return Judgement(Outcome.UNDECIDED, ASSERTS, "the tests ended early")
    found = json.loads(message)
    if found["outcome"] == "gone":
        return Judgement(Outcome.INCORRECT, ASSERTS, _ended(candidate))
    return Judgement(Outcome(found["outcome"]), ASSERTS, found["reason"])


def _ended(process: subprocess.Popen[bytes]) -> str:
    """How a program ended that closed its files. bwrap ends with 128 + the signal."""
    try:
        code = process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return "the program closed its channel"
    number = -code if code < 0 else code - 128
    if number == 9:
        return "the program was killed: it killed itself, or needs too much CPU time or memory"
    return f"the program ended by signal {number}" if number > 0 else f"the program ended early, with code {code}"


def _over(over: Over, limits: Limits, rule: str) -> Judgement:
    if over.limit == "wall":
        return Judgement(Outcome.UNDECIDED, rule, "no verdict in time, though little CPU time was used")
    if over.guest:
        return Judgement(Outcome.UNDECIDED, rule, f"the tests exceed the limit of {over.limit}")
    return Judgement(Outcome.INCORRECT, rule, _OVER[over.limit].format(limits))


def _judge_pairs(code: str, tests: CodeTests, limits: Limits) -> Judgement:
    source = f"{tests.prefix}\n{code}" if tests.prefix else code
    end = time.monotonic() + wall_seconds(tests, limits)
    for number, (given, expected) in enumerate(zip(tests.inputs, tests.outputs, strict=True), 1):
        judgement = _judge_pair(source, given, expected, limits, end)
        if judgement.outcome != Outcome.CORRECT:
            return judgement._replace(reason=f"pair {number} of {len(tests.inputs)}: {judgement.reason}")
    return Judgement(Outcome.CORRECT, STDIN)


def _judge_pair(source: str, given: str, expected: str, limits: Limits, end: float) -> Judgement:
    with ExitStack() as stack:
        began, starts = _pipe(stack)
        program = text_file(stack, source.encode("utf-8", "replace"))
        process = stack.enter_context(
            guest("candidate.run", limits, (starts.fileno(), program), given.encode("utf-8", "replace"))
        )
        starts.close()
        assert process.stdout
        assert process.stderr
        started, written, complaint = bytearray(), bytearray(), bytearray()
        outputs = {began.fileno(): started, process.stdout.fileno(): written, process.stderr.fileno(): complaint}
        most = max(limits.output_kib << 10, 2 * len(expected.encode("utf-8", "replace")))
        limits = limits.model_copy(update={"output_kib": most >> 10})
        end = min(end, time.monotonic() + run_seconds(limits))
        over = watch([process], outputs, limits, most, end, (process.stderr.fileno(),))
        if over:
            return _over(over, limits, STDIN)
        if not started:
            return Judgement(Outcome.UNDECIDED, STDIN, "the sandbox did not start")
        if failed := process.wait():
            last = complaint.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {failed}"]
            if (lacks := _MISSING.match(last[0])) and lacks[1] not in sys.stdlib_module_names:
                return Judgement(Outcome.UNDECIDED, STDIN, f"needs the module {lacks[1]}, which is not in the sandbox")
            return Judgement(Outcome.INCORRECT, STDIN, f"the program fails: {last[0][:200]}")
    if _lines(written.decode(errors="replace")) != _lines(expected):
        return Judgement(Outcome.INCORRECT, STDIN, "another output")
    return Judgement(Outcome.CORRECT, STDIN)


def _lines(text: str) -> list[str]:
    """The lines without spaces on their right, and without empty ones at the end."""
    return [line.rstrip() for line in text.rstrip().split("\n")]


def make_plan(tests: CodeTests) -> Plan:
    """Finds the names under test, and calls HumanEval's `check` where the tests only define it.

    Raises:
        SyntaxError: a test is no Python.
        ValueError: a test holds a null character.
    """
    prefix, asserts = _runnable(tests.prefix), tests.asserts
    if tests.entry_point and _only_defines_check(asserts):
        asserts = (*asserts, f"check({tests.entry_point})")
    helpers = names_of(prefix)
    parts = [names_of(text) for text in (tests.setup, *asserts)]
    bound = helpers.bound.union(*(part.bound for part in parts))
    called = frozenset().union(*(part.called for part in parts))
    used = frozenset().union(*(part.used for part in parts))
    free = used - bound - _BUILTINS - {tests.entry_point}
    modules = {name for name in free & sys.stdlib_module_names if name not in called}
    needed = {tests.entry_point} if tests.entry_point else free - modules or (called & _BUILTINS) - bound
    return Plan(
        prefix=prefix,
        modules=tuple(sorted(modules)),
        needed=tuple(sorted(needed)),
        optional=tuple(sorted(free - modules - needed)),
        setup=tests.setup,
        asserts=asserts,
    )


def names_of(text: str) -> Names:
    """The names of a text, seen from its top.

    Raises:
        SyntaxError: it is no Python.
    """
    bound, used = set(), set()
    for table in _tables(symtable.symtable(text, "<tests>", "exec")):
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            if (top or symbol.is_global()) and symbol.is_referenced():
                used.add(symbol.get_name())
            if (top or symbol.is_declared_global()) and (symbol.is_assigned() or symbol.is_imported()):
                bound.add(symbol.get_name())
    calls = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    called = {function.id for function in calls if isinstance(function, ast.Name)}
    return Names(frozenset(bound), frozenset(used), frozenset(called & used))


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _runnable(prefix: str) -> str:
    """The prefix for the checker: one that ends in a function's head gets a body."""
    try:
        ast.parse(prefix)
    except SyntaxError:
        completed = f"{prefix.rstrip()}\n    pass\n"
        ast.parse(completed)
        return completed
    return prefix


def _only_defines_check(asserts: tuple[str, ...]) -> bool:
    statements = [statement for text in asserts for statement in ast.parse(text).body]
    defines = any(isinstance(statement, ast.FunctionDef) and statement.name == "check" for statement in statements)
    calls = any(
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and isinstance(statement.value.func, ast.Name)
        and statement.value.func.id == "check"
        for statement in statements
    )
    return defines and not calls
