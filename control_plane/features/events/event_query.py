"""The filters of a list of audit events."""

from dataclasses import dataclass
from datetime import datetime

from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.audit import AuditAction


@dataclass(frozen=True, slots=True)
class EventQuery:
    """None: events are not filtered by the field."""

    resource: str | None = None
    """An ARM id, or the part of an ARM id below the workspace: `onlineEndpoints/wines`."""
    action: AuditAction | None = None
    caller: str | None = None
    """The subject of the caller, such as "admin" or "system:host"."""
    since: datetime | None = None
    until: datetime | None = None

    def resource_id(self, workspace: Workspace) -> str | None:
        """The ARM id that the events' resources begin with."""
        if self.resource is None or self.resource.startswith("/subscriptions/"):
            return self.resource
        return f"{workspace.arm_id}/{self.resource.strip('/')}"
