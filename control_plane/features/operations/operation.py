"""A long-running operation: what a client polls."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from modelyard.core.domain.lifecycle import OperationStatus


class OperationKind(StrEnum):
    PUT_ENDPOINT = "PutEndpoint"
    PATCH_ENDPOINT = "PatchEndpoint"
    DELETE_ENDPOINT = "DeleteEndpoint"
    REGENERATE_KEYS = "RegenerateKeys"
    PUT_DEPLOYMENT = "PutDeployment"
    SCALE_DEPLOYMENT = "ScaleDeployment"
    DELETE_DEPLOYMENT = "DeleteDeployment"
    PRUNE_ENVIRONMENTS = "PruneEnvironments"


# Roughly how far a deployment is when it does this. Names as the builder and the host write them.
_PERCENT_BY_STEP = {"queued": 5, "resolving": 15, "installing": 35, "checking": 65, "starting workers": 75}
ROUTING = "routing"
_ROUTING_PERCENT = 95


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
    step: str | None
    error: Mapping[str, Any] | None

    @property
    def percent_complete(self) -> int:
        if self.status != OperationStatus.IN_PROGRESS:
            return 100
        return _PERCENT_BY_STEP.get(self.step or ROUTING, _ROUTING_PERCENT)
