"""The sandbox of a foreign program: the plan that the process shim carries out before the program starts.

The plan is made for the kernel at hand. `probe` finds the kernel's offers once, by trying; `Protection` names each
offer, so that a platform can say which protections are in force.
"""

import base64
import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from modelyard.process import confine, landlock, seccomp
from modelyard.process.landlock import READ, USE, PathRule
from modelyard.process.seccomp import Comparison, Rule

_PROBE_SECONDS = 10.0
_ALL_NAMESPACES = ("mount", "ipc", "net")

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_DGRAM = 2
_NEW_NAMESPACE_FLAGS = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
_ALL_PROCESSES = 0xFFFFFFFF
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_RLIMIT_MSGQUEUE = 12

_KERNEL_CALLS = (
    *("acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime", "delete_module"),
    *("fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "ioperm", "iopl"),
    *("kexec_file_load", "kexec_load", "keyctl", "modify_ldt", "mount", "mount_setattr", "move_mount"),
    *("name_to_handle_at", "open_by_handle_at", "open_tree", "open_tree_attr", "perf_event_open", "pivot_root"),
    *("quotactl", "reboot", "request_key", "setdomainname", "sethostname", "setns", "settimeofday", "swapoff"),
    *("swapon", "syslog", "umount2", "unshare", "userfaultfd", "vhangup"),
)
_OTHER_PROCESSES = (
    *("kcmp", "migrate_pages", "move_pages", "pidfd_getfd", "process_madvise", "process_vm_readv"),
    *("process_vm_writev", "ptrace"),
)
# A program that finds no such call falls back to older calls, which the filter can judge.
_FALL_BACK = ("clone3", "io_uring_enter", "io_uring_register", "io_uring_setup")
_SHARED_BETWEEN_PROCESSES_OF_A_USER = (
    *("mq_open", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop"),
    *("shmat", "shmctl", "shmget", "setpriority", "ioprio_set"),
)
# By path, on any file of the user: Landlock does not control these.
_FILE_ATTRIBUTES = (
    *("chmod", "chown", "fchmodat", "fchmodat2", "fchownat", "file_setattr", "futimesat", "lchown", "lremovexattr"),
    *("lsetxattr", "removexattr", "removexattrat", "setxattr", "setxattrat", "utime", "utimes"),
)

SYSTEM_RULES = (
    *(PathRule(Path(path), READ) for path in ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")),
    *(PathRule(Path(path), READ) for path in ("/nix/store", "/gnu/store", "/proc")),
    *(PathRule(Path("/etc") / name, READ) for name in ("alternatives", "ca-certificates", "fonts", "ld.so.cache")),
    *(PathRule(Path("/etc") / name, READ) for name in ("ld.so.conf", "ld.so.conf.d", "ld.so.preload", "localtime")),
    *(PathRule(Path("/etc") / name, READ) for name in ("group", "hosts", "mime.types", "nsswitch.conf", "OpenCL")),
    *(PathRule(Path("/etc") / name, READ) for name in ("passwd", "pki", "resolv.conf", "ssl", "timezone")),
    *(PathRule(Path("/etc") / name, READ) for name in ("gai.conf", "host.conf", "services", "protocols")),
    *(PathRule(Path("/sys") / name, READ) for name in ("devices/system", "fs/cgroup", "kernel/mm")),
    *(PathRule(Path("/dev") / name, USE) for name in ("null", "zero", "full", "random", "urandom")),
    *(PathRule(path, USE) for pattern in ("nvidia*", "dri", "kfd") for path in Path("/dev").glob(pattern)),
)
_THREADS_FIELD = 17
SHARED_MEMORY = Path("/dev/shm")


class Protection(StrEnum):
    """A name for operators: stands in `modelyard status` and in the resource of a worker."""

    ACCOUNT = "account"
    """A user of the deployment's own."""
    LIMITS = "limits"
    """No new privileges; limits on memory, processes, open files and file size; no core dumps."""
    FILES = "files"
    """Landlock: no file but the program's own and the system's libraries; no other process's memory."""
    SIGNALS = "signals"
    """Landlock 6: no signal to other processes."""
    SYSTEM_CALLS = "system-calls"
    """seccomp: no call that reaches the kernel's or another process's inside."""
    NETWORK = "network"
    """No network at all."""
    SHARED_MEMORY = "shared-memory"
    """A /dev/shm and System V objects of the program's own."""
    CGROUP = "cgroup"
    """Limits on memory and processes of the whole process tree."""


class SandboxUnavailable(Exception):
    """The kernel offers less than the setting requires; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Offers of the kernel to this process."""

    landlock: int = 0
    """Version; 0 for none."""
    seccomp: bool = False
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Rules for one program. `kernel` with no offers leaves limits alone in force."""

    kernel: Kernel
    rules: tuple[PathRule, ...]
    has_network: bool
    owns_account: bool
    """Whether the program's user runs no other program of the platform."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """By name, "RLIMIT_NOFILE" for example."""
    shared_memory_bytes: int = 0
    """Size of the private /dev/shm. 0: the program uses the machine's, which may hold the rules' folders."""
    cgroup_files: tuple[str, ...] = ()

    @property
    def protections(self) -> tuple[Protection, ...]:
        kernel = self.kernel
        no_network = not self.has_network and ("net" in kernel.namespaces or kernel.seccomp)
        in_force = {
            Protection.ACCOUNT: self.owns_account,
            Protection.LIMITS: True,
            Protection.FILES: kernel.landlock > 0,
            Protection.SIGNALS: landlock.controls_signals(kernel.landlock),
            Protection.SYSTEM_CALLS: kernel.seccomp,
            Protection.NETWORK: no_network,
            Protection.SHARED_MEMORY: bool(kernel.namespaces and self.shared_memory_bytes),
            Protection.CGROUP: bool(self.cgroup_files),
        }
        return tuple(protection for protection, holds in in_force.items() if holds)

    @contextmanager
    def plan(self) -> Iterator[tuple[int, ...]]:
        """Yield the descriptors for the shim: the first for `--confine`, all to be inherited."""
        document: dict[str, Any] = {"limits": dict(self.limits), "cgroups": self.cgroup_files}
        kernel = self.kernel
        namespaces = [name for name in kernel.namespaces if name != "net" or not self.has_network]
        document |= {"namespaces": namespaces, "shared_memory": self.shared_memory_bytes}
        if kernel.seccomp:
            document["seccomp"] = base64.b64encode(seccomp.assemble(self._call_rules())).decode()
        reader, writer = os.pipe()
        inherited = [reader]
        try:
            with open(writer, "w") as out:
                if kernel.landlock:
                    inherited.append(landlock.open_ruleset(self._path_rules()))
                    document["landlock"] = inherited[-1]
                    # /dev/shm may be another folder once the program has entered its namespaces.
                    shared = landlock.OWN & landlock.known_rights(kernel.landlock)
                    document["landlock_rules"] = [[str(SHARED_MEMORY), shared]]
                json.dump(document, out)
            yield tuple(inherited)
        finally:
            for descriptor in inherited:
                os.close(descriptor)

    def _path_rules(self) -> Iterator[PathRule]:
        yield from SYSTEM_RULES
        yield from self.rules

    def _call_rules(self) -> Iterator[Rule]:
        yield from (Rule(call) for call in (*_KERNEL_CALLS, *_OTHER_PROCESSES))
        yield from (Rule(call, errno.ENOSYS) for call in _FALL_BACK)
        yield Rule("clone", when=(Comparison(0, _NEW_NAMESPACE_FLAGS, any_bit=True),))
        yield Rule("kill", when=(Comparison(0, _ALL_PROCESSES),))
        yield Rule("ioctl", when=(Comparison(1, _TIOCSTI), Comparison(1, _TIOCLINUX)))
        yield from _limit_rules()
        yield from self._socket_rules()
        if not self.owns_account:
            yield from (Rule(call) for call in _SHARED_BETWEEN_PROCESSES_OF_A_USER)
            # Copies of files set these; success without an effect keeps such programs at work.
            yield from (Rule(call, 0) for call in _FILE_ATTRIBUTES)
            yield Rule("utimensat", 0, unless=(Comparison(1, 0),))
            # Names of files in any folder of the user.
            yield Rule("inotify_add_watch", errno.EACCES)

    def _socket_rules(self) -> Iterator[Rule]:
        families = []
        if self.has_network or "net" in self.kernel.namespaces:
            families += [_AF_INET, _AF_INET6, _AF_NETLINK]
        if self.owns_account:
            families.append(_AF_UNIX)
        else:
            # The user's sockets with a path are open to the program, those of the platform among them.
            # A datagram can go to any of these from one end of a pair, too.
            yield Rule("socketpair", errno.EACCES, when=(Comparison(1, _SOCK_DGRAM, any_bit=True),))
        yield Rule("socket", errno.EACCES, unless=tuple(Comparison(0, family) for family in families))


def _limit_rules() -> Iterator[Rule]:
    """No limits for other processes; and the mark on the program's own processes stays."""
    yield Rule("setrlimit", when=(Comparison(0, _RLIMIT_MSGQUEUE),))
    yield Rule("prlimit64", when=(Comparison(1, _RLIMIT_MSGQUEUE),))
    yield Rule("prlimit64", unless=(Comparison(0, 0),))


def missing(kernel: Kernel, *, owns_account: bool) -> list[str]:
    """Name the protections of a program that the kernel does not offer."""
    absent = {
        "Landlock (a kernel of version 5.13 or later, with Landlock among its security modules)": not kernel.landlock,
        "a seccomp filter (x86-64 or 64-bit Arm)": not kernel.seccomp,
        "a bound on signals (version 6.12 or later, or a platform that runs as root)": not owns_account
        and not landlock.controls_signals(kernel.landlock),
        "namespaces for /dev/shm and the network": "net" not in kernel.namespaces,
    }
    return [name for name, is_absent in absent.items() if is_absent]


def check_kernel(kernel: Kernel, *, owns_account: bool) -> None:
    """Raise SandboxUnavailable without control of files, system calls and signals; namespaces may be missing."""
    needed = Kernel(kernel.landlock, kernel.seccomp, _ALL_NAMESPACES)
    if absent := missing(needed, owns_account=owns_account):
        raise SandboxUnavailable(
            f"MODELYARD_SANDBOX is 'require', and this machine offers no {', no '.join(absent)}: start on another "
            "machine, or set 'best-effort'"
        )


def mark(platform: str) -> Mapping[str, int]:
    """A limit that marks all processes of a platform's programs; the filter of system calls keeps the mark.

    The limit on bytes in POSIX message queues, which no program under the filter can use.
    """
    number = int.from_bytes(hashlib.sha256(platform.encode()).digest()[:4], "big")
    return {"RLIMIT_MSGQUEUE": (1 << 18) + number % (1 << 18)}


def tasks_of_this_user() -> int:
    """Count the threads of this user's processes."""
    tasks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid == os.getuid():
                fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
                tasks += int(fields[_THREADS_FIELD])
        except OSError:
            continue
    return tasks


def probe() -> Kernel:
    """Try the kernel's offers, in a child process."""
    if not sys.platform.startswith("linux"):
        return Kernel()
    version, has_filter = landlock.abi(), seccomp.is_supported()
    choices: Iterable[tuple[str, ...]] = (_ALL_NAMESPACES, ("mount", "ipc"), ())
    namespaces = next(names for names in choices if not names or _works({"namespaces": names, "shared_memory": 4096}))
    return Kernel(
        landlock=version if version and _enters_ruleset() else 0,
        seccomp=has_filter and _works({"seccomp": base64.b64encode(seccomp.assemble([Rule("bpf")])).decode()}),
        namespaces=namespaces,
    )


def _enters_ruleset() -> bool:
    try:
        ruleset = landlock.open_ruleset(SYSTEM_RULES)
    except OSError:
        return False
    try:
        return _works({"landlock": ruleset}, ruleset)
    finally:
        os.close(ruleset)


def _works(plan: Mapping[str, Any], *inherited: int) -> bool:
    command = [sys.executable, "-I", "-S", str(confine.__file__), json.dumps(plan)]
    try:
        done = subprocess.run(
            command, pass_fds=inherited, capture_output=True, check=False, timeout=_PROBE_SECONDS, cwd="/"
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
