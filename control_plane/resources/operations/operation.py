"""Long-running operations."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from modelyard.core.domain.lifecycle import OperationStatus
from modelyard.core.domain.operation_step import OperationStep


class OperationKind(StrEnum):
    PUT_ENDPOINT = "PutEndpoint"
    PATCH_ENDPOINT = "PatchEndpoint"
    DELETE_ENDPOINT = "DeleteEndpoint"
    REGENERATE_KEYS = "RegenerateKeys"
    PUT_DEPLOYMENT = "PutDeployment"
    SCALE_DEPLOYMENT = "ScaleDeployment"
    DELETE_DEPLOYMENT = "DeleteDeployment"
    PUT_COMPUTE = "PutCompute"
    PRUNE_ENVIRONMENTS = "PruneEnvironments"


@dataclass(frozen=True, slots=True)
class Operation:
    id: UUID
    subscription: str
    location: str
    kind: str
    resource_id: str
    status: OperationStatus
    started_at: datetime
    ended_at: datetime | None
    step: OperationStep | None
    """None: the operation has only begun, or has ended."""
    error: Mapping[str, Any] | None

    @property
    def percent_complete(self) -> int:
        if self.status != OperationStatus.IN_PROGRESS:
            return 100
        return (self.step or OperationStep.QUEUED).percent
