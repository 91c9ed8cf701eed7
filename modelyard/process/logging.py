"""The one logging set-up: every process of the platform calls `configure_logging` first.

A line reads `2026-11-27T13:42:03.123Z INFO control-plane control_plane.app: message`: the time in UTC, the level, the
process and the logger.
"""

import logging
import time

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s {process} %(name)s: %(message)s"


def configure_logging(process: str, level: str = "INFO") -> None:
    """Log to standard error from `level` on. `process` is the name that the supervisor gave: "gateway-0"."""
    formatter = logging.Formatter(_FORMAT.format(process=process), datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
