"""Memory: large objects and many keys pass through in bounded memory."""

import os
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.core.adapters.object_stores import open_store
from modelyard.core.adapters.s3_store import s3_store
from modelyard.core.settings import ObjectStoreSettings
from tests.object_stores.fault_proxy import fault_proxy

ROOT = Path(__file__).parents[2]
MEGABYTES = 160
# Four parts of 8 MB in transfer, one part that is being read, and the copies of the library.
AT_MOST = 100


@pytest.mark.parametrize("kind", ["folder", "s3", "azure"])
def test_large_object_passes_through_in_bounded_memory(request, tmp_path, kind):
    url, environment = (tmp_path / "objects").as_uri(), {}
    if kind != "folder":
        server = request.getfixturevalue(kind).another()
        url, environment = server.url, server.environment
    command = [sys.executable, "-m", "tests.object_stores.move_large_object", url, str(MEGABYTES)]
    moved = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    assert moved.returncode == 0, moved.stderr
    assert int(moved.stdout) < AT_MOST


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_parts_are_requested_ahead_of_the_reader(request, kind):
    server = request.getfixturevalue(kind).another()
    with fault_proxy(server.endpoint) as proxy:
        store = open_store(server.url, server.through(proxy.endpoint))
        store.put("k", [bytes(1 << 20)] * 40)
        proxy.seen.clear()
        reading = store.get("k")
        beginning = next(reading), next(reading)
        # The first megabyte, the requested part, and three further parts.
        while len(proxy.seen) < 5:
            time.sleep(0.005)
        assert sum(map(len, (*beginning, *reading))) == 40 << 20


def test_object_too_large_for_a_copy_on_s3_is_copied_by_reading_and_writing(s3):
    server = s3.another()
    with fault_proxy(server.endpoint) as proxy:
        environment = server.through(proxy.endpoint)
        store = s3_store(server.url.split("/")[2], "yard", environment, ObjectStoreSettings(), largest_copy=1000)
        store.put("a", [b"x" * 1001])
        store.copy("a", "b")
        assert b"".join(store.get("b")) == b"x" * 1001
        assert [request.split()[0] for request in proxy.seen] == ["PUT", "HEAD", "GET", "PUT", "GET"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_listing_of_6000_keys_holds_pages_in_memory(request, kind):
    server = request.getfixturevalue(kind).another()
    store = open_store(server.url, server.environment)
    keys = [f"many/{number:05d}-{'k' * 700}" for number in range(6000)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put(key, [b""]), keys))
    next(store.list("many/"))
    tracemalloc.start()
    try:
        assert sum(1 for _ in store.list("many/")) == len(keys)
        # All keys have more than 4 MB, a page has 1.5 MB.
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
