"""The machine of this platform, in the words of Azure's sizes of virtual machines."""

import os
from dataclasses import dataclass

_MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Machine:
    cpus: int
    memory_megabytes: int


def this_machine() -> Machine:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(os.cpu_count() or 1, memory // _MEGABYTE)
