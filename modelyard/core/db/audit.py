"""Audit events in the database, written in the transaction of the change.

The events of a transaction join the chain at its commit, behind the events of every earlier commit.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, event, func, select, text
from sqlalchemy.orm import Session, object_mapper, sessionmaker

from modelyard.core.db.rows import (
    AccessTokenRow,
    AssetVersion,
    AuditEventRow,
    Authored,
    BatchDeploymentRow,
    BatchEndpointRow,
    GenerationRow,
    JobRow,
    NamedResource,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    WorkspaceRow,
)
from modelyard.core.domain.audit import PLATFORM, AuditAction, ChainedContent, Checkpoint, changed_fields
from modelyard.core.domain.caller import SYSTEM_CONTROL_PLANE, Caller, CallerKind
from modelyard.core.domain.resource_ids import workspace_id

EndpointRow = OnlineEndpointRow | BatchEndpointRow
DeploymentRow = OnlineDeploymentRow | BatchDeploymentRow
AuditedRow = (
    WorkspaceRow | NamedResource | AssetVersion | EndpointRow | DeploymentRow | GenerationRow | JobRow | AccessTokenRow
)

_SHOWN = frozenset(
    {
        "auth_mode", "body", "default_deployment", "description", "display_name", "error", "experiment_name",
        "failure_code", "failure_message", "identity", "instance_count", "is_archived", "kind", "location",
        "mirror_traffic", "properties", "public_network_access", "rate_limit", "serving_generation", "settings",
        "tags", "traffic", "wanted_generation",
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
    resource_id = workspace_id(workspace.subscription, workspace.resource_group, workspace.name) + path
    _note(
        session,
        caller,
        action,
        workspace_id=workspace.id,
        resource_id=resource_id,
        from_state=from_state,
        to_state=to_state,
        changes=dict(changes or {}),
    )


def record_for_platform(session: Session, caller: Caller, action: AuditAction, changes: Mapping[str, Any]) -> None:
    """Write an event that belongs to no workspace."""
    _note(
        session,
        caller,
        action,
        workspace_id=None,
        resource_id=PLATFORM,
        from_state=None,
        to_state=None,
        changes=dict(changes),
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
    """Remove old events from the beginning of the chain. An event at the end tells the chain's new beginning."""
    newer = select(func.min(AuditEventRow.id)).where(AuditEventRow.at >= func.now() - older_than).scalar_subquery()
    old = select(AuditEventRow.id, AuditEventRow.hash).where(AuditEventRow.id < newer)
    last = session.execute(old.order_by(AuditEventRow.id.desc()).limit(1)).one_or_none()
    if last is None:
        return
    session.execute(delete(AuditEventRow).where(AuditEventRow.id <= last.id))
    checkpoint = {"from": None, "to": str(Checkpoint(last.id, last.hash))}
    record_for_platform(session, SYSTEM_CONTROL_PLANE, AuditAction.EXPIRE, {EXPIRED: checkpoint})


# The chain.

EXPIRED = "expired"
"""Field of an EXPIRE event: the checkpoint of the last event that was removed."""
_PENDING = "audit_events"
_TICK = timedelta(microseconds=1)
"""Between the times of two events of a transaction, so that the times have the order of the events."""
_HEAD = text(
    # The lock of a process that hangs before its commit ends with the process's transaction, after 10 s.
    "SELECT event, hash, clock_timestamp() AS at, set_config('idle_in_transaction_session_timeout', '10s', true) "
    "FROM audit_chain FOR UPDATE"
)
_ADD = text(
    "WITH head AS (UPDATE audit_chain SET event = :event, hash = :hash) "
    "INSERT INTO audit_events SELECT * FROM jsonb_populate_recordset(NULL::audit_events, CAST(:rows AS jsonb))"
)


def chain_events(sessions: sessionmaker[Session]) -> None:
    """Write noted events at the commit of each transaction of `sessions`."""
    event.listen(sessions, "before_commit", _append)
    event.listen(sessions, "after_rollback", _forget)


def _note(session: Session, caller: Caller, action: AuditAction, **columns: Any) -> None:
    noted = {
        "caller": caller.subject,
        "caller_kind": caller.kind,
        "action": action,
        "request_id": caller.request_id,
        **columns,
    }
    session.info.setdefault(_PENDING, []).append(noted)


def _append(session: Session) -> None:
    """Write the events of the transaction at the end of the chain.

    The chain's lock comes after all other locks of the transaction, so that it can be part of no deadlock, and is held
    for the time of the insertion and the commit.
    """
    pending = session.info.pop(_PENDING, [])
    if not pending:
        return
    session.flush()
    number, previous, at, _ = session.execute(_HEAD).one()
    rows = []
    for columns in pending:
        number += 1
        content = ChainedContent(id=number, at=at, **columns)
        at += _TICK
        previous = content.hash_after(previous)
        rows.append({**asdict(content), "at": content.at.isoformat(), "hash": previous})
    # One statement, because other writers wait for the lock on the head of the chain.
    session.execute(_ADD, {"event": number, "hash": previous, "rows": json.dumps(rows)})


def _forget(session: Session) -> None:
    session.info.pop(_PENDING, None)


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
        case NamedResource():
            return _workspace(session, row), f"/{row.collection}/{row.name}"
        case AssetVersion():
            return _below(session, row.container, f"versions/{row.version}")
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


def _workspace(session: Session, row: NamedResource | EndpointRow | JobRow | AccessTokenRow) -> WorkspaceRow:
    return session.get_one(WorkspaceRow, row.workspace_id)


def _below(session: Session, parent: AuditedRow, path: str) -> tuple[WorkspaceRow, str]:
    workspace, parent_path = _place(session, parent)
    return workspace, f"{parent_path}/{path}"
