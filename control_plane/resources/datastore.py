"""Places in data stores, as users name them and as the object store knows them."""

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
class StorePath:
    """A file, or a folder when its text ended in '/'."""

    store: str
    path: str
    is_folder: bool = False

    def __post_init__(self) -> None:
        if not _STORE.fullmatch(self.store) or not _is_key(self.key):
            raise InvalidRequest(
                f"{self.uri!r} is no place in a data store: it may not hold '..' or control characters, nor be longer "
                "than some 900 letters"
            )

    @classmethod
    def in_uri(cls, uri: str) -> "StorePath | None":
        """None: it is the URI of something else."""
        found = _URI.fullmatch(uri.strip())
        if found is None:
            return None
        # Azure's SDK sends "paths//folder/file".
        path = "/".join(part for part in found["path"].split("/") if part)
        return cls(found["store"], path, is_folder=found["path"].endswith("/") or not path)

    @classmethod
    def of_key(cls, key: str) -> "StorePath":
        _, store, path = key.split("/", 2)
        return cls(store, path)

    @property
    def key(self) -> str:
        return f"{DATASTORES}/{self.store}/{self.path}".rstrip("/")

    @property
    def uri(self) -> str:
        return f"azureml://{DATASTORES}/{self.store}/paths/{self.path}"

    def below(self, name: str) -> "StorePath":
        return StorePath(self.store, f"{self.path}/{name}".lstrip("/"))


def _is_key(text: str) -> bool:
    try:
        check_key(text)
    except ValueError:
        return False
    return True


def check_place(uri: str, *, target: str) -> StorePath:
    """The place that a URI names; the refusal of any other tells what can be done."""
    place = StorePath.in_uri(uri)
    if place is None:
        raise InvalidRequest(
            f"{uri!r} cannot be read: files come from an upload (POST …/data/<name>/versions/<version>/"
            "startPendingUpload, or `modelyard data create --path`), or lie in a data store, "
            f"azureml://{DATASTORES}/{DEFAULT_DATASTORE}/paths/<path>. Download it and upload it here",
            target=target,
        )
    return place
