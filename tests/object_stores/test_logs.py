"""A log outlives a store that is away for a while."""

from contextlib import closing

import pytest

from modelyard.core.adapters.s3_store import s3_store
from modelyard.core.logs import STORAGE_INITIALIZER, LogWriter, read_log
from modelyard.core.ports.object_store import StoreUnavailable
from modelyard.core.settings import ObjectStoreSettings
from tests.object_stores.fault_proxy import Answer, fault_proxy


def test_lines_wait_while_the_store_is_away_and_whoever_logs_goes_on(s3):
    server = s3.another()
    with fault_proxy(server.endpoint) as proxy:
        environment = server.through(proxy.endpoint)
        store = s3_store(server.url.split("/")[2], "yard", environment, ObjectStoreSettings(max_retries=0))
        with closing(LogWriter(store, 1, STORAGE_INITIALIZER, "build-1")) as log:
            proxy.do_wrong(Answer(503))
            log.line("first")
            log.flush()
            with pytest.raises(StoreUnavailable):
                read_log(store, 1, STORAGE_INITIALIZER, None)
            proxy.do_right()
            log.line("second")
        lines = read_log(store, 1, STORAGE_INITIALIZER, None).splitlines()
    assert [line.split()[-1] for line in lines] == ["first", "second"]
