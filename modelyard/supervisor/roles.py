"""The parts of a platform. One machine runs them all, or several machines share them out among themselves."""

from enum import StrEnum


class Role(StrEnum):
    CONTROL_PLANE = "control-plane"
    DATA_PLANE = "data-plane"
    BUILDER = "builder"
    BATCH = "batch"


ALL_ROLES = frozenset(Role)
