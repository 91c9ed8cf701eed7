"""A workspace, the container of all resources."""

import re
from dataclasses import dataclass

from control_plane.resources.authorship import Authorship
from modelyard.core.domain.resource_ids import PROVIDER, workspace_id
from modelyard.core.errors import InvalidRequest

_WORKSPACE_ID = re.compile(
    rf"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/{re.escape(PROVIDER)}/workspaces/([^/]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class WorkspacePath:
    """The path in the spelling of the request, in any case."""

    subscription: str
    resource_group: str
    name: str

    @classmethod
    def in_id(cls, arm_id: str, *, target: str) -> "WorkspacePath":
        """Raises InvalidRequest for a text that is not the ARM id of a workspace; `target` is the field."""
        match = _WORKSPACE_ID.fullmatch(arm_id)
        if match is None:
            expected = workspace_id("<subscription>", "<group>", "<name>")
            raise InvalidRequest(f"{arm_id!r} is not the id of a workspace, {expected}", target=target)
        return cls(*match.groups())

    @property
    def text(self) -> str:
        return workspace_id(self.subscription, self.resource_group, self.name)


@dataclass(frozen=True, slots=True)
class Workspace:
    key: int
    path: WorkspacePath
    """In the spelling of the creation."""
    location: str
    datastores: str
    """Folder of the workspace's data stores in the object store."""
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return self.path.text

    @property
    def subscription(self) -> str:
        return self.path.subscription
