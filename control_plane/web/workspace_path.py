"""The path of a workspace, with which most routes begin."""

from typing import Annotated

from fastapi import Depends

from control_plane.resources.workspaces.workspace import WorkspacePath

WORKSPACES = (
    "/subscriptions/{subscription}/resourceGroups/{resource_group}"
    "/providers/Microsoft.MachineLearningServices/workspaces"
)
WORKSPACE = WORKSPACES + "/{workspace}"


def _workspace_path(subscription: str, resource_group: str, workspace: str) -> WorkspacePath:
    return WorkspacePath(subscription, resource_group, workspace)


RequestedWorkspace = Annotated[WorkspacePath, Depends(_workspace_path)]
