"""Receiving files in pieces, and moving complete files to their place in a registered version.

Bytes that arrived before a connection broke are kept, and the next PUT continues after the last byte.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from control_plane.features.uploads import repository
from control_plane.features.uploads.datastore_copy import DatastoreCopies
from control_plane.resources.assets.registered_files import registered_files
from control_plane.resources.uploads.receipt import UploadSlots
from control_plane.resources.uploads.source import FileSource
from control_plane.resources.uploads.spool import SpooledBody, check_room
from control_plane.resources.uploads.upload import Chunk, SentPart, UploadedFile, UploadReference
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from control_plane.signed_urls import Grant, Permission, UrlSigner
from modelyard.core.db.unit_of_work import Sessions, UnitOfWork, transaction
from modelyard.core.domain.batch import InputFile
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.model_manifest import ModelFile, check_relative_path
from modelyard.core.domain.resource_ids import workspace_id
from modelyard.core.domain.roles import Role
from modelyard.core.errors import Conflict, InvalidRequest, UploadIncomplete
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

TEMPORARY = "uploads/"


class RangeMismatch(Conflict):
    """A continuation that does not begin where an earlier part ended."""

    code = "InvalidRange"

    def __init__(self, received: int) -> None:
        super().__init__(
            f"{received} bytes of this file have arrived: continue from there, or send the file from the start"
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    received: int
    is_interrupted: bool


class Uploads:
    def __init__(
        self,
        sessions: Sessions,
        store: ObjectStore,
        signer: UrlSigner,
        *,
        largest: int,
        spool: Path,
        slots: UploadSlots,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._signer = signer
        self._largest = largest
        self.spool = spool
        self.slots = slots

    def start(self, caller: Caller, workspace: WorkspacePath) -> tuple[UUID, str]:
        """Id of a new upload, and the query string that allows writing to it for an hour."""
        with transaction(self._sessions) as work:
            upload_id = repository.start_upload(work.session, get_workspace(work.session, workspace).key)
        return upload_id, self._signer.query(_grant(upload_id), now=datetime.now(UTC))

    def check_signature(self, caller: Caller, upload_id: UUID, query: Mapping[str, str]) -> None:
        self._signer.check(_grant(upload_id), query, now=datetime.now(UTC))

    def received(self, caller: Caller, upload_id: UUID, path: str, sha256: str | None) -> int | None:
        """Received bytes of a file; the full size of content that the caller may read in the workspace. None: no byte.

        The URL of an upload lets its holder write. Only a reader's token lets the caller learn of registered content.
        """
        check_relative_path(path)
        with transaction(self._sessions) as work:
            repository.lock_upload(work.session, upload_id)
            file = repository.find_file(work.session, upload_id, path)
            if file is not None and not _differs(file, sha256):
                return file.received
            known = self._readable(work.session, caller, upload_id, sha256)
            if known is None or sha256 is None:
                return None
            part = SentPart(0, known.size, sha256)
            self._replace(work, upload_id, path, part, Chunk(0, known.size, sha256, known.key))
            return known.size

    def read(self, caller: Caller, upload_id: UUID, path: str) -> Iterator[bytes] | None:
        """The part of a file that has arrived, as a stream. None: no byte."""
        with transaction(self._sessions) as work:
            file = repository.find_file(work.session, upload_id, check_relative_path(path))
        return None if file is None else _content(self._store, file)

    def store_part(self, caller: Caller, upload_id: UUID, path: str, part: SentPart, body: SpooledBody) -> Receipt:
        """Store the body of a PUT. Raises RangeMismatch for a part that does not begin where an earlier part ended."""
        self._check_content(part, body)
        if part.total is None and not body.is_interrupted:
            part = replace(part, total=body.size)
        # The sender has sent all of the content, and so has proved to know it.
        known = self._known(body.sha256) if part.start == 0 and not body.is_interrupted else None
        key = f"{TEMPORARY}{upload_id}/{uuid4().hex}" if known is None else known.key
        if known is None:
            self._store.put(key, body.pieces())
        try:
            chunk = Chunk(part.start, body.size, body.sha256, key)
            self._record(upload_id, path, part, chunk, body.is_interrupted)
        except BaseException:
            _remove(self._store, [key])
            raise
        return Receipt(part.start + body.size, body.is_interrupted)

    def room(self, upload_id: UUID, path: str, part: SentPart) -> int:
        """The number of bytes that the body may have. Checks the size in the headers first.

        Raises RangeMismatch for a part that does not begin where an earlier part ended.
        """
        check_relative_path(path)
        with transaction(self._sessions) as work:
            repository.lock_upload(work.session, upload_id)
            file = repository.find_file(work.session, upload_id, path)
            room = self._largest - repository.size_of_other_files(work.session, upload_id, path)
        if part.start:
            _check_continuation(file, part)
        check_room(part.total or 0, room)
        return room - part.start

    def _readable(self, session: Session, caller: Caller, upload_id: UUID, sha256: str | None) -> ModelFile | None:
        """The blob with the given hash, if a version of the upload's workspace has it and the caller is a reader."""
        if sha256 is None or not caller.roles:
            return None
        workspace = repository.workspace_of(session, upload_id)
        arm_id = workspace_id(workspace.subscription, workspace.resource_group, workspace.name)
        if not caller.has_role(Role.READER, arm_id) or not repository.is_registered(session, workspace.id, sha256):
            return None
        return self._known(sha256)

    def _known(self, sha256: str) -> ModelFile | None:
        """The stored blob with the given hash. None: the blob does not exist."""
        blob = ModelFile("-", sha256, 0)
        try:
            return ModelFile("-", sha256, self._store.size(blob.key))
        except ObjectMissing:
            return None

    def _check_content(self, part: SentPart, body: SpooledBody) -> None:
        is_all = part.start == 0 and not body.is_interrupted
        if is_all and part.sha256 is not None and body.sha256 != part.sha256:
            raise InvalidRequest(
                "the SHA-256 of the received file differs from x-modelyard-sha256: send the file again"
            )

    def _record(self, upload_id: UUID, path: str, part: SentPart, chunk: Chunk, is_interrupted: bool) -> None:
        """Keep the longer part: an interrupted PUT may end after its replacement."""
        with transaction(self._sessions) as work:
            repository.lock_upload(work.session, upload_id)
            file = repository.find_file(work.session, upload_id, path)
            if part.start:
                _check_continuation(file, part)
            is_same = file is not None and not _differs(file, part.sha256)
            if is_interrupted and file is not None and is_same and part.start + chunk.size <= file.received:
                work.after_commit(lambda: _remove(self._store, [chunk.key]))
            else:
                self._replace(work, upload_id, path, part, chunk)

    def _replace(self, work: UnitOfWork, upload_id: UUID, path: str, part: SentPart, chunk: Chunk) -> None:
        superseded = repository.remove_chunks(work.session, upload_id, path, start=part.start)
        repository.record_chunk(work.session, upload_id, path, part, chunk)
        work.after_commit(lambda: _remove(self._store, superseded))

    # Registration.

    @contextmanager
    def opened(self, workspace: Workspace, source: FileSource) -> Iterator[UploadReference]:
        """The upload with the files of the source; a place in a datastore is copied until the block ends."""
        if isinstance(source.files, UploadReference):
            yield source.files
            return
        copies = DatastoreCopies(self._sessions, self._store, TEMPORARY, self._largest)
        with copies.taken(workspace, source.files) as reference:
            yield reference

    def files_of(self, workspace: Workspace, reference: UploadReference) -> Sequence[UploadedFile]:
        """The complete files of a folder, or a single file. Paths begin with the name of the folder or file.

        After the end of the upload, the files are those of the registered versions: a version is registered again by
        the URI of another one. Raises UploadIncomplete, naming the incomplete files. An upload of another workspace has
        no files.
        """
        with transaction(self._sessions) as work:
            files = repository.list_files(work.session, workspace.key, reference.upload_id)
            if not files:
                known = registered_files(work.session, workspace.key, reference.upload_id)
                files = [_registered(reference, path, file) for path, file in known.items()]
        inside = [f for f in files if f.path == reference.path or f.path.startswith(f"{reference.path}/")]
        if not inside:
            raise UploadIncomplete(
                f"no file was uploaded to {reference.path!r}: start an upload, send the files, then register",
                target="modelUri",
            )
        incomplete = [f"{f.path} ({f.received} of {f.total} bytes)" for f in inside if not f.is_complete]
        if incomplete:
            raise UploadIncomplete(
                f"{len(incomplete)} of the files are incomplete: {', '.join(incomplete[:10])}; send the rest first",
                target="modelUri",
            )
        return [_below(reference.parent, file) for file in inside]

    def content_of(self, file: UploadedFile) -> bytes:
        """The content of a small file. Raises UploadIncomplete."""
        with _unless_removed(file):
            return b"".join(_content(self._store, file))

    def store_by_hash(self, file: UploadedFile) -> ModelFile:
        """Store a file's content under its hash. Repeatable. Raises UploadIncomplete."""
        with _unless_removed(file):
            return self._store_chunk(file) if len(file.chunks) == 1 else self._store_joined(file)

    def _store_chunk(self, file: UploadedFile) -> ModelFile:
        chunk = file.chunks[0]
        stored = ModelFile(file.path, chunk.sha256, chunk.size)
        if not self._store.exists(stored.key):
            self._store.copy(chunk.key, stored.key)
        return stored

    def _store_joined(self, file: UploadedFile) -> ModelFile:
        digest = hashlib.sha256()
        for piece in _content(self._store, file):
            digest.update(piece)
        sha256 = digest.hexdigest()
        if file.sha256 not in (None, sha256):
            raise UploadIncomplete(f"{file.path} changed while its parts were sent: send the file again from the start")
        stored = ModelFile(file.path, sha256, file.received)
        if not self._store.exists(stored.key):
            self._store.put(stored.key, _content(self._store, file))
        return stored

    def end(self, work: UnitOfWork, workspace: Workspace, uri: str | None) -> None:
        """Remove the upload that a URI names, if the URI names one, once the transaction commits."""
        reference = UploadReference.in_uri(uri or "")
        if reference is not None:
            keys = repository.remove_upload(work.session, workspace.key, reference.upload_id)
            work.after_commit(lambda: _remove(self._store, keys))


def _grant(upload_id: UUID) -> Grant:
    return Grant(Permission.UPLOAD, str(upload_id))


def _registered(reference: UploadReference, path: str, file: InputFile) -> UploadedFile:
    sha256 = file.key.rpartition("/")[2]
    within = path.removeprefix(f"{TEMPORARY}{reference.upload_id}/")
    return UploadedFile(within, (Chunk(0, file.size, sha256, file.key),), file.size, sha256)


def _differs(file: UploadedFile, sha256: str | None) -> bool:
    """Whether the stored chunks and the sender's file differ by the hash that the sender gave."""
    return sha256 is not None and file.sha256 is not None and sha256 != file.sha256


def _check_continuation(file: UploadedFile | None, part: SentPart) -> None:
    """A part may begin where an earlier part ended, and then replaces any later part."""
    if file is None or _differs(file, part.sha256):
        raise RangeMismatch(0)
    ends = {chunk.start + chunk.size for chunk in file.chunks}
    if part.start not in ends or file.total not in (None, part.total):
        raise RangeMismatch(file.received)


def _below(parent: str, file: UploadedFile) -> UploadedFile:
    return UploadedFile(file.path.removeprefix(parent), file.chunks, file.total, file.sha256)


@contextmanager
def _unless_removed(file: UploadedFile) -> Iterator[None]:
    """Raise UploadIncomplete when another registration, or the end of the upload, removes chunks during a read."""
    try:
        yield
    except ObjectMissing:
        raise UploadIncomplete(f"{file.path} is no longer stored: upload the folder again") from None


def _content(store: ObjectStore, file: UploadedFile) -> Iterator[bytes]:
    for chunk in file.chunks:
        yield from store.get(chunk.key)


def _remove(store: ObjectStore, keys: Sequence[str]) -> None:
    """Delete chunks of uploads only: content under a hash may be in use by further versions."""
    for key in keys:
        if key.startswith(TEMPORARY):
            store.delete(key)
