"""The access log: one JSON object a line, in a bounded set of files, and never a reason for a request to fail."""

import json

from modelyard.telemetry.access_log import AccessLog, AccessRecord

RECORD = AccessRecord(
    started_at=1_700_000_000.1234,
    method="PUT",
    path_template="/onlineEndpoints/{name}",
    status=201,
    duration_seconds=0.0123456,
    request_bytes=17,
    response_bytes=512,
    request_id="4f2c",
)


def test_record_is_one_json_line_with_utc_time_and_milliseconds(tmp_path):
    log = AccessLog(tmp_path / "access.log", max_bytes=1 << 20, files=2)
    log.write(RECORD)
    log.close()
    (line,) = (tmp_path / "access.log").read_text().splitlines()
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.123Z",
        "method": "PUT",
        "path": "/onlineEndpoints/{name}",
        "status": 201,
        "duration_ms": 12.346,
        "request_bytes": 17,
        "response_bytes": 512,
        "request_id": "4f2c",
    }


def test_access_log_keeps_as_many_files_as_it_may_each_within_its_size(tmp_path):
    log = AccessLog(tmp_path / "access.log", max_bytes=1000, files=3)
    for _ in range(100):
        log.write(RECORD)
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["access.log", "access.log.1", "access.log.2"]
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())


def test_access_log_on_a_folder_that_is_gone_drops_the_record_without_an_error(tmp_path, capsys):
    log = AccessLog(tmp_path / "missing" / "access.log", max_bytes=1000, files=2)
    log.write(RECORD)
    assert capsys.readouterr().err == ""


def test_record_after_the_close_is_dropped_and_the_file_stays_closed(tmp_path):
    log = AccessLog(tmp_path / "access.log", max_bytes=1000, files=2)
    log.close()
    log.write(RECORD)
    assert not (tmp_path / "access.log").exists()
