"""Audit events as JSON."""

from control_plane.resources.arm_body import ArmBody, Document, Timestamp
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.audit import AuditAction, AuditEvent, ChainReport
from modelyard.core.domain.caller import CallerKind
from modelyard.core.domain.resource_ids import PROVIDER


class EventProperties(ArmBody):
    event_timestamp: Timestamp
    caller: str
    """Subject of the caller: a user, or a process of the platform such as "system:host"."""
    caller_kind: CallerKind
    action: AuditAction
    resource_id: str
    request_id: str | None = None
    """The x-ms-request-id of the request that made the change."""
    from_state: str | None = None
    to_state: str | None = None
    changes: Document
    """Field name -> {"from", "to"}, without secrets."""


class EventBody(ArmBody):
    id: str
    name: str
    type: str
    properties: EventProperties

    @classmethod
    def of(cls, workspace: Workspace, event: AuditEvent) -> "EventBody":
        return cls(
            id=f"{workspace.arm_id}/events/{event.id}",
            name=str(event.id),
            type=f"{PROVIDER}/workspaces/events",
            properties=EventProperties(
                event_timestamp=event.at,
                caller=event.caller,
                caller_kind=event.caller_kind,
                action=event.action,
                resource_id=event.resource_id,
                request_id=event.request_id,
                from_state=event.from_state,
                to_state=event.to_state,
                changes=dict(event.changes),
            ),
        )


class ChainBody(ArmBody):
    events: int
    """Verified events."""
    first_event: int | None = None
    head: str
    """The newest event as <event>:<hash>, the checkpoint to keep."""
    expired_up_to: int
    """The last event that was removed at the end of the retention; 0 before the first removal."""
    faults: list[str]

    @classmethod
    def of(cls, report: ChainReport) -> "ChainBody":
        return cls(
            events=report.events,
            first_event=report.first,
            head=str(report.head),
            expired_up_to=report.expired,
            faults=list(report.faults),
        )
