"""The inputs of a job: registered data assets, and paths in datastores."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from sqlalchemy.orm import Session

from control_plane.features.jobs.job import JobInput, JobSpec, RequestedInput
from control_plane.resources.assets.references import Reference, read_reference
from control_plane.resources.assets.registered_files import registered_files, upload_of
from control_plane.resources.assets.repository import DATA
from control_plane.resources.datastore import DatastorePath, read_datastore_path
from control_plane.resources.input_files import from_manifest
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.batch import InputFile, InputKind, is_hidden
from modelyard.core.errors import InvalidRequest, ReferencedResourceMissing
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

TARGET = "properties.inputData"
_MOST_FILES = 1000
"""Of several inputs, whose folders are listed while the client waits."""
_OUTPUT = "properties.outputData"
_INPUT_KINDS = {"uri_file": InputKind.URI_FILE, "uri_folder": InputKind.URI_FOLDER}
"""By the type of the data asset."""
# An ARM id or an azureml:// URI of a data asset, by version or by label.
_DATA = re.compile(
    r"(?P<owner>.*/workspaces/(?P<workspace>[^/]+))/data/(?P<name>[^/]+)/(?:versions|labels)(?:/labels)?"
    r"/(?P<version>[^/]+)/?",
    re.I,
)


def resolve_inputs(session: Session, workspace: Workspace, spec: JobSpec) -> Sequence[JobInput]:
    """Raises ReferencedResourceMissing, and InvalidRequest for an unreadable URI."""
    return [_resolved(session, workspace, requested) for requested in spec.inputs]


def _resolved(session: Session, workspace: Workspace, requested: RequestedInput) -> JobInput:
    reference = _asset_reference(workspace, requested.uri)
    if reference is None:
        path = read_datastore_path(workspace, requested.uri, target=TARGET)
        files = _registered(session, workspace, path, requested.kind)
        key = None if files else path.key_in(workspace.datastores)
        return JobInput(requested.name, requested.kind, path.uri, files, key)
    row = DATA.resolve(session, workspace, reference, target=TARGET)
    files = from_manifest(row.manifest)
    key = None
    if files is None:
        key = read_datastore_path(workspace, row.data_uri, target=TARGET).key_in(workspace.datastores)
    arm_id = DATA.head_of(workspace, reference.name, row).arm_id
    return JobInput(requested.name, _input_kind(row.data_type, uri=requested.uri), arm_id, files, key)


def _registered(
    session: Session, workspace: Workspace, path: DatastorePath, kind: InputKind
) -> tuple[InputFile, ...] | None:
    """The files at the URI of a registered version, under which no object lies. None: the path is another one."""
    upload_id = upload_of(path.store, f"{path.path}/")
    known = registered_files(session, workspace.key, upload_id) if upload_id else {}
    if kind is InputKind.URI_FILE:
        named = known.get(path.path)
        return None if named is None else (replace(named, path=path.path.rpartition("/")[2]),)
    above = f"{path.path}/"
    inside = (file for name, file in known.items() if name.startswith(above))
    return tuple(replace(file, path=file.path.removeprefix(above)) for file in inside) or None


def _input_kind(data_type: str, *, uri: str) -> InputKind:
    """The kind of input of a data asset that a job names by the URI."""
    kind = _INPUT_KINDS.get(data_type)
    if kind is None:
        raise InvalidRequest(
            f"{uri!r} is an {data_type}, and the jobs of this platform read files as they are: register the folder "
            "with the files as a uri_folder",
            target=TARGET,
        )
    return kind


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


def joined(store: ObjectStore, inputs: Sequence[JobInput]) -> JobInput:
    """The inputs as one, in the order of names. The path of each file begins with the name of its input.

    A single input stays as it is. The folders of several are listed now. Raises InvalidRequest for too many files.
    """
    if len(inputs) == 1:
        return inputs[0]
    files: list[InputFile] = []
    for job_input in inputs:
        for file in _files_of(store, job_input):
            files.append(InputFile(f"{job_input.name}/{file.path}", file.key, file.size))
            if len(files) > _MOST_FILES:
                raise InvalidRequest(
                    f"the {len(inputs)} inputs hold more than {_MOST_FILES} files: put all into one folder, which "
                    "the job lists when it begins",
                    target=TARGET,
                )
    # As files: hidden files are left out already, and the name of an input may begin with "_".
    return JobInput("", InputKind.URI_FILE, ", ".join(each.uri for each in inputs), tuple(files), None)


def _files_of(store: ObjectStore, job_input: JobInput) -> Iterator[InputFile]:
    is_folder = job_input.kind is InputKind.URI_FOLDER
    if job_input.files is not None:
        yield from (file for file in job_input.files if not (is_folder and is_hidden(file.path)))
        return
    key = job_input.key or ""
    if is_folder:
        listed = ((found.key.removeprefix(f"{key}/"), found) for found in store.list_objects(f"{key}/"))
        yield from (InputFile(path, found.key, found.size) for path, found in listed if not is_hidden(path))
        return
    # The file may have been deleted since the check.
    with suppress(ObjectMissing):
        yield InputFile(key.rpartition("/")[2], key, store.size(key))


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
