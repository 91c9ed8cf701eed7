"""Put and read a large object, and print the largest growth of memory in megabytes.

Arguments: the store's URL and the object's size in megabytes. Credentials are in the environment.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from modelyard.core.adapters.object_stores import open_store

MEGABYTE = 1 << 20


def main(url: str, megabytes: int) -> int:
    store = open_store(url)
    store.put("warm", [b"x"])
    idle = _most_memory()
    assert store.put("large", _content(megabytes)) == megabytes * MEGABYTE
    assert sum(map(len, store.get("large"))) == megabytes * MEGABYTE
    return _most_memory() - idle


def _content(megabytes: int) -> Iterator[bytes]:
    for number in range(megabytes):
        yield bytes([number % 256]) * MEGABYTE


def _most_memory() -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2])))
