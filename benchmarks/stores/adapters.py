"""Measure the platform's adapter of one store: upload and download of a large object, in megabytes per second.

    python -m benchmarks.stores.adapters URL MEGABYTES

Credentials and the endpoint come from the environment. Prints a line of JSON; each figure is the median of three.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator

from modelyard.core.adapters.object_stores import open_store

MEGABYTE = 1 << 20
ROUNDS = 3


def main(url: str, megabytes: int) -> dict[str, float]:
    store = open_store(url)
    try:
        put = _median(lambda: store.put("bench/large", _content(megabytes)))
        get = _median(lambda: sum(map(len, store.get("bench/large"))))
    finally:
        store.delete("bench/large")
    return {"megabytes": megabytes, "put_mb_s": round(megabytes / put, 1), "get_mb_s": round(megabytes / get, 1)}


def _content(megabytes: int) -> Iterator[bytes]:
    chunk = b"0123456789abcdef" * (MEGABYTE // 16)
    for _ in range(megabytes):
        yield chunk


def _median(work: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return sorted(took)[ROUNDS // 2]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
