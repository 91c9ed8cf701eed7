"""The input of a job: a registered data asset, or a path in a datastore."""

import re

from sqlalchemy.orm import Session

from control_plane.features.jobs.job import JobInput, JobSpec
from control_plane.resources.assets.references import Reference, read_reference
from control_plane.resources.assets.repository import DATA
from control_plane.resources.datastore import DatastorePath, read_datastore_path
from control_plane.resources.input_files import from_manifest
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.batch import InputKind
from modelyard.core.errors import InvalidRequest, ReferencedResourceMissing
from modelyard.core.ports.object_store import ObjectStore

TARGET = "properties.inputData"
_OUTPUT = "properties.outputData"
_INPUT_KINDS = {"uri_file": InputKind.URI_FILE, "uri_folder": InputKind.URI_FOLDER}
"""By the type of the data asset."""
# An ARM id or an azureml:// URI of a data asset, by version or by label.
_DATA = re.compile(
    r"(?P<owner>.*/workspaces/(?P<workspace>[^/]+))/data/(?P<name>[^/]+)/(?:versions|labels)(?:/labels)?"
    r"/(?P<version>[^/]+)/?",
    re.I,
)


def resolve_input(session: Session, workspace: Workspace, spec: JobSpec) -> JobInput:
    """Raises ReferencedResourceMissing, and InvalidRequest for an unreadable URI."""
    reference = _asset_reference(workspace, spec.input_uri)
    if reference is None:
        path = read_datastore_path(workspace, spec.input_uri, target=TARGET)
        return JobInput(spec.input_kind, path.uri, None, path.key_in(workspace.datastores))
    row = DATA.resolve(session, workspace, reference, target=TARGET)
    files = from_manifest(row.manifest)
    key = None
    if files is None:
        key = read_datastore_path(workspace, row.data_uri, target=TARGET).key_in(workspace.datastores)
    return JobInput(_INPUT_KINDS[row.data_type], DATA.head_of(workspace, reference.name, row).arm_id, files, key)


def _asset_reference(workspace: Workspace, uri: str) -> Reference | None:
    """None: the URI names a path, not an asset."""
    found = _DATA.fullmatch(uri)
    if found is None:
        is_short = uri.startswith("azureml:") and not uri.startswith("azureml://")
        return read_reference(workspace, "data", uri) if is_short else None
    owner = found["owner"].removeprefix("azureml:")
    is_arm_id = owner.lower().startswith("/subscriptions")
    named, own = (owner, workspace.arm_id) if is_arm_id else (found["workspace"], workspace.path.name)
    if named.lower() != own.lower():
        raise ReferencedResourceMissing(
            f"{uri!r} belongs to another workspace: register the data asset in {workspace.path.name!r}",
            target=TARGET,
        )
    return Reference(found["name"].removeprefix("azureml:"), found["version"])


def check_input_exists(store: ObjectStore, job_input: JobInput) -> None:
    """Refuse a missing input while the client waits. The input may still disappear before the job begins."""
    if job_input.files is not None or job_input.key is None:
        return
    if job_input.kind is InputKind.URI_FILE:
        if store.exists(job_input.key):
            return
    elif next(store.list(f"{job_input.key}/"), None) is not None:
        return
    noun = "file" if job_input.kind is InputKind.URI_FILE else "folder"
    raise InvalidRequest(
        f"there is no {noun} at {job_input.uri!r}: upload the {noun} first (`modelyard data create --path`, or give "
        "a local path to `modelyard batch-endpoint invoke --input`)",
        target=TARGET,
    )


def requested_output(workspace: Workspace, spec: JobSpec, file_name: str) -> DatastorePath | None:
    """The path that the client asks for. None: the default path of the job."""
    if spec.output_uri is None:
        return None
    path = DatastorePath.in_uri(workspace, spec.output_uri, target=_OUTPUT)
    if path is None:
        raise InvalidRequest(
            f"predictions cannot be written to {spec.output_uri!r}: name a file in a datastore, "
            "azureml://datastores/workspaceblobstore/paths/<path>/<file>, or leave outputData out",
            target=_OUTPUT,
        )
    return path.below(file_name) if spec.output_is_folder or path.is_folder else path
