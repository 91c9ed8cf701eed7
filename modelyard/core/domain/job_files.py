"""Object store keys of a batch job's files.

A data store's path `azureml://datastores/<store>/paths/<path>` is the key `<folder>/<store>/<path>`, where the folder
is that of the workspace's data stores. The output of a job lies, by default, where Azure's SDK looks: below the folder
of the job's one child run.
"""

from pathlib import PurePosixPath

DATASTORES = "datastores"
DEFAULT_DATASTORE = "workspaceblobstore"
BUILT_IN_DATASTORES = (DEFAULT_DATASTORE, "workspaceartifactstore")
"""Every workspace has these datastores."""
PARTS = "batch/"
WORKSPACE_FOLDERS = f"{DATASTORES}/workspace."
"""What the folders of the data stores begin with, but for those of the first workspace."""
_ERRORS, _OTHER_ERRORS = "errors.csv", "failures.csv"
_CHILD = "-run"


def datastores_folder(workspace_key: int) -> str:
    """Folder of a workspace's data stores. Names of stores have no dot, so that no path in a store leads here."""
    return f"{WORKSPACE_FOLDERS}{workspace_key}"


def child_run(job: str) -> str:
    """Name of the job's one child run, which Azure's SDK asks for predictions."""
    return f"{job}{_CHILD}"


def parent_of(run: str) -> str | None:
    """Name of the job whose child run has this name. None: the name is not the name of a child run."""
    return run.removesuffix(_CHILD) if run.endswith(_CHILD) else None


def default_output_key(datastores: str, job: str, file_name: str) -> str:
    return f"{_folder(datastores, job)}/score/{file_name}"


def errors_key(output_key: str) -> str:
    """Key of the errors file, beside the predictions."""
    output = PurePosixPath(output_key)
    return str(output.with_name(_OTHER_ERRORS if output.name == _ERRORS else _ERRORS))


def logs_prefix(datastores: str, job: str) -> str:
    """Ends in "/"."""
    return f"{_folder(datastores, job)}/logs/"


def parts_prefix(job_key: int) -> str:
    """Prefix of the parts that an output is assembled from. Ends in "/"."""
    return f"{PARTS}{job_key}/"


def _folder(datastores: str, job: str) -> str:
    return f"{datastores}/{DEFAULT_DATASTORE}/azureml/{child_run(job)}"
