"""The system calls that a program in the sandbox cannot make, as a filter for `bwrap --seccomp`.

Namespaces and resource limits confine the rest. Refused are what gets round them: new namespaces and mounts (an own
user namespace would bring a tmpfs without a size), memory that no limit counts (memfd, System V shared memory),
sockets (AF_VSOCK is not in the network namespace), other processes' memory, and rarely used parts of the kernel.

A refused call fails with EPERM; `clone3` with ENOSYS, for its flags lie behind a pointer, and the C library then
uses `clone`, whose flags can be seen.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
_CLONE3 = 435  # the same everywhere, as are all numbers from 424 on
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian

_EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "memfd_secret": 447,
}
# name: (x86_64, aarch64)
_BY_MACHINE = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "finit_module": (313, 273),
    "init_module": (175, 105),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "mount": (165, 40),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vmsplice": (278, 75),
}


class Machine(NamedTuple):
    """`column` of the table above, the kernel's name for the architecture, and the number of `clone`."""

    column: int
    audit: int
    clone: int


MACHINES = {"x86_64": Machine(0, 0xC000003E, 56), "aarch64": Machine(1, 0xC00000B7, 220)}


def program(machine: str) -> bytes:
    """The filter for a machine of `platform.machine()`, as an array of `struct sock_filter`.

    Raises:
        KeyError: `machine` is not one of MACHINES.
    """
    return b"".join(struct.pack("=HBBI", *line) for line in _lines(MACHINES[machine]))


def _lines(machine: Machine) -> Iterator[tuple[int, int, int, int]]:
    """(operation, lines to skip if true, lines to skip if false, value); the last six lines are the ends."""
    refused = [numbers[machine.column] for numbers in _BY_MACHINE.values()] + list(_EVERYWHERE.values())
    yield _LOAD, 0, 0, _ARCHITECTURE
    yield _EQUAL, 1, 0, machine.audit
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    after = len(refused)  # lines between the next ones and the ends
    yield _AT_LEAST, after + 7, 0, 0x40000000  # x32: the same calls by other numbers
    yield _EQUAL, after + 5, 0, _CLONE3
    yield _EQUAL, after + 1, 0, machine.clone
    for left, number in zip(range(after, 0, -1), refused, strict=True):
        yield _EQUAL, left + 4, 0, number
    yield _RETURN, 0, 0, _ALLOW
    yield _LOAD, 0, 0, _FIRST_ARGUMENT
    yield _ANY_BIT, 2, 0, _NEW_NAMESPACES
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _ENOSYS
    yield _RETURN, 0, 0, _EPERM
