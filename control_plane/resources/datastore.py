"""Paths in datastores: azureml:// URIs of users, and keys of the object store."""

import re
from dataclasses import dataclass

from modelyard.core.domain.job_files import DATASTORES, DEFAULT_DATASTORE
from modelyard.core.errors import InvalidRequest
from modelyard.core.ports.object_store import check_key

_URI = re.compile(
    r"azureml://(?:subscriptions/[^/]+/resourcegroups/[^/]+(?:/providers/[^/]+)?/workspaces/[^/]+/)?"
    rf"{DATASTORES}/(?P<store>[^/]+)/paths/(?P<path>.*)",
    re.I,
)
_STORE = re.compile(r"[A-Za-z0-9][-_A-Za-z0-9]{0,254}")


@dataclass(frozen=True, slots=True)
class DatastorePath:
    """A file or folder in a datastore."""

    store: str
    path: str
    is_folder: bool = False

    def __post_init__(self) -> None:
        if not _STORE.fullmatch(self.store) or not _is_key(self.key):
            raise InvalidRequest(
                f"{self.uri!r} is not a path in a datastore: '..' and control characters are not allowed, and the "
                "length is limited to some 900 characters"
            )

    @classmethod
    def in_uri(cls, uri: str) -> "DatastorePath | None":
        """None: the URI names no path in a datastore."""
        found = _URI.fullmatch(uri.strip())
        if found is None:
            return None
        # Azure's SDK sends "paths//folder/file".
        path = "/".join(part for part in found["path"].split("/") if part)
        return cls(found["store"], path, is_folder=found["path"].endswith("/") or not path)

    @classmethod
    def of_key(cls, key: str) -> "DatastorePath":
        _, store, path = key.split("/", 2)
        return cls(store, path)

    @property
    def key(self) -> str:
        return f"{DATASTORES}/{self.store}/{self.path}".rstrip("/")

    @property
    def uri(self) -> str:
        return f"azureml://{DATASTORES}/{self.store}/paths/{self.path}"

    def below(self, name: str) -> "DatastorePath":
        return DatastorePath(self.store, f"{self.path}/{name}".lstrip("/"))


def _is_key(text: str) -> bool:
    try:
        check_key(text)
    except ValueError:
        return False
    return True


def read_datastore_path(uri: str, *, target: str) -> DatastorePath:
    """The path in a datastore that a URI names. Raises InvalidRequest, with the supported kinds of URI."""
    path = DatastorePath.in_uri(uri)
    if path is None:
        raise InvalidRequest(
            f"{uri!r} cannot be read: files come from an upload (POST …/data/<name>/versions/<version>/"
            "startPendingUpload, or `modelyard data create --path`) or from a datastore, "
            f"azureml://{DATASTORES}/{DEFAULT_DATASTORE}/paths/<path>. Upload the files to this platform",
            target=target,
        )
    return path
