"""The name of a compute, from a deployment's reference."""

LOCAL = "local"
"""The compute of every workspace: the workers of the platform."""


def compute_name(reference: str) -> str:
    """The name in `azureml:name`, in an ARM id, or in an ARM id after `azureml:` (the form of Azure's SDK)."""
    return reference.strip().rpartition("/")[2].removeprefix("azureml:")
