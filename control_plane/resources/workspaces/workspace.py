"""A workspace: where all other resources live, and the first half of their ids."""

from dataclasses import dataclass
from datetime import datetime

_PROVIDER = "Microsoft.MachineLearningServices"


@dataclass(frozen=True, slots=True)
class WorkspacePath:
    """As a request spells it, in any case."""

    subscription: str
    resource_group: str
    name: str

    @property
    def text(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/{_PROVIDER}/workspaces/{self.name}"
        )


@dataclass(frozen=True, slots=True)
class Workspace:
    key: int
    path: WorkspacePath
    """As it was created."""
    location: str
    created_at: datetime
    modified_at: datetime

    @property
    def arm_id(self) -> str:
        return self.path.text

    @property
    def subscription(self) -> str:
        return self.path.subscription
