"""Looks after running guests from outside: what they say, what they use, and how long they take.

setrlimit counts each process for itself; here a guest and all that descend from it count together, by /proc. Where
there is no /proc, or the kernel does not list children in it, only setrlimit and the clock hold.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from transforms.sandbox.bubblewrap import Limits

POLL_SECONDS = 0.03
TAIL_BYTES = 1 << 12


class Usage(NamedTuple):
    """What a process and all that descend from it use now; `cpu_seconds` also of those they waited for."""

    cpu_seconds: float
    memory_bytes: int
    processes: int


Limit = Literal["cpu", "memory", "processes", "output", "wall"]


class Over(NamedTuple):
    """A limit, and the number of the guest that ran into it."""

    limit: Limit
    guest: int


def watch(
    processes: Sequence[subprocess.Popen[bytes]],
    outputs: dict[int, bytearray],
    limits: Limits,
    most: int,
    end: float,
    tails: Collection[int] = (),
) -> Over | None:
    """Reads open files to their ends into `outputs`, and looks after the processes' use. None: all files have ended.

    Of `tails` only the last bytes are kept; of the others there may be `most` together. `end` is of `time.monotonic`.
    """
    look = time.monotonic() + POLL_SECONDS
    with selectors.DefaultSelector() as selector:
        for file in outputs:
            selector.register(file, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(max(0.0, look - time.monotonic())):
                part = os.read(key.fd, 1 << 16)
                outputs[key.fd] += part
                if key.fd in tails:
                    del outputs[key.fd][:-TAIL_BYTES]
                else:
                    most -= len(part)
                if not part:
                    selector.unregister(key.fd)
            if most < 0:
                return Over("output", 0)
            if (now := time.monotonic()) > look:
                if over := _over(processes, limits):
                    return over
                if now > end:
                    return Over("wall", 0)
                look = now + POLL_SECONDS
    return None


def _over(processes: Sequence[subprocess.Popen[bytes]], limits: Limits) -> Over | None:
    for number, process in enumerate(processes):
        used = usage(process.pid)
        if used.cpu_seconds > limits.cpu_seconds:
            return Over("cpu", number)
        if used.memory_bytes > limits.memory_mib << 20:
            return Over("memory", number)
        if used.processes > limits.processes + 2:  # bwrap's own two
            return Over("processes", number)
    return None


def usage(process: int) -> Usage:
    """Zero where the system does not tell (no /proc), or the process has gone."""
    ticks = pages = count = 0
    left = [process]
    while left:
        folder = f"/proc/{left.pop()}"
        try:
            with open(f"{folder}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            for task in os.listdir(f"{folder}/task"):
                with open(f"{folder}/task/{task}/children", "rb") as file:
                    left += [int(child) for child in file.read().split()]
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
        pages += int(fields[21])
        count += 1
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"), count)
