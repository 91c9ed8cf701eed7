"""Operations as JSON."""

from control_plane.resources.arm_body import ArmBody, Timestamp
from control_plane.resources.error_body import Error
from control_plane.resources.operations.operation import Operation
from modelyard.core.domain.resource_ids import PROVIDER


class OperationProperties(ArmBody):
    step: str | None = None
    """The OperationStep under way: queued, resolving, installing and so on."""


class OperationBody(ArmBody):
    id: str
    name: str
    status: str
    """InProgress, Succeeded, Failed or Canceled."""
    start_time: Timestamp
    end_time: Timestamp | None = None
    percent_complete: int
    properties: OperationProperties
    error: Error | None = None
    """Why the operation has failed."""

    @classmethod
    def of(cls, operation: Operation) -> "OperationBody":
        provider = f"/subscriptions/{operation.subscription}/providers/{PROVIDER}"
        return cls(
            id=f"{provider}/locations/{operation.location}/mfeOperationsStatus/{operation.id}",
            name=str(operation.id),
            status=operation.status,
            start_time=operation.started_at,
            end_time=operation.ended_at,
            percent_complete=operation.percent_complete,
            properties=OperationProperties(step=operation.step),
            error=Error.model_validate(operation.error) if operation.error else None,
        )
