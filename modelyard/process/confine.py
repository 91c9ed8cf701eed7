"""Confine a foreign program: the process shim's child calls `enter` before the child executes the program.

The plan is a JSON object of the parent, which has made it for the kernel at hand. Each step that fails ends the start.
Standard library only, in the grammar of Python 3.8: part of the process shim.
"""

import base64
import ctypes
import fcntl
import json
import os
import resource
import socket
import struct
import sys

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 445, 446
_LANDLOCK_RULE_PATH = 1

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 1 << 14, 1 << 18
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

NAMESPACES = {"mount": 0x00020000, "ipc": 0x08000000, "net": 0x40000000}
_USER_NAMESPACE = 0x10000000


def join_cgroups(plan):
    for procs in plan.get("cgroups", ()):
        with open(procs, "w") as file:
            file.write("0")


def enter_namespaces(plan):
    """Before the change of user: root needs no user namespace."""
    names = plan.get("namespaces", ())
    if not names:
        return
    uid, gid = os.getuid(), os.getgid()
    flags = sum(NAMESPACES[name] for name in names)
    if uid != 0:
        flags |= _USER_NAMESPACE
    _check(_libc.unshare(flags), "unshare")
    if uid != 0:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    if "mount" in names:
        # Later mounts of the machine stay invisible here, and those of the program on the machine.
        _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "mount /")
        if plan["shared_memory"]:
            options = "mode=1777,size={}".format(plan["shared_memory"]).encode()
            flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
            _check(_libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", flags, options), "mount /dev/shm")
    if "net" in names:
        _bring_loopback_up()


def _bring_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        _, flags = struct.unpack("16sH14x", request)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def enter(plan):
    """After the change of user: limits, then Landlock, then the filter of system calls."""
    for name, value in plan.get("limits", {}).items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))
    _prefer_as_victim_of_memory_shortage()
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    if "landlock" in plan:
        for path, rights in plan.get("landlock_rules", ()):
            _allow(plan["landlock"], path, rights)
        _check(_libc.syscall(_LANDLOCK_RESTRICT_SELF, plan["landlock"], 0), "landlock")
        os.close(plan["landlock"])
    if "seccomp" in plan:
        _install_filter(base64.b64decode(plan["seccomp"]))


def _prefer_as_victim_of_memory_shortage():
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
    except OSError:
        return


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _allow(ruleset, path, rights):
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rule = _PathRule(rights, folder)
    _check(_libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH, ctypes.byref(rule), 0), "landlock")
    os.close(folder)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _install_filter(program):
    filter_ = _Program(len(program) // 8, program)
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0), "seccomp")


def _check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    # A trial of a plan, to find the kernel's offers.
    trial = json.loads(sys.argv[1])
    enter_namespaces(trial)
    enter(trial)
