"""The parts of the object store, by the first part of the keys: docs/object-storage.md describes each."""

from collections.abc import Iterator

CHECKED = ("blobs/", "bundles/")
"""Objects that rows refer to."""
_DATA = ("datastores/",)
_LOGS = ("logs/",)
# The documents of environments come first, as the keys are sorted: a listed document implies all its wheels.
_WHEELS = ("environments/", "wheels/")

LEFT_OUT = ("batch/", "blocks/", "checks/", "uploads/")
"""Objects of work under way, which begins again after a restore."""
RESTORABLE = tuple(sorted((*CHECKED, *_DATA, *_LOGS, *_WHEELS)))


def prefixes(*, with_logs: bool, with_wheels: bool) -> Iterator[str]:
    """Yield the prefixes of a backup, in the order of the keys."""
    chosen = (*CHECKED, *_DATA, *(_LOGS if with_logs else ()), *(_WHEELS if with_wheels else ()))
    yield from sorted(chosen)
