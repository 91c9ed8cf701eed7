"""The platform's configuration of a model worker: `worker.json` in the worker's private folder."""

import json
from typing import Any, Dict, NamedTuple


class Configuration(NamedTuple):
    worker_id: str
    endpoint: str
    deployment: str
    generation: int
    bundle_dir: str
    host_timeout: float
    """Seconds without a connection from the host after which the worker ends itself."""

    busy_poll_seconds: float
    """Longest time that the main thread polls for the next request before it sleeps."""

    environment: Dict[str, str]
    """All environment variables of the user's code."""


def read_configuration(path: str) -> Configuration:
    with open(path, encoding="utf-8") as file:
        document: Dict[str, Any] = json.load(file)
    return Configuration(**{name: document[name] for name in Configuration._fields})
