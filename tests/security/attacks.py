"""Attacks of a hostile model on its machine. This file is the model's own code: standard library only.

`attack(text)` returns evidence of what the model got, or the error that refused the attack. `facts` hold what an
attacker could learn or guess, and then some: paths, process ids and ports of the platform and of a sibling.
"""

import ctypes
import errno
import fcntl
import glob
import json
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import subprocess
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
IS_X86 = platform.machine() == "x86_64"


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(x86, arm, *arguments):
    return checked(libc.syscall(ctypes.c_long(x86 if IS_X86 else arm), *map(as_argument, arguments)))


def as_argument(value):
    return ctypes.c_long(value) if isinstance(value, int) else value


def read(path):
    with open(path, "rb") as file:
        return repr(file.read(40))


def write(path):
    with open(path, "ab") as file:
        file.write(b"x")
    return "written"


def create(folder):
    path = os.path.join(folder, "planted")
    with open(path, "x"):
        return path


def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as connection:
        connection.settimeout(2)
        connection.connect(address)
        return "connected"


def loopback(port):
    return connect(socket.AF_INET, ("127.0.0.1", port))


def memory_of(pid):
    with open(f"/proc/{pid}/maps") as maps:
        start = int(maps.readline().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(start)
        return repr(memory.read(16))


def first_of(pattern, act):
    found = glob.glob(pattern)
    if not found:
        raise OSError(errno.ENOENT, "nothing matches " + pattern)
    return act(found[0])


def ptrace_attach(pid):
    seize = 0x4206
    return call(101, 117, seize, pid, 0, 0)


def read_remotely(pid):
    buffer = ctypes.create_string_buffer(16)
    vector = struct.pack("QQ", ctypes.addressof(buffer), 16)
    return call(310, 270, pid, vector, 1, struct.pack("QQ", 0x400000, 16), 1, 0)


def steal_descriptor(pid):
    return [call(438, 438, call(434, 434, pid, 0), number, 0) for number in range(4)]


def descriptors_of(pid):
    folder = f"/proc/{pid}/fd/"
    return [os.readlink(folder + name) for name in os.listdir(folder)]


def limit_of(pid):
    # Of processor time: the process would be killed at once.
    return call(302, 261, pid, 0, struct.pack("QQ", 1, 1), None)


def clone_with(flags):
    pid = call(56, 220, flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "a child in a new namespace"


def become_root():
    os.setuid(0)
    return os.getuid()


def gain_privileges():
    for program in ("/usr/bin/su", "/bin/su", "/usr/bin/passwd", "/usr/bin/mount"):
        if os.path.exists(program):
            with open("/proc/self/status") as status:
                if "NoNewPrivs:\t1" in status.read():
                    raise PermissionError("no new privileges")
            return program
    raise PermissionError("no program with more privileges")


def old_numbers():
    """getpid by the numbers of the x32 architecture, which a filter for x86-64 would let through."""
    if not IS_X86:
        raise PermissionError("no x32 here")
    return call(0x40000000 + 39, 0)


def read_through_link(target):
    os.symlink(target, "link")
    try:
        return read("link")
    finally:
        os.unlink("link")


def own_through_hard_link(target):
    os.link(target, "hard")
    os.unlink("hard")
    return "linked"


def lower_then_raise_mark():
    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))
    return "the mark is gone"


def raise_limits():
    for name in (resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE):
        resource.setrlimit(name, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return "no limits"


def abstract_socket(name):
    return connect(socket.AF_UNIX, "\0" + name)


def datagram_to(path):
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        return left.sendto(b"x", path)


def system_v(key):
    identifier = call(29, 194, key, 16, 0)
    return f"segment {identifier}"


def remove_system_v(key):
    return call(31, 195, call(29, 194, key, 0, 0), 0, 0)


def change_mode(path):
    before = os.stat(path).st_mode
    os.chmod(path, 0o600 if before & 0o777 != 0o600 else 0o644)
    if os.stat(path).st_mode == before:
        raise PermissionError("the mode stays")
    return "another mode"


def change_times(path):
    before = os.stat(path).st_mtime
    os.utime(path, (1, 1))
    if os.stat(path).st_mtime == before:
        raise PermissionError("the times stay")
    return "other times"


def replace_log(log):
    os.symlink("/etc/passwd", "other_link")
    os.replace("other_link", log)
    return log


def keep_ring(_):
    return call(248, 217, b"user", b"name", b"x", 1, -3)


def watch(path):
    """Names of files that others create, by inotify."""
    return checked(libc.inotify_add_watch(checked(libc.inotify_init()), path.encode(), 0xFFF))


def watch_all_files(path):
    """Events of a whole mount, by fanotify."""
    return call(301, 263, call(300, 262, 0, 0), 0x10, ctypes.c_ulong(0x20), -100, path.encode())


def change_attribute(path):
    """By the call of Linux 6.13, which a filter of older calls would let through."""
    arguments = struct.pack("QII", ctypes.addressof(ATTRIBUTE), 1, 0)
    return unchanged_is_refusal(path, lambda: call(463, 463, -100, path.encode(), 0, b"user.x", arguments, 16))


def remove_attribute(path):
    return unchanged_is_refusal(path, lambda: call(466, 466, -100, path.encode(), 0, b"user.planted"))


def change_inode_flags(path):
    """By the call of Linux 6.17: a project number and flags of the file system."""
    return unchanged_is_refusal(
        path, lambda: call(469, 469, -100, path.encode(), ctypes.create_string_buffer(24), 24, 0)
    )


def change_times_by_an_old_call(path):
    if not IS_X86:
        raise PermissionError("no such call here")
    times = struct.pack("qqqq", 1, 0, 1, 0)
    return unchanged_is_refusal(path, lambda: call(261, 0, -100, path.encode(), times))


def change_owner_by_an_old_call(path, user):
    if not IS_X86:
        raise PermissionError("no such call here")
    return unchanged_is_refusal(path, lambda: call(92, 0, path.encode(), user, user))


ATTRIBUTE = ctypes.create_string_buffer(b"x")


def unchanged_is_refusal(path, act):
    """The sandbox of an ordinary user reports success without an effect."""
    before = os.stat(path)
    act()
    if os.stat(path) == before:
        raise PermissionError("the file stays as it was")
    return "another state"


def signal_by_input(pid):
    """The kernel sends the signal when input arrives."""
    left, right = socket.socketpair()
    with left, right:
        fcntl.fcntl(left, fcntl.F_SETOWN, pid)
        fcntl.fcntl(left, 10, signal.SIGKILL)
        fcntl.fcntl(left, fcntl.F_SETFL, os.O_ASYNC)
        right.send(b"x")
        time.sleep(0.05)
    # The harm to the sibling is the evidence.
    raise PermissionError("the kernel tells nothing")


def signal_a_thread(pid):
    return call(234, 131, pid, pid, signal.SIGKILL)


def queue_a_signal(pid):
    return call(129, 138, pid, signal.SIGKILL, ctypes.create_string_buffer(128))


def in_memory_program(path):
    """A program without a file, which reads the path: the sandbox holds it as well."""
    descriptor = os.memfd_create("program")
    with open("/bin/cat", "rb") as program:
        os.write(descriptor, program.read())
    return quietly([f"/proc/self/fd/{descriptor}", path], pass_fds=[descriptor])


def by_the_dynamic_linker(path):
    linker = first_of("/lib*/ld-linux*.so.*", str)
    return quietly([linker, first_of("/bin/cat", str), path])


def preloaded_library():
    """A library that the platform's programs would load."""
    return write("/etc/ld.so.preload")


def setuid_program():
    """A program that would give its caller the model's user; only for others is it of use."""
    with open("own", "w"):
        pass
    os.chmod("own", 0o4755)
    os.stat("/proc/self/cwd/own")
    raise PermissionError("other users reach no program in the working folder")


def quietly(command, pass_fds=()):
    return subprocess.run(command, capture_output=True, check=True, timeout=5, pass_fds=pass_fds).stdout[:40].decode()


ATTACKS = {
    # Files.
    "read the admin token": lambda facts: read(facts["secrets"] + "/admin.token"),
    "read the master key": lambda facts: read(facts["secrets"] + "/master.key"),
    "list the secrets": lambda facts: os.listdir(facts["secrets"]),
    "list the data dir": lambda facts: os.listdir(facts["data_dir"]),
    "list the working folders": lambda facts: os.listdir(facts["data_dir"] + "/workers"),
    "list the models": lambda facts: os.listdir(facts["data_dir"] + "/models"),
    "list the object store": lambda facts: os.listdir(facts["data_dir"] + "/objects"),
    "list the platform's logs": lambda facts: os.listdir(facts["data_dir"] + "/logs"),
    "list the run folder": lambda facts: os.listdir(facts["data_dir"] + "/run"),
    "read a sibling's variables": lambda facts: read(facts["sibling_folder"] + "/worker.json"),
    "read a sibling's bundle": lambda facts: read(facts["sibling_bundle"] + "/bundle.json"),
    "list a sibling's model": lambda facts: os.listdir(facts["sibling_model"]),
    "read the accounts": lambda facts: read("/etc/shadow"),
    "list a home": lambda facts: os.listdir(facts["home"]),
    "list the root folder": lambda facts: os.listdir("/"),
    "list /tmp": lambda facts: os.listdir("/tmp"),
    "write into /tmp": lambda facts: create("/tmp"),
    "write into /dev/shm of the machine": lambda facts: first_of("/dev/shm/PostgreSQL*", read),
    "read a planted file in /dev/shm": lambda facts: read(facts["shared_file"]),
    "write the model": lambda facts: create(facts["own_model"]),
    "write the bundle": lambda facts: create(facts["own_bundle"]),
    "plant sitecustomize": lambda facts: create(first_of(sys.prefix + "/lib/python3.*/site-packages", str)),
    "plant usercustomize": lambda facts: create_file(os.path.join(site_packages(), "usercustomize.py")),
    "plant a .pth file": lambda facts: create_file(os.path.join(site_packages(), "planted.pth")),
    "plant an entry point": lambda facts: create_file(os.path.join(sys.prefix, "bin", "modelyard")),
    "plant a user site": lambda facts: create_file(os.path.join(facts["home"], ".local")),
    "plant a preloaded library": lambda facts: preloaded_library(),
    "write beside the bundles": lambda facts: create(facts["data_dir"] + "/bundles"),
    "write into the runtime": lambda facts: create(facts["data_dir"] + "/runtime"),
    "truncate a secret": lambda facts: os.truncate(facts["secrets"] + "/master.key", 0),
    "change a secret's mode": lambda facts: change_mode(facts["secrets"] + "/master.key"),
    "change a secret's times": lambda facts: change_times(facts["secrets"] + "/master.key"),
    "remove a secret": lambda facts: os.unlink(facts["secrets"] + "/master.key"),
    "change a secret's times by an old call": lambda facts: change_times_by_an_old_call(secret(facts)),
    "change a secret's owner by an old call": lambda facts: change_owner_by_an_old_call(secret(facts), facts["user"]),
    "change a secret's attributes by a new call": lambda facts: change_attribute(secret(facts)),
    "remove a secret's attributes by a new call": lambda facts: remove_attribute(secret(facts)),
    "change a secret's flags by a new call": lambda facts: change_inode_flags(secret(facts)),
    "rename a secret": lambda facts: os.rename(secret(facts), "own") or "renamed",
    "exchange a secret": lambda facts: call(316, 276, -100, secret(facts).encode(), -100, b".", 2),
    "watch the secrets": lambda facts: watch(facts["secrets"]),
    "watch the data dir": lambda facts: watch(facts["data_dir"]),
    "watch the machine's files": lambda facts: watch_all_files("/"),
    "read a secret by the dynamic linker": lambda facts: by_the_dynamic_linker(secret(facts)),
    "read a secret by a program without a file": lambda facts: in_memory_program(secret(facts)),
    "read a secret in a process of its own": lambda facts: quietly(["/bin/cat", secret(facts)]),
    "make a setuid program": lambda facts: setuid_program(),
    "read a secret through a link": lambda facts: read_through_link(facts["secrets"] + "/master.key"),
    "make a hard link to a secret": lambda facts: own_through_hard_link(facts["secrets"] + "/master.key"),
    "put a link in place of the log": lambda facts: replace_log(facts["own_log"]),
    "make a device": lambda facts: os.mknod("disk", 0o600 | 0o060000, os.makedev(8, 0)),
    "write a kernel setting": lambda facts: write("/proc/sys/kernel/core_pattern"),
    "press a kernel key": lambda facts: write("/proc/sysrq-trigger"),
    "read kernel messages": lambda facts: read("/dev/kmsg"),
    "read a disk": lambda facts: first_of("/dev/[sv]d[a-z]", read),
    # Other processes.
    "read a sibling's environment": lambda facts: read("/proc/{sibling}/environ".format(**facts)),
    "read a sibling's memory": lambda facts: memory_of(facts["sibling"]),
    "read the shim's memory": lambda facts: memory_of(os.getppid()),
    "read the platform's environment": lambda facts: read("/proc/{host}/environ".format(**facts)),
    "read the platform's memory": lambda facts: memory_of(facts["host"]),
    "read the platform's auxiliary vector": lambda facts: read("/proc/{host}/auxv".format(**facts)),
    "see the platform's system call": lambda facts: read("/proc/{host}/syscall".format(**facts)),
    "list the platform's descriptors": lambda facts: descriptors_of(facts["host"]),
    "write the platform's memory": lambda facts: write("/proc/{host}/mem".format(**facts)),
    "offer the platform to the OOM killer": lambda facts: write("/proc/{host}/oom_score_adj".format(**facts)),
    "hide from the OOM killer": lambda facts: write("/proc/self/oom_score_adj"),
    "list a sibling's descriptors": lambda facts: descriptors_of(facts["sibling"]),
    "enter a sibling's root": lambda facts: os.listdir("/proc/{sibling}/root".format(**facts)),
    "enter the platform's folder": lambda facts: os.listdir("/proc/{host}/cwd".format(**facts)),
    "trace a sibling": lambda facts: ptrace_attach(facts["sibling"]),
    "trace the shim": lambda facts: ptrace_attach(os.getppid()),
    "read a sibling by process_vm_readv": lambda facts: read_remotely(facts["sibling"]),
    "take a sibling's descriptors": lambda facts: steal_descriptor(facts["sibling"]),
    "take the shim's descriptors": lambda facts: steal_descriptor(os.getppid()),
    "kill a sibling": lambda facts: os.kill(facts["sibling"], signal.SIGKILL) or "killed",
    "stop the platform": lambda facts: os.kill(facts["host"], signal.SIGSTOP) or "stopped",
    "kill the shim": lambda facts: os.kill(os.getppid(), signal.SIGKILL) or "killed",
    "kill everything": lambda facts: os.kill(-1, signal.SIGKILL) or "killed",
    "signal the shim's group": lambda facts: os.killpg(os.getpgid(os.getppid()), signal.SIGTERM) or "killed",
    "signal a sibling by descriptor": lambda facts: call(424, 424, call(434, 434, facts["sibling"], 0), 9, None, 0),
    "signal a sibling's thread": lambda facts: signal_a_thread(facts["sibling"]),
    "queue a signal for a sibling": lambda facts: queue_a_signal(facts["sibling"]),
    "signal a sibling by input": lambda facts: signal_by_input(facts["sibling"]),
    "write a sibling's memory": lambda facts: call(311, 271, facts["sibling"], b"", 0, b"", 0, 0),
    "move a sibling's memory": lambda facts: call(256, 238, facts["sibling"], 8, b"\1" + b"\0" * 7, b"\1" + b"\0" * 7),
    "lower a sibling's disk priority": lambda facts: call(251, 30, 1, facts["sibling"], 3 << 13),
    "limit a sibling's processor time": lambda facts: limit_of(facts["sibling"]),
    "make a sibling wait": lambda facts: os.setpriority(os.PRIO_PROCESS, facts["sibling"], 19) or "waits",
    "make all processes of the user wait": lambda facts: os.setpriority(os.PRIO_USER, facts["user"], 19) or "wait",
    "compare kernel objects": lambda facts: call(312, 272, os.getpid(), facts["sibling"], 0, 0, 0),
    # Sockets.
    "connect to Postgres": lambda facts: connect(socket.AF_UNIX, facts["postgres"]),
    "connect to Valkey": lambda facts: connect(socket.AF_UNIX, facts["valkey"]),
    "connect to a sibling's socket": lambda facts: connect(socket.AF_UNIX, facts["sibling_socket"]),
    "connect to its own socket": lambda facts: connect(socket.AF_UNIX, facts["own_socket"]),
    "connect to the control plane": lambda facts: loopback(facts["control_port"]),
    "connect to the gateway": lambda facts: loopback(facts["scoring_port"]),
    "connect by IPv6": lambda facts: connect(socket.AF_INET6, ("::1", facts["control_port"])),
    "connect to link-local metadata": lambda facts: connect(socket.AF_INET, ("169.254.169.254", 80)),
    "send to a public address": lambda facts: connect(socket.AF_INET, ("192.0.2.1", 53), socket.SOCK_DGRAM),
    "connect to an abstract socket": lambda facts: abstract_socket(facts["abstract"]),
    "send a datagram to a socket": lambda facts: datagram_to(facts["datagram"]),
    "capture packets": lambda facts: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 768).close() or "captures",
    "send raw packets": lambda facts: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close() or "raw",
    "reach the hypervisor": lambda facts: socket.socket(40, socket.SOCK_STREAM).close() or "vsock",
    "reach the kernel's ciphers": lambda facts: socket.socket(38, socket.SOCK_SEQPACKET).close() or "ciphers",
    # The kernel.
    "make a user namespace": lambda facts: call(272, 97, 0x10000000),
    "make a user namespace by clone": lambda facts: clone_with(0x10000000),
    "enter a namespace": lambda facts: call(308, 268, os.open("/proc/{host}/ns/net".format(**facts), os.O_RDONLY), 0),
    "mount": lambda facts: checked(libc.mount(b"none", b".", b"tmpfs", 0, None)),
    "load a program into the kernel": lambda facts: call(321, 280, 0, ctypes.create_string_buffer(128), 128),
    "watch performance events": lambda facts: call(298, 241, ctypes.create_string_buffer(128), 0, -1, -1, 0),
    "submit to io_uring": lambda facts: call(425, 425, 1, ctypes.create_string_buffer(256)),
    "handle page faults": lambda facts: call(323, 282, 0),
    "keep a key in the kernel": keep_ring,
    "read the kernel's keys": lambda facts: call(250, 219, 0, -4, 0),
    "make a mount namespace": lambda facts: call(272, 97, 0x00020000),
    "make a process namespace": lambda facts: call(272, 97, 0x20000000),
    "clone by the new call": lambda facts: call(435, 435, struct.pack("8Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64),
    "mount by the new calls": lambda facts: call(430, 430, b"tmpfs", 0),
    "open a tree of mounts": lambda facts: call(428, 428, -100, b"/", 1),
    "load a kernel module": lambda facts: call(175, 105, b"", 0, b""),
    "start another kernel": lambda facts: call(246, 104, 0, 0, None, 0),
    "restart the machine": lambda facts: call(169, 142, 0, 0, 0, None),
    "rename the machine": lambda facts: call(170, 161, b"owned", 5),
    "set the clock": lambda facts: call(227, 112, 0, struct.pack("qq", 0, 0)),
    "swap to a file": lambda facts: call(167, 224, b"own", 0),
    "read the kernel's log": lambda facts: call(103, 116, 3, ctypes.create_string_buffer(64), 64),
    "change a segment of code": lambda facts: call(154, -1, 1, ctypes.create_string_buffer(16), 16),
    "open a port of the machine": lambda facts: call(173, -1, 0x70, 1, 1),
    "open a message queue": lambda facts: call(240, 180, b"modelyard", os.O_CREAT | os.O_RDWR, 0o600, None),
    "open by handle": lambda facts: call(304, 265, -100, ctypes.create_string_buffer(64), 0),
    "change the root folder": lambda facts: os.chroot("."),
    "become root": lambda facts: become_root(),
    "gain privileges by a program": lambda facts: gain_privileges(),
    "call by other numbers": lambda facts: old_numbers(),
    "type into a terminal": lambda facts: fcntl.ioctl(0, 0x5412, b"x"),
    "raise its limits": lambda facts: raise_limits(),
    "remove the platform's mark": lambda facts: lower_then_raise_mark(),
    "open a System V segment": lambda facts: system_v(facts["system_v"]),
    "remove a System V segment": lambda facts: remove_system_v(facts["system_v"]),
}

# A user of its own may do these, to itself alone. On a platform of an ordinary user the platform has the same user.
ALLOWED_WITH_AN_ACCOUNT = {"open a System V segment", "open a message queue", "make all processes of the user wait"}


def secret(facts):
    return facts["secrets"] + "/master.key"


def site_packages():
    return first_of(sys.prefix + "/lib/python3*/site-packages", str)


def create_file(path):
    with open(path, "x"):
        return path


# Storms: the evidence is how far the model came.


def fork_storm(most):
    pids = []
    try:
        for _ in range(most):
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            pids.append(pid)
    except OSError:
        pass
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return len(pids)


def descriptor_storm():
    opened = []
    try:
        while True:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        for descriptor in opened:
            os.close(descriptor)
    return len(opened)


def memory_storm():
    step, pieces = 256 << 20, []
    try:
        while len(pieces) < 4096:
            pieces.append(mmap.mmap(-1, step, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    except OSError:
        pass
    return len(pieces) * step


def sparse_file():
    with open("sparse", "wb") as file:
        os.ftruncate(file.fileno(), 40 << 30)
    return "40 GB"


def real_file(step=1 << 24):
    written = 0
    try:
        with open("real", "wb", 0) as file:
            while True:
                written += file.write(b"x" * step)
    except OSError:
        os.unlink("real")
    return written


def shared_memory_file():
    written = 0
    try:
        with open("/dev/shm/real", "wb", 0) as file:
            while written < 64 << 30:
                written += file.write(b"x" * (1 << 24))
    except OSError:
        os.unlink("/dev/shm/real")
    return written


def daemon():
    """A process without a parent, a group or a terminal of the model's, that ignores all signals."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
            os.closerange(0, writer)
            os.write(writer, str(os.getpid()).encode())
            os.closerange(0, 4096)
            while True:
                time.sleep(60)
        os._exit(0)
    os.close(writer)
    return int(os.read(reader, 20))


def processor_storm(count=8, seconds=2):
    until = time.monotonic() + seconds
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            while time.monotonic() < until:
                pass
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    return len(pids)


def output_storm(seconds=2):
    """Lines without a pause; the shim leaves out what is over the rate."""
    until, line, written = time.monotonic() + seconds, b"flood " * 2000 + b"\n", 0
    while time.monotonic() < until:
        written += os.write(1, line)
    return written


STORMS = {
    "processor storm": lambda facts: processor_storm(),
    "output storm": lambda facts: output_storm(),
    "fork storm": lambda facts: fork_storm(facts["most"]),
    "descriptor storm": lambda facts: descriptor_storm(),
    "memory storm": lambda facts: memory_storm(),
    "sparse file": lambda facts: sparse_file(),
    "real file": lambda facts: real_file(),
    "shared memory": lambda facts: shared_memory_file(),
    "daemon": lambda facts: daemon(),
}

# What a model needs.


def uses_processes():
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [1, -2])


def uses_threads():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(abs, [-1] * 64))


def uses_own_files():
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a")
        with open(path, "w") as file:
            file.write("x")
        os.chmod(path, 0o600)
        shutil.copy2(path, path + "2")
        os.makedirs(os.path.expanduser("~/.cache/fonts"), exist_ok=True)
        return sorted(os.listdir(folder))


def own_groups():
    with open("/proc/self/cgroup") as file:
        return file.read()


def uses_own_library():
    """Numerical libraries write compiled code into their cache and load it."""
    import shutil

    library = first_of("/lib/*/libz.so*", str) or first_of("/usr/lib*/libz.so*", str)
    shutil.copyfile(library, "own.so")
    return bool(ctypes.CDLL(os.path.abspath("own.so")).zlibVersion)


def uses_own_loopback():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=2):
        return "connected"


USES = {
    "processes and semaphores": lambda facts: uses_processes(),
    "threads": lambda facts: uses_threads(),
    "its own files": lambda facts: uses_own_files(),
    "a loopback of its own": lambda facts: uses_own_loopback(),
    "a library of its own": lambda facts: uses_own_library(),
    "programs of the system": lambda facts: quietly(["/bin/sh", "-c", "echo hello"]),
    "its own control group": lambda facts: own_groups(),
    "the processor's description": lambda facts: bool(read("/proc/cpuinfo") and os.cpu_count()),
    "limits of its own": lambda facts: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)) or "set",
}


def attack(text):
    """Run the attack that the JSON text names; return a JSON text."""
    asked = json.loads(text)
    act = {**ATTACKS, **STORMS, **USES}[asked["name"]]
    try:
        return json.dumps({"succeeded": True, "evidence": act(asked["facts"])}, default=str)
    except Exception as error:  # noqa: BLE001 - any error is an answer
        return json.dumps({"succeeded": False, "evidence": repr(error)})
