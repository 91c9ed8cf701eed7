"""Audit events in the database, written in the transaction of the change."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func
from sqlalchemy.orm import Session, object_mapper

from modelyard.core.db.rows import (
    AccessTokenRow,
    AssetContainer,
    AssetVersion,
    AuditEventRow,
    Authored,
    BatchDeploymentRow,
    BatchEndpointRow,
    ComputeRow,
    GenerationRow,
    JobRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    WorkspaceRow,
)
from modelyard.core.domain.audit import AuditAction, changed_fields
from modelyard.core.domain.caller import Caller, CallerKind
from modelyard.core.domain.resource_ids import workspace_id

EndpointRow = OnlineEndpointRow | BatchEndpointRow
DeploymentRow = OnlineDeploymentRow | BatchDeploymentRow
AuditedRow = (
    WorkspaceRow
    | AssetContainer
    | AssetVersion
    | ComputeRow
    | EndpointRow
    | DeploymentRow
    | GenerationRow
    | JobRow
    | AccessTokenRow
)

_SHOWN = frozenset(
    {
        "auth_mode", "body", "default_deployment", "description", "display_name", "error", "experiment_name",
        "failure_code", "failure_message", "identity", "instance_count", "is_archived", "kind", "location",
        "mirror_traffic", "properties", "public_network_access", "serving_generation", "settings", "tags", "traffic",
        "wanted_generation",
    }
)  # fmt: skip
"""Columns whose changes an event shows. A column is added here once it is known to hold no secret."""


def record(
    session: Session,
    caller: Caller,
    action: AuditAction,
    row: AuditedRow,
    *,
    from_state: str | None = None,
    to_state: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Write an event about a row that exists: after the flush of a new one, before a deletion."""
    _stamp(caller, action, row)
    workspace, path = _place(session, row)
    session.add(
        AuditEventRow(
            workspace_id=workspace.id,
            caller=caller.subject,
            caller_kind=caller.kind,
            action=action,
            resource_id=workspace_id(workspace.subscription, workspace.resource_group, workspace.name) + path,
            request_id=caller.request_id,
            from_state=from_state,
            to_state=to_state,
            changes=dict(changes or {}),
        )
    )


@contextmanager
def audited(
    session: Session, caller: Caller, action: AuditAction, row: AuditedRow, *, changes: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Record the changes of the row in the block: the state and the fields. A block without a change leaves no event.

    `changes` are additional fields that the row does not hold, like the specification of a new generation.
    """
    before, from_state = _fields(row), _state(row)
    yield
    to_state = _state(row)
    found = {**changed_fields(before, _fields(row)), **(changes or {})}
    if found or from_state != to_state:
        record(session, caller, action, row, from_state=from_state, to_state=to_state, changes=found)


def remove_events(session: Session, *, older_than: timedelta) -> None:
    session.execute(delete(AuditEventRow).where(AuditEventRow.at < func.now() - older_than))


def _stamp(caller: Caller, action: AuditAction, row: AuditedRow) -> None:
    """Note the author. The platform's own changes of state leave the author of the last request in place."""
    if not isinstance(row, Authored):
        return
    if action in (AuditAction.CREATE, AuditAction.SUBMIT):
        row.created_by, row.created_by_kind = caller.subject, caller.kind
    if caller.kind != CallerKind.SYSTEM and action not in (AuditAction.READ_KEYS, AuditAction.READ_TOKEN):
        row.modified_by, row.modified_by_kind = caller.subject, caller.kind


def _state(row: AuditedRow) -> str | None:
    return getattr(row, "provisioning_state", None) or getattr(row, "state", None)


def _fields(row: AuditedRow) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in object_mapper(row).column_attrs if column.key in _SHOWN}


def _place(session: Session, row: AuditedRow) -> tuple[WorkspaceRow, str]:
    """The row's workspace, and the rest of the ARM id."""
    match row:
        case WorkspaceRow():
            return row, ""
        case AssetContainer():
            return _workspace(session, row), f"/{row.collection}/{row.name}"
        case AssetVersion():
            return _below(session, row.container, f"versions/{row.version}")
        case ComputeRow():
            return _workspace(session, row), f"/computes/{row.name}"
        case OnlineEndpointRow():
            return _workspace(session, row), f"/onlineEndpoints/{row.name}"
        case BatchEndpointRow():
            return _workspace(session, row), f"/batchEndpoints/{row.name}"
        case OnlineDeploymentRow() | BatchDeploymentRow():
            return _below(session, row.endpoint, f"deployments/{row.name}")
        case GenerationRow():
            return _below(session, row.owner, f"generations/{row.number}")
        case JobRow():
            return _workspace(session, row), f"/jobs/{row.name}"
        case AccessTokenRow():
            return _workspace(session, row), f"/tokens/{row.name}"


def _workspace(
    session: Session, row: AssetContainer | ComputeRow | EndpointRow | JobRow | AccessTokenRow
) -> WorkspaceRow:
    return session.get_one(WorkspaceRow, row.workspace_id)


def _below(session: Session, parent: AuditedRow, path: str) -> tuple[WorkspaceRow, str]:
    workspace, parent_path = _place(session, parent)
    return workspace, f"{parent_path}/{path}"
