"""Azure Resource Manager's resource ids."""

PROVIDER = "Microsoft.MachineLearningServices"
"""The resource provider, in ids, paths and resource types."""

DEFAULT_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
DEFAULT_RESOURCE_GROUP = "local"

# Of "/subscriptions/s/resourceGroups/g/providers/P/workspaces/w", the empty one before the first slash included.
_SEGMENTS_OF_WORKSPACE = 9


def workspace_id(subscription: str, resource_group: str, name: str) -> str:
    """The id of a workspace, the beginning of the ids of all resources in the workspace."""
    return f"/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/{PROVIDER}/workspaces/{name}"


def workspace_in(resource_id: str) -> str:
    """The id of the workspace that a resource's id begins with."""
    return "/".join(resource_id.split("/")[:_SEGMENTS_OF_WORKSPACE])
