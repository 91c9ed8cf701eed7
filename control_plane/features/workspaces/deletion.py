"""Deletion of a workspace, refused while the workspace holds a resource that its owner can list and delete."""

from typing import Any

from sqlalchemy import ColumnElement, delete, false, func, select
from sqlalchemy.orm import Session

from control_plane.resources.assets.repository import CODES, DATA, ENVIRONMENTS, MODELS, AssetTables
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.audit import record
from modelyard.core.db.rows import (
    BatchEndpointRow,
    BlobBlockRow,
    BlobPropertiesRow,
    ComputeRow,
    DatastoreRemovalRow,
    DatastoreRow,
    JobRow,
    OnlineEndpointRow,
    UploadRow,
    WorkspaceRow,
)
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.lifecycle import ENDED_JOBS
from modelyard.core.errors import Conflict

_ASSETS: tuple[AssetTables[Any, Any], ...] = (MODELS, ENVIRONMENTS, DATA, CODES)


class WorkspaceNotEmpty(Conflict):
    code = "WorkspaceNotEmpty"

    def __init__(self, workspace: str, held: dict[str, int]) -> None:
        counts = ", ".join(f"{count} {noun}{'s' if count > 1 else ''}" for noun, count in held.items())
        super().__init__(f"workspace {workspace!r} holds {counts}: delete them first, and cancel the jobs")


def remove_workspace(session: Session, caller: Caller, workspace: Workspace) -> bool:
    """Remove the workspace with ended jobs, computes, datastores, unfinished uploads and tokens.

    The sweep removes the files. Raises WorkspaceNotEmpty. False: another request has removed the workspace.
    """
    # A new resource holds a shared lock of the workspace's row until its commit.
    row = session.scalar(select(WorkspaceRow).where(WorkspaceRow.id == workspace.key).with_for_update())
    if row is None:
        return False
    held = {noun: count for noun, count in _held(session, row.id).items() if count}
    if held:
        raise WorkspaceNotEmpty(row.name, held)
    record(session, caller, AuditAction.DELETE, row)
    for tables in _ASSETS:
        containers = select(tables.container.id).where(tables.container.workspace_id == row.id)
        session.execute(delete(tables.version).where(tables.owner.in_(containers)))
        session.execute(delete(tables.container).where(tables.container.workspace_id == row.id))
    for table in (JobRow, ComputeRow, UploadRow, DatastoreRow, BlobPropertiesRow, BlobBlockRow):
        session.execute(delete(table).where(table.workspace_id == row.id))
    session.add(DatastoreRemovalRow(folder=row.datastores))
    session.delete(row)
    return True


def _held(session: Session, workspace: int) -> dict[str, int]:
    """The number of resources by noun."""
    jobs = (JobRow.workspace_id == workspace, JobRow.state.not_in(ENDED_JOBS))
    return {
        "online endpoint": _count(session, OnlineEndpointRow.workspace_id == workspace),
        "batch endpoint": _count(session, BatchEndpointRow.workspace_id == workspace),
        "unfinished job": _count(session, *jobs),
        **{tables.noun: _count(session, *_listed(tables, workspace)) for tables in _ASSETS},
    }


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).where(*conditions)) or 0


def _listed(tables: AssetTables[Any, Any], workspace: int) -> tuple[ColumnElement[bool], ...]:
    """Assets that were registered by name. Anonymous versions belonged to deployments that are gone."""
    named = select(tables.version.id).where(tables.owner == tables.container.id, tables.version.is_anonymous == false())
    versions = select(tables.version.id).where(tables.owner == tables.container.id)
    return tables.container.workspace_id == workspace, named.exists() | ~versions.exists()
