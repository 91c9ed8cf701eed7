"""Access tokens in the database."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from control_plane.features.tokens.access_token import AccessToken, AccessTokenSpec, TokenState
from control_plane.resources.authorship import Authorship
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.repository import get_workspace, workspaces_of
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from modelyard.core.db.audit import record
from modelyard.core.db.rows import AccessTokenRow, RoleAssignmentRow
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.roles import EVERY_WORKSPACE, Role, RoleAssignment
from modelyard.core.errors import Conflict, ReferencedResourceMissing, ResourceNotFound

_TARGET = "properties.roles"


def get_token(session: Session, workspace: Workspace, name: str) -> AccessToken:
    row = session.scalar(_named(workspace, name))
    if row is None:
        raise ResourceNotFound(f"there is no token {name!r} in workspace {workspace.path.name!r}")
    return _token(session, workspace, row)


def list_tokens(session: Session, workspace: Workspace, page: Page) -> Sequence[AccessToken]:
    query = select(AccessTokenRow).where(AccessTokenRow.workspace_id == workspace.key).order_by(AccessTokenRow.name)
    return _tokens(session, workspace, session.scalars(page.of(query)).all())


def add_token(
    session: Session, caller: Caller, workspace: Workspace, name: str, spec: AccessTokenSpec, digest: str
) -> AccessToken:
    """Raises Conflict for the name of an active token. An ended token gives its name to the new one."""
    former = session.scalar(_named(workspace, name).with_for_update())
    if former is not None:
        if _state(former) == TokenState.ACTIVE:
            raise Conflict(
                f"workspace {workspace.path.name!r} has an active token {name!r}: revoke the token first, or choose "
                "another name"
            )
        session.delete(former)
        session.flush()
    row = AccessTokenRow(
        workspace_id=workspace.key,
        name=name,
        subject=spec.subject,
        digest=digest,
        expires_at=spec.expires_at,
        roles=[
            RoleAssignmentRow(workspace_id=_key_of_scope(session, held.scope), role=held.role) for held in spec.roles
        ],
    )
    session.add(row)
    session.flush()
    changes = {
        "subject": {"from": None, "to": spec.subject},
        "roles": {"from": None, "to": [f"{held.role} in {held.scope}" for held in spec.roles]},
        "expires_at": {"from": None, "to": None if spec.expires_at is None else spec.expires_at.isoformat()},
    }
    record(session, caller, AuditAction.CREATE, row, changes=changes)
    session.flush()
    session.refresh(row)
    return _token(session, workspace, row)


def revoke_token(session: Session, caller: Caller, workspace: Workspace, name: str) -> AccessToken | None:
    """None: there is no such token. A token that has ended stays as it is."""
    row = session.scalar(_named(workspace, name).with_for_update())
    if row is None:
        return None
    if row.revoked_at is None:
        row.revoked_at = session.scalar(select(func.now()))
        record(session, caller, AuditAction.REVOKE, row)
        session.flush()
        session.refresh(row)
    return _token(session, workspace, row)


def _named(workspace: Workspace, name: str) -> Select[AccessTokenRow]:
    return select(AccessTokenRow).where(AccessTokenRow.workspace_id == workspace.key, AccessTokenRow.name == name)


def _key_of_scope(session: Session, scope: str) -> int | None:
    if scope == EVERY_WORKSPACE:
        return None
    path = WorkspacePath.in_id(scope, target=_TARGET)
    try:
        return get_workspace(session, path).key
    except ResourceNotFound as error:
        raise ReferencedResourceMissing(error.message, target=_TARGET) from None


def _token(session: Session, workspace: Workspace, row: AccessTokenRow) -> AccessToken:
    (token,) = _tokens(session, workspace, [row])
    return token


def _tokens(session: Session, workspace: Workspace, found: Sequence[AccessTokenRow]) -> Sequence[AccessToken]:
    """One query for any number of rows with their roles."""
    keys = {held.workspace_id for row in found for held in row.roles if held.workspace_id is not None}
    scopes = {key: each.arm_id for key, each in workspaces_of(session, keys).items()}
    return [
        AccessToken(
            workspace=workspace,
            name=row.name,
            subject=row.subject,
            roles=tuple(
                RoleAssignment(
                    Role(held.role), EVERY_WORKSPACE if held.workspace_id is None else scopes[held.workspace_id]
                )
                for held in row.roles
            ),
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
            state=_state(row),
            authorship=Authorship.of(row),
        )
        for row in found
    ]


def _state(row: AccessTokenRow) -> TokenState:
    if row.revoked_at is not None:
        return TokenState.REVOKED
    is_expired = row.expires_at is not None and row.expires_at <= datetime.now(UTC)
    return TokenState.EXPIRED if is_expired else TokenState.ACTIVE
