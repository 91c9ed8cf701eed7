"""An access token: a credential with a subject, roles and an expiry. The text is shown once, at the creation."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from control_plane.resources.authorship import Authorship
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.access_tokens import check_subject
from modelyard.core.domain.roles import RoleAssignment
from modelyard.core.errors import InvalidRequest

_MOST_ROLES = 100


class TokenState(StrEnum):
    ACTIVE = "Active"
    EXPIRED = "Expired"
    REVOKED = "Revoked"


@dataclass(frozen=True, slots=True)
class AccessTokenSpec:
    """Raises InvalidName for a reserved subject, and InvalidRequest for a token without a role."""

    subject: str
    roles: tuple[RoleAssignment, ...]
    expires_at: datetime | None
    """None: the token works until it is revoked."""

    def __post_init__(self) -> None:
        check_subject(self.subject)
        if not 1 <= len(self.roles) <= _MOST_ROLES:
            raise InvalidRequest(
                f"a token has 1 to {_MOST_ROLES} roles, not {len(self.roles)}: name at least one role",
                target="properties.roles",
            )


@dataclass(frozen=True, slots=True)
class AccessToken:
    workspace: Workspace
    name: str
    subject: str
    roles: tuple[RoleAssignment, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""
    state: TokenState
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return f"{self.workspace.arm_id}/tokens/{self.name}"
