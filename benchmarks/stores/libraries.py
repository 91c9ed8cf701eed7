"""Compare obstore and fsspec (s3fs, adlfs): put, get, ranges, a listing, and memory.

    python -m benchmarks.stores.libraries obstore s3 URL-OF-THE-SERVER

A process measures one library on one kind of store, so that memory is attributed correctly. Prints a line of JSON. The
platform does not depend on fsspec: run the script in an environment with s3fs, adlfs and obstore. `azure` takes the
endpoint with the account, `folder` a folder.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

MEGABYTE = 1 << 20
LARGE = 64 * MEGABYTE
SMALL_OBJECTS = 300
RANGES = 50
CONTAINER = "library-bench"
ACCOUNT = "devstoreaccount1"
# Azurite's well-known key.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Library(Protocol):
    def put(self, key: str, chunks: Iterator[bytes]) -> None: ...
    def get(self, key: str) -> int: ...
    def range(self, key: str, start: int, length: int) -> int: ...
    def list(self, prefix: str) -> int: ...


class Obstore:
    def __init__(self, kind: str, place: str) -> None:
        from obstore.store import AzureStore, LocalStore, S3Store

        plain = {"allow_http": True}
        self._store: Any
        if kind == "s3":
            keys = {"access_key_id": "a", "secret_access_key": "b", "region": "us-east-1"}
            self._store = S3Store(CONTAINER, endpoint=place, client_options=plain, **keys)  # type: ignore[arg-type]
        elif kind == "azure":
            self._store = AzureStore(
                CONTAINER,
                endpoint=place,
                account_name=ACCOUNT,
                account_key=KEY,
                client_options=plain,  # type: ignore[arg-type]
            )
        else:
            self._store = LocalStore(place)

    def put(self, key: str, chunks: Iterator[bytes]) -> None:
        self._store.put(key, chunks, chunk_size=8 * MEGABYTE, max_concurrency=4)

    def get(self, key: str) -> int:
        return sum(len(chunk) for chunk in self._store.get(key).stream(MEGABYTE))

    def range(self, key: str, start: int, length: int) -> int:
        return len(self._store.get_range(key, start=start, length=length))

    def list(self, prefix: str) -> int:
        return sum(len(page) for page in self._store.list(prefix, chunk_size=1000))


class Fsspec:
    def __init__(self, kind: str, place: str) -> None:
        import fsspec

        self._root = place if kind == "folder" else CONTAINER
        if kind == "s3":
            options = {"key": "a", "secret": "b", "endpoint_url": place}
            self._files = fsspec.filesystem("s3", use_listings_cache=False, **options)
        elif kind == "azure":
            connection = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={place};"
            self._files = fsspec.filesystem("abfs", connection_string=connection, use_listings_cache=False)
        else:
            self._files = fsspec.filesystem("file", auto_mkdir=True)

    def put(self, key: str, chunks: Iterator[bytes]) -> None:
        with self._files.open(f"{self._root}/{key}", "wb", block_size=8 * MEGABYTE) as file:
            for chunk in chunks:
                file.write(chunk)

    def get(self, key: str) -> int:
        size = 0
        with self._files.open(f"{self._root}/{key}", "rb", block_size=8 * MEGABYTE) as file:
            while chunk := file.read(8 * MEGABYTE):
                size += len(chunk)
        return size

    def range(self, key: str, start: int, length: int) -> int:
        return len(self._files.cat_file(f"{self._root}/{key}", start=start, end=start + length))

    def list(self, prefix: str) -> int:
        return len(self._files.find(f"{self._root}/{prefix}"))


def measure(library: Library) -> dict[str, float]:
    idle = _memory()
    figures = {
        "put_mb_s": LARGE / MEGABYTE / _median(lambda: library.put("large", _content(LARGE))),
        "get_mb_s": LARGE / MEGABYTE / _median(lambda: library.get("large")),
        "range_ms": 1000 / RANGES * _median(lambda: _ranges(library)),
        "small_put_ms": 1000 / SMALL_OBJECTS * _median(lambda: _small(library), rounds=1),
        "list_ms": 1000 * _median(lambda: library.list("small/")),
    }
    return {**{name: round(figure, 2) for name, figure in figures.items()}, "memory_mb": _memory() - idle}


def _ranges(library: Library) -> None:
    for number in range(RANGES):
        library.range("large", number * MEGABYTE, 65_536)


def _small(library: Library) -> None:
    for number in range(SMALL_OBJECTS):
        library.put(f"small/{number}", iter([b"x" * 1000]))


def _content(size: int) -> Iterator[bytes]:
    chunk = b"0123456789abcdef" * (MEGABYTE // 16)
    for _ in range(size // MEGABYTE):
        yield chunk


def _median(work: Callable[[], object], rounds: int = 3) -> float:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return sorted(took)[rounds // 2]


def _memory() -> int:
    """Return the peak memory of this process, in megabytes."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


if __name__ == "__main__":
    name, kind, place = sys.argv[1:]
    if kind == "folder":
        Path(place).mkdir(parents=True, exist_ok=True)
    chosen: Library = Obstore(kind, place) if name == "obstore" else Fsspec(kind, place)
    print(json.dumps({"library": name, "store": kind, **measure(chosen)}))
