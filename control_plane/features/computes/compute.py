"""A compute: a name for deployments to refer to. The platform's workers do the work of every compute."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.resources.authorship import Authorship
from control_plane.resources.compute_name import LOCAL
from control_plane.resources.workspaces.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Compute:
    workspace: Workspace
    name: str
    location: str
    body: Mapping[str, Any]
    """As sent by the client."""
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return compute_id(self.workspace, self.name)


def compute_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/computes/{name}"


def local_compute(workspace: Workspace) -> Compute:
    body = {"properties": {"computeType": "Local", "description": "the workers of this platform"}}
    return Compute(workspace, LOCAL, workspace.location, body, workspace.authorship)
