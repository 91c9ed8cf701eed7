"""Deployment logs and an object store that is unavailable for a while."""

from contextlib import closing

import pytest

from modelyard.core.adapters.s3_store import s3_store
from modelyard.core.logs import STORAGE_INITIALIZER, LogWriter, read_log
from modelyard.core.ports.object_store import StoreUnavailable
from modelyard.core.settings import ObjectStoreSettings
from tests.object_stores.fault_proxy import FixedResponse, fault_proxy


def test_log_lines_wait_while_the_store_is_unavailable_and_are_shipped_in_order_afterwards(s3):
    server = s3.another()
    with fault_proxy(server.endpoint) as proxy:
        environment = server.through(proxy.endpoint)
        store = s3_store(server.url.split("/")[2], "yard", environment, ObjectStoreSettings(max_retries=0))
        with closing(LogWriter(store, 1, STORAGE_INITIALIZER, "build-1")) as log:
            proxy.inject(FixedResponse(503))
            log.line("first")
            log.flush()
            with pytest.raises(StoreUnavailable):
                read_log(store, 1, STORAGE_INITIALIZER, None)
            proxy.clear()
            log.line("second")
        lines = read_log(store, 1, STORAGE_INITIALIZER, None).splitlines()
    assert [line.split()[-1] for line in lines] == ["first", "second"]
