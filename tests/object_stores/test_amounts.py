"""Large objects and many keys pass through without being held."""

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
# Four parts of eight megabytes on their way, one that gathers, and what the library copies.
AT_MOST = 100


@pytest.mark.parametrize("kind", ["folder", "s3", "azure"])
def test_a_large_object_is_never_held(request, tmp_path, kind):
    url, environment = (tmp_path / "objects").as_uri(), {}
    if kind != "folder":
        server = request.getfixturevalue(kind).another()
        url, environment = server.url, server.environment
    command = [sys.executable, "-m", "tests.object_stores.move_large_object", url, str(MEGABYTES)]
    moved = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    assert moved.returncode == 0, moved.stderr
    assert int(moved.stdout) < AT_MOST


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_parts_are_asked_for_before_they_are_wanted(request, kind):
    server = request.getfixturevalue(kind).another()
    with fault_proxy(server.endpoint) as proxy:
        store = open_store(server.url, server.through(proxy.endpoint))
        store.put("k", [bytes(1 << 20)] * 40)
        proxy.seen.clear()
        reading = store.get("k")
        beginning = next(reading), next(reading)
        # The first megabyte, the part that was wanted, and three behind it.
        while len(proxy.seen) < 5:
            time.sleep(0.005)
        assert sum(map(len, (*beginning, *reading))) == 40 << 20


def test_what_s3_copies_only_in_parts_is_copied_by_reading_it(s3):
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
def test_very_many_keys_are_listed_a_page_at_a_time(request, kind):
    server = request.getfixturevalue(kind).another()
    store = open_store(server.url, server.environment)
    keys = [f"many/{number:05d}-{'k' * 700}" for number in range(6000)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put(key, [b""]), keys))
    next(store.list("many/"))
    tracemalloc.start()
    try:
        assert sum(1 for _ in store.list("many/")) == len(keys)
        # All of them are above four megabytes, a page is one and a half.
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
