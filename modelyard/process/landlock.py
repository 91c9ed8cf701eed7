"""Landlock: a process that gives up all access to files and ports but that of a list of rules (Linux 5.13, or
later).

A ruleset is a descriptor. The parent makes the ruleset, and the child, which inherits the descriptor, enters the
ruleset before the child executes a foreign program. Rights that a kernel does not know are left out of the ruleset.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CREATE_RULESET, _ADD_RULE = 444, 445
_VERSION = 1
_RULE_PATH, _RULE_PORT = 1, 2

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_CHAR = 1 << 6
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
MAKE_SOCK = 1 << 9
MAKE_FIFO = 1 << 10
MAKE_BLOCK = 1 << 11
MAKE_SYM = 1 << 12
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15

READ = EXECUTE | READ_FILE | READ_DIR
USE = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV
"""Read and write an existing file or device."""
OWN = (1 << 16) - 1 & ~(MAKE_CHAR | MAKE_BLOCK)
"""All that a process does with a folder of its own."""

_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_FIRST_ABI = {REFER: 2, TRUNCATE: 3, IOCTL_DEV: 5}
_PORTS_ABI = 4
_SCOPES_ABI = 6
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _PortRule(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


@dataclass(frozen=True, slots=True)
class PathRule:
    path: Path
    rights: int


def abi() -> int:
    """Return the version of the kernel's Landlock; 0 for a kernel without."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(_syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def controls_ports(version: int) -> bool:
    return version >= _PORTS_ABI


def controls_signals(version: int) -> bool:
    return version >= _SCOPES_ABI


def open_ruleset(rules: Iterable[PathRule], *, connect_ports: Iterable[int] | None = None) -> int:
    """Return the ruleset's descriptor, which the caller closes. Missing paths are left out.

    TCP ports may be bound by no process and be connected to if among `connect_ports`; None leaves ports alone. Raises
    OSError on a kernel without Landlock.
    """
    version = abi()
    known = known_rights(version)
    has_ports = controls_ports(version) and connect_ports is not None
    attributes = _RulesetAttributes(
        fs=known,
        net=_BIND_TCP | _CONNECT_TCP if has_ports else 0,
        scoped=_SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if controls_signals(version) else 0,
    )
    # Older kernels know a shorter structure, and refuse a longer one only where the rest is not zero.
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    ruleset = _checked(_syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0))
    try:
        for rule in rules:
            _add_path(ruleset, rule, known)
        if has_ports:
            for port in connect_ports or ():
                _add_port(ruleset, port)
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def known_rights(version: int) -> int:
    """Return all rights to files that a version of Landlock controls."""
    rights = (1 << 16) - 1
    for right, first in _FIRST_ABI.items():
        if version < first:
            rights &= ~right
    return rights


def _add_path(ruleset: int, rule: PathRule, known: int) -> None:
    try:
        path = os.open(rule.path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        allowed = rule.rights & known
        if not stat.S_ISDIR(os.fstat(path).st_mode):
            allowed &= _ON_FILES
        parameters = _PathRule(allowed, path)
        _checked(_syscall(_ADD_RULE, ruleset, _RULE_PATH, ctypes.byref(parameters), 0))
    finally:
        os.close(path)


def _add_port(ruleset: int, port: int) -> None:
    parameters = _PortRule(_CONNECT_TCP, port)
    _checked(_syscall(_ADD_RULE, ruleset, _RULE_PORT, ctypes.byref(parameters), 0))


_syscall = ctypes.CDLL(None, use_errno=True).syscall


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"landlock: {os.strerror(number)}")
    return int(result)
