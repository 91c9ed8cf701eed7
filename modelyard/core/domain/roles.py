"""Roles, and their assignment to the holder of a credential in one workspace or in every workspace."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

EVERY_WORKSPACE = "*"
"""The scope of an assignment that holds in every workspace, also in workspaces of the future."""


class Role(StrEnum):
    """What a caller may do in a workspace. Roles are compared by `includes`, not by rank: a reader cannot score."""

    OWNER = "owner"
    """Everything a contributor may do, and the management of tokens, roles and the workspace."""
    CONTRIBUTOR = "contributor"
    """Everything a reader and a scorer may do, and all changes, endpoint keys included."""
    READER = "reader"
    """Reads every resource, but no key, and sends no request to a model."""
    SCORER = "scorer"
    """Sends requests to models and batch jobs to batch endpoints, and reads nothing else."""

    def includes(self, other: "Role") -> bool:
        return other in _INCLUDED[self]


_INCLUDED = {
    Role.OWNER: frozenset(Role),
    Role.CONTRIBUTOR: frozenset({Role.CONTRIBUTOR, Role.READER, Role.SCORER}),
    Role.READER: frozenset({Role.READER}),
    Role.SCORER: frozenset({Role.SCORER}),
}


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    role: Role
    scope: str
    """ARM id of a workspace, in any case, or EVERY_WORKSPACE."""

    def covers(self, workspace: str) -> bool:
        """Whether the assignment holds in the workspace with this ARM id."""
        return self.scope == EVERY_WORKSPACE or self.scope.lower() == workspace.lower()


def has_role(held: Iterable[RoleAssignment], role: Role, workspace: str) -> bool:
    """Whether the assignments give the role, or a role that includes it, in the workspace with this ARM id."""
    return any(each.role.includes(role) and each.covers(workspace) for each in held)
