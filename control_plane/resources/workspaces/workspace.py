"""A workspace, which contains all other resources."""

from dataclasses import dataclass

from control_plane.resources.authorship import Authorship
from modelyard.core.domain.resource_ids import workspace_id


@dataclass(frozen=True, slots=True)
class WorkspacePath:
    """As a request spells it, in any case."""

    subscription: str
    resource_group: str
    name: str

    @property
    def text(self) -> str:
        return workspace_id(self.subscription, self.resource_group, self.name)


@dataclass(frozen=True, slots=True)
class Workspace:
    key: int
    path: WorkspacePath
    """As it was created."""
    location: str
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return self.path.text

    @property
    def subscription(self) -> str:
        return self.path.subscription
