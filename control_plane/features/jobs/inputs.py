"""What a job reads: a registered data asset, or a place in a data store."""

import re

from sqlalchemy.orm import Session

from control_plane.features.jobs.job import JobInput, JobSpec
from control_plane.resources.assets.references import Reference, read_reference
from control_plane.resources.assets.repository import DATA
from control_plane.resources.datastore import StorePath, check_place
from control_plane.resources.input_files import from_manifest
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.batch import InputKind
from modelyard.core.errors import InvalidRequest, ReferencedResourceMissing
from modelyard.core.ports.object_store import ObjectStore

TARGET = "properties.inputData"
_INPUT_KINDS = {"uri_file": InputKind.URI_FILE, "uri_folder": InputKind.URI_FOLDER}
"""By the type of a data asset."""
# An ARM id or an azureml:// URI of a data asset, by version or by label.
_DATA = re.compile(
    r"(?P<owner>.*/workspaces/(?P<workspace>[^/]+))/data/(?P<name>[^/]+)/(?:versions|labels)(?:/labels)?"
    r"/(?P<version>[^/]+)/?",
    re.I,
)


def resolve_input(session: Session, workspace: Workspace, spec: JobSpec) -> JobInput:
    """Raises ReferencedResourceMissing, and InvalidRequest for what can never be read here."""
    named = _asset(workspace, spec.input_uri)
    if named is None:
        place = check_place(spec.input_uri, target=TARGET)
        return JobInput(spec.input_kind, place.uri, None, place.key)
    row = DATA.resolve(session, workspace, named, target=TARGET)
    files = from_manifest(row.manifest)
    key = None if files is not None else check_place(row.data_uri, target=TARGET).key
    return JobInput(_INPUT_KINDS[row.data_type], DATA.head_of(workspace, named.name, row).arm_id, files, key)


def _asset(workspace: Workspace, uri: str) -> Reference | None:
    """None: it names a place, not an asset."""
    found = _DATA.fullmatch(uri)
    if found is None:
        is_short = uri.startswith("azureml:") and not uri.startswith("azureml://")
        return read_reference(workspace, "data", uri) if is_short else None
    owner = found["owner"].removeprefix("azureml:")
    here = workspace.arm_id if owner.lower().startswith("/subscriptions") else workspace.path.name
    named = owner if owner.lower().startswith("/subscriptions") else found["workspace"]
    if named.lower() != here.lower():
        raise ReferencedResourceMissing(
            f"{uri!r} lies in another workspace: register it in {workspace.path.name!r} and name it there",
            target=TARGET,
        )
    return Reference(found["name"].removeprefix("azureml:"), found["version"])


def check_is_there(store: ObjectStore, asked: JobInput) -> None:
    """Now, when the submitter still looks; it may be gone again when the job begins."""
    if asked.files is not None or asked.key is None:
        return
    if asked.kind is InputKind.URI_FILE:
        if store.exists(asked.key):
            return
    elif next(store.list(f"{asked.key}/"), None) is not None:
        return
    noun = "file" if asked.kind is InputKind.URI_FILE else "folder"
    raise InvalidRequest(
        f"there is no {noun} at {asked.uri!r}: upload it first (`modelyard data create --path`, or give a local path "
        "to `modelyard batch-endpoint invoke --input`)",
        target=TARGET,
    )


def output_place(spec: JobSpec, file_name: str) -> StorePath | None:
    """Where the predictions shall lie. None: at the usual place."""
    if spec.output_uri is None:
        return None
    place = StorePath.in_uri(spec.output_uri)
    if place is None:
        raise InvalidRequest(
            f"predictions cannot be written to {spec.output_uri!r}: name a file in a data store, "
            "azureml://datastores/workspaceblobstore/paths/<path>/<file>, or leave outputData out",
            target="properties.outputData",
        )
    return place.below(file_name) if spec.output_is_folder or place.is_folder else place
