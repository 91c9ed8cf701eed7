"""Paths in datastores: azureml:// URIs and Blob URLs of users, and keys of the object store."""

import re
from dataclasses import dataclass

from control_plane.resources.blob_container import BlobUrl
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from modelyard.core.domain.job_files import DATASTORES, DEFAULT_DATASTORE, datastores_folder
from modelyard.core.errors import InvalidRequest, ReferencedResourceMissing
from modelyard.core.ports.object_store import check_key

_URI = re.compile(
    r"azureml://(?:subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)(?:/providers/[^/]+)?"
    r"/workspaces/(?P<workspace>[^/]+)/)?"
    rf"{DATASTORES}/(?P<store>[^/]+)/paths/(?P<path>.*)",
    re.I,
)
_LONGEST_FOLDER = datastores_folder(2**31 - 1)
_STORE = re.compile(r"[A-Za-z0-9][-_A-Za-z0-9]{0,254}")


@dataclass(frozen=True, slots=True)
class DatastorePath:
    """A file or folder in a datastore of a workspace."""

    store: str
    path: str
    is_folder: bool = False

    def __post_init__(self) -> None:
        if not _STORE.fullmatch(self.store) or not _is_key(self.key_in(_LONGEST_FOLDER)):
            raise InvalidRequest(
                f"{self.uri!r} is not a path in a datastore: '..' and control characters are not allowed, and the "
                "length is limited to some 900 characters"
            )

    @classmethod
    def in_uri(cls, workspace: Workspace, uri: str, *, target: str) -> "DatastorePath | None":
        """Read an azureml:// URI, or a URL of the Blob routes.

        None: the URI names no path in a datastore. Raises ReferencedResourceMissing for another workspace's.
        """
        found = _URI.fullmatch(uri.strip())
        if found is None:
            return cls._in_blob_url(workspace, uri.strip(), target)
        named = WorkspacePath(found["subscription"], found["group"], found["workspace"])
        if found["workspace"] is not None and named.text.lower() != workspace.arm_id.lower():
            raise _of_another_workspace(workspace, uri, target)
        return cls._at(found["store"], found["path"])

    @classmethod
    def _in_blob_url(cls, workspace: Workspace, url: str, target: str) -> "DatastorePath | None":
        found = BlobUrl.read(url)
        if found is None:
            return None
        if found.container.workspace_key != workspace.key:
            raise _of_another_workspace(workspace, url, target)
        return cls._at(found.container.store, found.path)

    @classmethod
    def _at(cls, store: str, path: str) -> "DatastorePath":
        # Azure's SDK sends "paths//folder/file".
        inside = "/".join(part for part in path.split("/") if part)
        return cls(store, inside, is_folder=path.endswith("/") or not inside)

    @classmethod
    def of_key(cls, folder: str, key: str) -> "DatastorePath":
        """`folder` is that of the workspace's data stores."""
        # The jobs of before workspaces had folders wrote directly below `datastores/`.
        within = key.removeprefix(f"{folder}/" if key.startswith(f"{folder}/") else f"{DATASTORES}/")
        store, _, path = within.partition("/")
        return cls(store, path)

    def key_in(self, folder: str) -> str:
        """Key in the object store. `folder` is that of the workspace's data stores."""
        return f"{folder}/{self.store}/{self.path}".rstrip("/")

    @property
    def uri(self) -> str:
        return f"azureml://{DATASTORES}/{self.store}/paths/{self.path}"

    def long_uri(self, workspace: WorkspacePath) -> str:
        """The URI with the workspace, in the spelling of Azure's SDK."""
        return (
            f"azureml://subscriptions/{workspace.subscription}/resourcegroups/{workspace.resource_group}"
            f"/workspaces/{workspace.name}/{DATASTORES}/{self.store}/paths/{self.path}"
        )

    @property
    def name(self) -> str:
        """Name of the file or folder."""
        return self.path.rpartition("/")[2]

    def below(self, name: str) -> "DatastorePath":
        return DatastorePath(self.store, f"{self.path}/{name}".lstrip("/"))


def _of_another_workspace(workspace: Workspace, uri: str, target: str) -> ReferencedResourceMissing:
    return ReferencedResourceMissing(
        f"{uri!r} belongs to another workspace: name a datastore of {workspace.path.name!r}", target=target
    )


def _is_key(text: str) -> bool:
    try:
        check_key(text)
    except ValueError:
        return False
    return True


def read_datastore_path(workspace: Workspace, uri: str, *, target: str) -> DatastorePath:
    """The path in a datastore that a URI names. Raises InvalidRequest, with the supported kinds of URI."""
    path = DatastorePath.in_uri(workspace, uri, target=target)
    if path is None:
        raise InvalidRequest(
            f"{uri!r} cannot be read: files come from an upload (POST …/data/<name>/versions/<version>/"
            "startPendingUpload, or `modelyard data create --path`) or from a datastore, "
            f"azureml://{DATASTORES}/{DEFAULT_DATASTORE}/paths/<path>. Upload the files to this platform",
            target=target,
        )
    return path
