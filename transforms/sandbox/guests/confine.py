"""Limits the process that calls it, for good. The first thing that a guest does, before it reads anything."""

from __future__ import annotations

import os
import resource

OPEN_FILES = 64
UNCHANGED = -1


def confine(user: int, cpu_seconds: int, memory_bytes: int, processes: int, file_bytes: int) -> None:
    """Sets the limits and becomes `user`; UNCHANGED leaves the number of processes, or the user, as it is.

    The number of processes is not enforced for root, so root must change. From root to another user, the kernel
    drops all capabilities. bwrap has set no_new_privs, so that no file gives any back.
    """
    limits = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if processes != UNCHANGED:
        limits[resource.RLIMIT_NPROC] = processes
    for name, value in limits.items():
        most = resource.getrlimit(name)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(name, (value, value))  # the soft one too: no signal that could be caught
    if user != UNCHANGED:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        if 0 in (*os.getresuid(), *os.getresgid()) or _regains_root():
            raise PermissionError("root was not given up")


def _regains_root() -> bool:
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True


def probe() -> None:
    """A guest that does nothing: it ran, so the sandbox works, and the library can be read in it."""
    import fractions

    del fractions
