"""Endpoints in the database. A change holds the lock of the endpoint's row from the first read to the commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from control_plane.resources.authorship import Authorship
from control_plane.resources.endpoints.credentials import AuthMode, EndpointKeys, key_digest
from control_plane.resources.endpoints.endpoint import Endpoint, EndpointPatch, EndpointSpec
from control_plane.resources.operations.operation import Operation
from control_plane.resources.operations.repository import last_operations
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.adapters.secret_box import SecretBox
from modelyard.core.db import rows
from modelyard.core.db.audit import record
from modelyard.core.db.rows import BatchEndpointRow, OnlineEndpointRow
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.errors import Conflict, InvalidRequest, NameTaken, ResourceNotFound

R = TypeVar("R", OnlineEndpointRow, BatchEndpointRow)
E = TypeVar("E", bound=Endpoint)


@dataclass(frozen=True, slots=True)
class EndpointTable(Generic[R, E]):
    noun: str
    """In messages: "batch endpoint"."""
    collection: str
    row: type[R]
    to_value: Callable[[dict[str, Any], R], E]
    """Makes the value of the shared fields and the row."""

    # Reading.

    def get(self, session: Session, workspace: Workspace, name: str) -> E:
        row = session.scalar(self._named(workspace, name))
        if row is None:
            raise self._missing(workspace, name)
        return self.value(session, workspace, row)

    def list(self, session: Session, workspace: Workspace, page: Page) -> Sequence[E]:
        query = select(self.row).where(self.row.workspace_id == workspace.key).order_by(self.row.name)
        return self._values(session, workspace, session.scalars(page.of(query)).all())

    def row_of(self, session: Session, endpoint: E) -> R:
        return session.get_one(self.row, endpoint.key)

    def stored_keys(self, session: Session, endpoint: E, box: SecretBox) -> EndpointKeys:
        row = self.row_of(session, endpoint)
        return EndpointKeys(box.decrypt(row.primary_key_encrypted), box.decrypt(row.secondary_key_encrypted))

    def read_keys(self, session: Session, caller: Caller, endpoint: E, box: SecretBox) -> EndpointKeys:
        """The keys, for a caller who asks to see them."""
        record(session, caller, AuditAction.READ_KEYS, self.row_of(session, endpoint))
        return self.stored_keys(session, endpoint, box)

    def check_keys_stay(self, session: Session, endpoint: E, spec: EndpointSpec, box: SecretBox) -> None:
        """Raise InvalidRequest for a PUT with other keys than the endpoint's: a PUT does not replace keys."""
        stored = self.stored_keys(session, endpoint, box)
        if spec.primary_key not in (None, "", stored.primary) or spec.secondary_key not in (None, "", stored.secondary):
            raise InvalidRequest(
                "keys are set when an endpoint is created, and a PUT does not replace them: leave keys out",
                target="properties.keys",
            )

    # Locking.

    def find_for_change(self, session: Session, workspace: Workspace, name: str) -> E | None:
        """Lock the endpoint for the rest of the transaction. None: the workspace has no such endpoint."""
        row = session.scalar(self._named(workspace, name).with_for_update())
        return None if row is None else self.value(session, workspace, row)

    def get_for_change(self, session: Session, workspace: Workspace, name: str) -> E:
        endpoint = self.find_for_change(session, workspace, name)
        if endpoint is None:
            raise self._missing(workspace, name)
        return endpoint

    def find_or_add(
        self, session: Session, workspace: Workspace, name: str, keys: EndpointKeys, box: SecretBox, **own: Any
    ) -> tuple[E, bool]:
        """The locked endpoint, and whether it is new. `own` are the noun's columns of a new row.

        Raises NameTaken where another workspace has an endpoint of this name.
        """
        existing = self._find_in_any_workspace(session, workspace, name)
        if existing is not None:
            return existing, False
        is_new = self._add(session, workspace, name, keys, box, **own)
        endpoint = self._find_in_any_workspace(session, workspace, name)
        if endpoint is None:
            raise Conflict(f"{self.noun} {name!r} was deleted at the same time; try again")
        return endpoint, is_new

    def _find_in_any_workspace(self, session: Session, workspace: Workspace, name: str) -> E | None:
        row = session.scalar(select(self.row).where(self.row.name == name).with_for_update())
        if row is None:
            return None
        if row.workspace_id != workspace.key:
            raise NameTaken(
                f"the {self.noun} name {name!r} is in use in another workspace, and names are unique on the whole "
                "platform: choose another name",
                target="name",
            )
        return self.value(session, workspace, row)

    def _add(
        self, session: Session, workspace: Workspace, name: str, keys: EndpointKeys, box: SecretBox, **own: Any
    ) -> bool:
        """Add a bare row, which the spec fills. False: another request has just added the endpoint."""
        values: dict[str, Any] = {
            "workspace_id": workspace.key,
            "name": name,
            "location": workspace.location,
            "auth_mode": AuthMode.KEY,
            "tags": {},
            "properties": {},
            "provisioning_state": ProvisioningState.CREATING,
            **key_columns(box, keys),
            **own,
        }
        made = session.scalar(insert(self.row).values(**values).on_conflict_do_nothing().returning(self.row.id))
        return made is not None

    # Values.

    def refreshed(self, session: Session, workspace: Workspace, row: R) -> E:
        session.flush()
        session.refresh(row)
        return self.value(session, workspace, row)

    def value(self, session: Session, workspace: Workspace, row: R) -> E:
        (value,) = self._values(session, workspace, [row])
        return value

    def _values(self, session: Session, workspace: Workspace, found: Sequence[R]) -> Sequence[E]:
        """One query for any number of rows."""
        operations = last_operations(session, found)
        return [self._value(workspace, row, last) for row, last in zip(found, operations, strict=True)]

    def _value(self, workspace: Workspace, row: R, operation: Operation | None) -> E:
        shared = {
            "workspace": workspace,
            "key": row.id,
            "collection": self.collection,
            "name": row.name,
            "location": row.location,
            "kind": row.kind,
            "identity": row.identity,
            "tags": row.tags,
            "properties": row.properties,
            "description": row.description,
            "auth_mode": AuthMode(row.auth_mode),
            "state": ProvisioningState(row.provisioning_state),
            "operation": operation,
            "authorship": Authorship.of(row),
        }
        return self.to_value(shared, row)

    def _named(self, workspace: Workspace, name: str) -> Select[R]:
        return select(self.row).where(self.row.workspace_id == workspace.key, self.row.name == name)

    def _missing(self, workspace: Workspace, name: str) -> ResourceNotFound:
        return ResourceNotFound(
            f"there is no {self.noun} {name!r} in workspace {workspace.path.name!r}; PUT the endpoint to create it"
        )


def apply_spec(row: rows.Endpoint, spec: EndpointSpec) -> None:
    row.location = spec.location or row.location
    row.kind = spec.kind
    row.identity = dict(spec.identity) if spec.identity is not None else None
    row.tags = dict(spec.tags)
    row.properties = dict(spec.properties)
    row.description = spec.description
    row.auth_mode = spec.auth_mode


def apply_patch(row: rows.Endpoint, patch: EndpointPatch) -> None:
    if patch.tags is not None:
        row.tags = dict(patch.tags)
    if patch.identity is not None:
        row.identity = dict(patch.identity)


def key_columns(box: SecretBox, keys: EndpointKeys) -> dict[str, str]:
    return {
        "primary_key_encrypted": box.encrypt(keys.primary),
        "secondary_key_encrypted": box.encrypt(keys.secondary),
        "primary_key_digest": key_digest(keys.primary),
        "secondary_key_digest": key_digest(keys.secondary),
    }
