"""Deployments in the database. A change holds the endpoint's lock, and then the lock of the deployment's row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import and_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from control_plane.resources.authorship import Authorship
from control_plane.resources.deployments.deployment import CommonDeploymentSpec, Deployment, Failure
from control_plane.resources.deployments.references import ResolvedSpec
from control_plane.resources.endpoints.endpoint import Endpoint
from control_plane.resources.operations.operation import Operation, OperationKind
from control_plane.resources.operations.repository import last_operations, record_finished, start_operation
from control_plane.resources.paging import Page
from modelyard.core.db import rows
from modelyard.core.db.audit import record
from modelyard.core.db.lifecycle import begin
from modelyard.core.db.rows import BatchDeploymentRow, GenerationRow, OnlineDeploymentRow, OperationRow
from modelyard.core.domain.audit import AuditAction, changed_fields
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import GenerationState, ProvisioningState
from modelyard.core.errors import ResourceNotFound

R = TypeVar("R", OnlineDeploymentRow, BatchDeploymentRow)
D = TypeVar("D", bound=Deployment)

_FIRST_GENERATION = 1


@dataclass(frozen=True, slots=True)
class DeploymentTable(Generic[R, D]):
    endpoint_noun: str
    """In messages: "batch endpoint"."""
    row: type[R]
    generation_owner: InstrumentedAttribute[int | None]
    """The foreign key of generations to the deployment's table."""
    to_values: Callable[[Session, Sequence[tuple[R, dict[str, Any]]]], Sequence[D]]
    """Makes the values of rows and shared fields, with the same number of queries for any number of rows."""

    # Reading.

    def find(self, session: Session, endpoint: Endpoint, name: str, *, lock: bool = False) -> D | None:
        query = select(self.row).where(self.row.endpoint_id == endpoint.key, self.row.name == name)
        row = session.scalar(query.with_for_update() if lock else query)
        return None if row is None else self.value(session, endpoint, row)

    def get(self, session: Session, endpoint: Endpoint, name: str, *, lock: bool = False) -> D:
        found = self.find(session, endpoint, name, lock=lock)
        if found is None:
            raise ResourceNotFound(f"{self.endpoint_noun} {endpoint.name!r} has no deployment {name!r}")
        return found

    def list(self, session: Session, endpoint: Endpoint, page: Page) -> Sequence[D]:
        query = select(self.row).where(self.row.endpoint_id == endpoint.key).order_by(self.row.name)
        return self._values(session, endpoint, session.scalars(page.of(query)).all())

    def row_of(self, session: Session, deployment: D) -> R:
        return session.get_one(self.row, deployment.key)

    def generation(self, session: Session, deployment_key: int, number: int) -> GenerationRow:
        generations = select(GenerationRow).where(self.generation_owner == deployment_key)
        return session.scalars(generations.where(GenerationRow.number == number)).one()

    def generations(
        self,
        session: Session,
        found: Sequence[R],
        number: InstrumentedAttribute[int] | InstrumentedAttribute[int | None],
    ) -> Mapping[int, GenerationRow]:
        """The generations that the deployments' column `number` names, by the deployments' keys; by one query."""
        is_named = and_(self.generation_owner == self.row.id, GenerationRow.number == number)
        query = select(self.row.id, GenerationRow).join(GenerationRow, is_named)
        keys = [row.id for row in found]
        return dict(iter(session.execute(query.where(self.row.id.in_(keys)))))

    # Changing.

    def add(
        self,
        session: Session,
        caller: Caller,
        endpoint: Endpoint,
        name: str,
        spec: CommonDeploymentSpec,
        resolved: ResolvedSpec,
        **own: Any,
    ) -> tuple[D, int]:
        """The deployment, and the id of its first generation. `own` are the noun's columns."""
        row = self.row(
            endpoint_id=endpoint.key,
            name=name,
            location=endpoint.location,
            provisioning_state=ProvisioningState.CREATING,
            wanted_generation=_FIRST_GENERATION,
            **own,
        )
        apply_spec(row, spec)
        session.add(row)
        session.flush()
        arm_id = f"{endpoint.arm_id}/deployments/{name}"
        operation = start_operation(session, endpoint.workspace, OperationKind.PUT_DEPLOYMENT, arm_id)
        row.operation_id = operation.id
        generation_id = self._add_generation(session, caller, row, resolved)
        changes = changed_fields({}, resolved.spec.to_dict())
        record(session, caller, AuditAction.CREATE, row, to_state=row.provisioning_state, changes=changes)
        return self.refreshed(session, endpoint, row), generation_id

    def begin_change(
        self, session: Session, endpoint: Endpoint, row: R, state: ProvisioningState, kind: OperationKind
    ) -> None:
        arm_id = f"{endpoint.arm_id}/deployments/{row.name}"
        operation = start_operation(session, endpoint.workspace, kind, arm_id)
        begin(row, state, session.get_one(OperationRow, operation.id))

    def record_description(self, session: Session, endpoint: Endpoint, row: R) -> None:
        """Name an operation that has succeeded, for a change that took effect at once."""
        if row.provisioning_state == ProvisioningState.SUCCEEDED:
            arm_id = f"{endpoint.arm_id}/deployments/{row.name}"
            finished = record_finished(session, endpoint.workspace, OperationKind.PUT_DEPLOYMENT, arm_id)
            row.operation_id = finished.id

    def replace_generation(
        self, session: Session, caller: Caller, endpoint: Endpoint, row: R, resolved: ResolvedSpec
    ) -> int:
        """Ask for a new generation beside the serving generation. Returns the id of the new generation."""
        state = ProvisioningState.CREATING if row.serving_generation is None else ProvisioningState.UPDATING
        self.begin_change(session, endpoint, row, state, OperationKind.PUT_DEPLOYMENT)
        row.wanted_generation += 1
        return self._add_generation(session, caller, row, resolved)

    def _add_generation(self, session: Session, caller: Caller, row: R, resolved: ResolvedSpec) -> int:
        generation = GenerationRow(
            **{self.generation_owner.key: row.id},
            number=row.wanted_generation,
            state=GenerationState.QUEUED,
            spec=resolved.spec.to_dict(),
            model_version_id=resolved.model_key,
            environment_version_id=resolved.environment_key,
            created_by=caller.subject,
            created_by_kind=caller.kind,
        )
        session.add(generation)
        session.flush()
        return generation.id

    # Values.

    def refreshed(self, session: Session, endpoint: Endpoint, row: R) -> D:
        session.flush()
        session.refresh(row)
        return self.value(session, endpoint, row)

    def value(self, session: Session, endpoint: Endpoint, row: R) -> D:
        (value,) = self._values(session, endpoint, [row])
        return value

    def _values(self, session: Session, endpoint: Endpoint, found: Sequence[R]) -> Sequence[D]:
        wanted = self.generations(session, found, self.row.wanted_generation)
        operations = last_operations(session, found)
        return self.to_values(
            session,
            [
                (row, _shared(endpoint, row, DeploymentSpec.from_dict(wanted[row.id].spec), operation))
                for row, operation in zip(found, operations, strict=True)
            ],
        )


def _shared(
    endpoint: Endpoint, row: rows.Deployment, spec: DeploymentSpec, operation: Operation | None
) -> dict[str, Any]:
    return {
        "key": row.id,
        "endpoint_id": endpoint.arm_id,
        "endpoint": endpoint.name,
        "name": row.name,
        "location": row.location,
        "tags": row.tags,
        "properties": row.properties,
        "body": row.body,
        "spec": spec,
        "state": ProvisioningState(row.provisioning_state),
        "failure": Failure(row.failure_code, row.failure_message or "") if row.failure_code else None,
        "wanted_generation": row.wanted_generation,
        "serving_generation": row.serving_generation,
        "operation": operation,
        "authorship": Authorship.of(row),
    }


def apply_spec(row: rows.Deployment, spec: CommonDeploymentSpec) -> None:
    row.location = spec.location or row.location
    row.tags = dict(spec.tags)
    row.properties = dict(spec.properties)
    row.body = dict(spec.body)
