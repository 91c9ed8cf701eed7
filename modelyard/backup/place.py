"""The place of an archive: a file, written beside its name and renamed, or an object of a store by URL."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelyard.backup.options import BackupFailed, RestoreRefused
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.errors import InvalidSetting
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore
from modelyard.core.settings import ObjectStoreSettings
from modelyard.process.atomic_files import atomic_file

_CHUNK = 1 << 20
_COMPRESSED = (".gz", ".tgz")


class ArchivePlace:
    """A file, or an object of an S3 or Azure store. The credentials of a store come from the environment."""

    def __init__(self, place: str, environment: Mapping[str, str], settings: ObjectStoreSettings) -> None:
        """Raises InvalidSetting for a malformed place, and InvalidRequest for a malformed URL of a store."""
        self.name = place
        self._file: Path | None = None
        self._store: ObjectStore | None = None
        self._key = ""
        scheme, separator, _ = place.partition("://")
        if not separator:
            self._file = Path(place)
        elif scheme == "file":
            self._file = Path(unquote(urlsplit(place).path))
        else:
            folder, _, self._key = place.rpartition("/")
            if not self._key or folder.endswith(("/", ":")):
                raise InvalidSetting(f"{place!r} names no object: write s3://bucket/folder/name.tar")
            self._store = open_store(folder, environment, settings=settings, subject="the place of the backup")

    @property
    def is_compressed(self) -> bool:
        """Whether the name asks for gzip: .tar.gz or .tgz."""
        return self.name.endswith(_COMPRESSED)

    def write(self, chunks: Iterable[bytes]) -> int:
        """Write or replace the archive. An error in `chunks` leaves the old archive, or none. Return the bytes."""
        if self._store is not None:
            return self._store.put(self._key, chunks)
        assert self._file is not None
        try:
            with atomic_file(self._file, mode=0o600, durable=True) as file:
                return sum(file.write(chunk) for chunk in chunks)
        except OSError as error:
            raise BackupFailed(f"cannot write {self.name}: {error.strerror or error}") from None

    def read(self) -> Iterator[bytes]:
        """Raises RestoreRefused where there is no archive."""
        try:
            if self._store is not None:
                yield from self._store.get(self._key)
                return
            assert self._file is not None
            with self._file.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except ObjectMissing:
            raise RestoreRefused(f"there is no backup {self.name}") from None
        except OSError as error:
            raise RestoreRefused(f"cannot read {self.name}: {error.strerror or error}") from None
