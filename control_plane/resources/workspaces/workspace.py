"""A workspace, the container of all resources."""

from dataclasses import dataclass

from control_plane.resources.authorship import Authorship
from modelyard.core.domain.resource_ids import workspace_id


@dataclass(frozen=True, slots=True)
class WorkspacePath:
    """The path in the spelling of the request, in any case."""

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
    """In the spelling of the creation."""
    location: str
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return self.path.text

    @property
    def subscription(self) -> str:
        return self.path.subscription
