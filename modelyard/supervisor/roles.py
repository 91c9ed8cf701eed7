"""Roles: the parts of a platform. A machine runs all roles or some."""

from enum import StrEnum


class Role(StrEnum):
    CONTROL_PLANE = "control-plane"
    DATA_PLANE = "data-plane"
    BUILDER = "builder"
    BATCH = "batch"


ALL_ROLES = frozenset(Role)
