"""Copies of the files at a place in a datastore, as an upload.

A registration hashes and checks the copies, which do not change, while clients may go on writing to the place.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from uuid import UUID, uuid4

from control_plane.features.uploads import repository
from control_plane.resources.datastore import DatastorePath
from control_plane.resources.uploads.upload import Chunk, SentPart, UploadReference
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.errors import Conflict, PayloadTooLarge, PlatformError, ReferencedResourceMissing
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

MOST_FILES = 20_000


@dataclass(frozen=True, slots=True)
class DatastoreCopies:
    sessions: Sessions
    store: ObjectStore
    folder: str
    """Prefix of the copies in the object store, the same as of uploads: the sweep removes what a dead process left."""
    largest: int
    """Bytes of all files together."""

    @contextmanager
    def taken(self, workspace: Workspace, place: DatastorePath) -> Iterator[UploadReference]:
        """An upload with copies of the files at the place, until the block ends.

        Raises ReferencedResourceMissing without a file at the place, PayloadTooLarge, and Conflict when files of the
        place appear or disappear meanwhile.
        """
        keys = self._list(workspace, place)
        with transaction(self.sessions) as work:
            upload_id = repository.start_upload(work.session, workspace.key)
        copies = [f"{self.folder}{upload_id}/{uuid4().hex}" for _ in keys]
        try:
            chunks = self._copy(place, keys, copies)
            if self._list(workspace, place) != keys:
                raise _changed(place)
            with transaction(self.sessions) as work:
                for key, chunk in zip(keys, chunks, strict=True):
                    path = f"{place.name}{key.removeprefix(place.key_in(workspace.datastores))}"
                    part = SentPart(0, chunk.size, chunk.sha256)
                    repository.record_chunk(work.session, upload_id, path, part, chunk)
            yield UploadReference(upload_id, place.name)
        finally:
            self._remove(workspace, upload_id, copies)

    def _list(self, workspace: Workspace, place: DatastorePath) -> Sequence[str]:
        """The key of the file, or the keys of the folder's files."""
        key = place.key_in(workspace.datastores)
        if not place.is_folder and self.store.exists(key):
            return [key]
        keys = list(islice(self.store.list(f"{key}/"), MOST_FILES + 1))
        if not keys:
            raise ReferencedResourceMissing(f"there are no files at {place.uri!r}: upload the files first")
        if len(keys) > MOST_FILES:
            raise PayloadTooLarge(f"there are more than {MOST_FILES} files at {place.uri!r}: register a smaller folder")
        return keys

    def _copy(self, place: DatastorePath, keys: Sequence[str], copies: Sequence[str]) -> Sequence[Chunk]:
        chunks: list[Chunk] = []
        room = self.largest
        for key, copy in zip(keys, copies, strict=True):
            try:
                self.store.copy(key, copy)
            except ObjectMissing:
                raise _changed(place) from None
            chunks.append(self._hashed(place, copy, room))
            room -= chunks[-1].size
        return chunks

    def _hashed(self, place: DatastorePath, copy: str, room: int) -> Chunk:
        digest, size = hashlib.sha256(), 0
        for piece in self.store.get(copy):
            digest.update(piece)
            size += len(piece)
            if size > room:
                raise PayloadTooLarge(
                    f"the files at {place.uri!r} have more than {self.largest} bytes, the limit of this platform: "
                    "MODELYARD_MAX_UPLOAD_BYTES sets the limit"
                )
        return Chunk(0, size, digest.hexdigest(), copy)

    def _remove(self, workspace: Workspace, upload_id: UUID, copies: Sequence[str]) -> None:
        with transaction(self.sessions) as work:
            repository.remove_upload(work.session, workspace.key, upload_id)
        # The sweep removes the copies that the store does not delete now.
        with suppress(PlatformError):
            for copy in copies:
                self.store.delete(copy)


def _changed(place: DatastorePath) -> Conflict:
    return Conflict(f"the files at {place.uri!r} changed while they were read: wait for the last write, then try again")
