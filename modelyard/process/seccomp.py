"""A seccomp filter for a foreign program: system calls that reach the kernel's or another process's inside are refused.

The filter is a program of the kernel's packet filter (BPF), assembled here. System calls without a rule stay allowed,
and the kernel decides about these without running the filter. Linux on x86-64 and 64-bit Arm.
"""

import errno
import platform
import struct
from collections.abc import Iterable
from dataclasses import dataclass

# (x86-64, 64-bit Arm); None: the architecture lacks the call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chown": (92, None),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "connect": (42, 203),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchownat": (260, 54),
    "file_setattr": (469, 469),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "futimesat": (261, None),
    "init_module": (175, 105),
    "inotify_add_watch": (254, 27),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "lchown": (94, None),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "request_key": (249, 218),
    "semctl": (66, 191),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "setrlimit": (160, 164),
    "settimeofday": (164, 170),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
    "vhangup": (153, 58),
}
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_X32 = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of the low or high 32 bits of an argument. Both platforms are little-endian."""

    argument: int
    value: int
    is_high: bool = False
    any_bit: bool = False
    """True: any bit of `value` is set. False: the argument equals `value`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Refuse a system call; with `unless` only where no test holds, with `when` only where a test holds."""

    call: str
    error: int = errno.EPERM
    """0 does nothing and reports success."""
    when: tuple[Comparison, ...] = ()
    unless: tuple[Comparison, ...] = ()


def is_supported() -> bool:
    return platform.system() == "Linux" and platform.machine() in _ARCHITECTURES


def assemble(rules: Iterable[Rule], machine: str | None = None) -> bytes:
    """Return the filter's program; every instruction has 8 bytes. Of the rules of one call, the first match decides."""
    architecture, column = _ARCHITECTURES[machine or platform.machine()]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_EQUAL, 1, 0, architecture),
        # A call in another architecture's numbers would pass the rules.
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
    ]
    if machine == "x86_64" or (machine is None and platform.machine() == "x86_64"):
        program += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    by_call: dict[str, list[Rule]] = {}
    for rule in rules:
        by_call.setdefault(rule.call, []).append(rule)
    for call, of_call in by_call.items():
        number = _NUMBERS[call][column]
        if number is None:
            continue
        block = [instruction for rule in of_call for instruction in _rule(rule)]
        if block[-1][0] != _RETURN or block[-1][3] != _ALLOW:
            block.append((_RETURN, 0, 0, _ALLOW))
        program += [(_EQUAL, 0, len(block), number), *block]
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _rule(rule: Rule) -> list[tuple[int, int, int, int]]:
    refuse = (_RETURN, 0, 0, _ERRNO | rule.error)
    if not (rule.when or rule.unless):
        return [refuse]
    instructions: list[tuple[int, int, int, int]] = []
    for test in rule.when or rule.unless:
        instructions.append((_LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * test.argument + 4 * test.is_high))
        result = _ERRNO | rule.error if rule.when else _ALLOW
        instructions += [(_ANY_BIT if test.any_bit else _EQUAL, 0, 1, test.value), (_RETURN, 0, 0, result)]
    if rule.unless:
        instructions.append(refuse)
    return instructions
