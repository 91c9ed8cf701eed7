"""Roles: the parts of a platform. One machine runs all of them, or several machines share them out."""

from enum import StrEnum


class Role(StrEnum):
    CONTROL_PLANE = "control-plane"
    DATA_PLANE = "data-plane"
    BUILDER = "builder"
    BATCH = "batch"


ALL_ROLES = frozenset(Role)
