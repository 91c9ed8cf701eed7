"""The logging set-up: one line format, times in UTC whatever the machine's zone, and the process's name."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

_LOGS = """
import logging
from modelyard.process.logging import configure_logging

configure_logging("batch-3", "WARNING")
logging.getLogger("data_plane.batch").info("hidden below the level")
logging.getLogger("data_plane.batch").warning("shown")
"""


def test_log_line_has_utc_time_level_process_and_logger():
    environment = {"TZ": "Asia/Kathmandu"}
    done = subprocess.run([sys.executable, "-c", _LOGS], env=environment, capture_output=True, text=True, check=True)
    line = re.fullmatch(r"(\S+)Z WARNING batch-3 data_plane\.batch: shown\n", done.stderr)
    assert line, done.stderr
    logged_at = datetime.fromisoformat(line[1]).replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - logged_at) < timedelta(minutes=10)
