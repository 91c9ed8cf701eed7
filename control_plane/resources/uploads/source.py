"""The files that a PUT registers a version from: an upload, or a place in a datastore of the workspace."""

from dataclasses import dataclass

from control_plane.resources.datastore import DatastorePath
from control_plane.resources.uploads.upload import UploadReference, stored_uri
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.job_files import DATASTORES, DEFAULT_DATASTORE
from modelyard.core.errors import InvalidRequest

_JOBS = "azureml://jobs/"


@dataclass(frozen=True, slots=True)
class FileSource:
    files: UploadReference | DatastorePath
    uri: str
    """As the version keeps the URI: without the platform's host, because the platform may move."""

    @classmethod
    def in_uri(cls, workspace: Workspace, uri: str, *, target: str) -> "FileSource | None":
        """None: the URI names neither an upload nor a datastore. Raises ReferencedResourceMissing or InvalidRequest."""
        upload = UploadReference.in_uri(uri)
        if upload is not None:
            return cls(upload, stored_uri(workspace.path, uri))
        place = DatastorePath.in_uri(workspace, uri, target=target)
        if place is None:
            return None
        if not place.path:
            raise InvalidRequest(
                f"{uri!r} is a whole datastore: name a folder or a file in the datastore", target=target
            )
        return cls(place, place.long_uri(workspace.path))

    @classmethod
    def read(cls, workspace: Workspace, uri: str, *, target: str) -> "FileSource":
        """Raises InvalidRequest with the supported kinds of URI."""
        source = cls.in_uri(workspace, uri, target=target)
        if source is None:
            raise InvalidRequest(_refusal(uri, target.rpartition(".")[2]), target=target)
        return source


def _refusal(uri: str, field: str) -> str:
    if uri.lower().startswith(_JOBS):
        reason = f"{uri!r} is the output of a training job, and this platform runs no training jobs"
    else:
        reason = f"{field} is {uri!r}, which this platform cannot read"
    return (
        f"{reason}: name a folder or a file in a datastore, azureml://{DATASTORES}/{DEFAULT_DATASTORE}/paths/<path>, "
        "or an upload, the blobUri of POST …/startPendingUpload followed by the uploaded folder's name"
    )
