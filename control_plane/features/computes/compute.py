"""A compute: a name that deployments may give. The workers of this platform do the work, whatever it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.resources.authorship import Authorship
from control_plane.resources.workspaces.workspace import Workspace

LOCAL = "local"
"""Is always there."""


@dataclass(frozen=True, slots=True)
class Compute:
    workspace: Workspace
    name: str
    location: str
    body: Mapping[str, Any]
    """As it was sent."""
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return compute_id(self.workspace, self.name)


def compute_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/computes/{name}"


def compute_name(text: str) -> str:
    """Of `azureml:name`, an ARM id, or both at once, as Azure's SDK writes it."""
    return text.strip().rpartition("/")[2].removeprefix("azureml:")


def local_compute(workspace: Workspace) -> Compute:
    body = {"properties": {"computeType": "Local", "description": "the workers of this platform"}}
    return Compute(workspace, LOCAL, workspace.location, body, workspace.authorship)
