"""The path of a workspace, with which most routes begin."""

from typing import Annotated

from fastapi import Depends

from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.domain.resource_ids import workspace_id

WORKSPACE = workspace_id("{subscription}", "{resource_group}", "{workspace}")
WORKSPACES = WORKSPACE.removesuffix("/{workspace}")


def _workspace_path(subscription: str, resource_group: str, workspace: str) -> WorkspacePath:
    return WorkspacePath(subscription, resource_group, workspace)


RequestedWorkspace = Annotated[WorkspacePath, Depends(_workspace_path)]
