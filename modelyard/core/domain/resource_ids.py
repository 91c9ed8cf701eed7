"""Azure Resource Manager's resource ids."""

PROVIDER = "Microsoft.MachineLearningServices"
"""The resource provider, in ids, paths and resource types."""


def workspace_id(subscription: str, resource_group: str, name: str) -> str:
    """The id of a workspace, the beginning of the ids of all resources in the workspace."""
    return f"/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/{PROVIDER}/workspaces/{name}"
