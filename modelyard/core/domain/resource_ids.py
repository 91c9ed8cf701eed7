"""Azure Resource Manager's ids of this platform's resources."""

PROVIDER = "Microsoft.MachineLearningServices"


def workspace_id(subscription: str, resource_group: str, name: str) -> str:
    """The id of a workspace, which every id of a resource in the workspace begins with."""
    return f"/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/{PROVIDER}/workspaces/{name}"
