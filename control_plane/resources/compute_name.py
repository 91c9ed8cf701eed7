"""The name of a compute, from a deployment's reference."""

from control_plane.resources.without_effect import WithoutEffect

LOCAL = "local"
"""The compute of every workspace: the workers of the platform."""
WORKERS_OF_THE_PLATFORM = WithoutEffect("this platform's workers do the work of every compute", harmless=(LOCAL,))


def compute_name(reference: str) -> str:
    """The name in `azureml:name`, in an ARM id, or in an ARM id after `azureml:` (the form of Azure's SDK)."""
    return reference.strip().rpartition("/")[2].removeprefix("azureml:")
