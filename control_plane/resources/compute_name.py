"""The names of computes, as deployments refer to computes."""

LOCAL = "local"
"""The compute of every workspace: the workers of the platform."""


def compute_name(reference: str) -> str:
    """The name in `azureml:name`, in an ARM id, or in an ARM id after `azureml:`, as Azure's SDK sends the id."""
    return reference.strip().rpartition("/")[2].removeprefix("azureml:")
