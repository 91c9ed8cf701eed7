"""Receiving files, piece by piece, and handing whole ones over to a model version.

What arrived before a connection broke is kept, and the next PUT continues there.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from control_plane.features.uploads import repository
from control_plane.features.uploads.incoming import Incoming, check_room
from control_plane.resources.uploads.upload import Chunk, SentPart, UploadedFile, UploadReference
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from control_plane.signed_urls import Grant, Permission, UrlSigner
from modelyard.core.db.unit_of_work import Sessions, UnitOfWork, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.model_manifest import ModelFile, check_relative_path
from modelyard.core.errors import Conflict, InvalidRequest, UploadIncomplete
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

TEMPORARY = "uploads/"


class NotThere(Conflict):
    """A continuation that does not begin where the last part ended."""

    code = "InvalidRange"

    def __init__(self, received: int) -> None:
        super().__init__(f"{received} bytes of this file are here: continue from there, or send it from its beginning")


@dataclass(frozen=True, slots=True)
class Receipt:
    received: int
    is_broken: bool


class Uploads:
    def __init__(self, sessions: Sessions, store: ObjectStore, signer: UrlSigner, largest: int) -> None:
        self._sessions = sessions
        self._store = store
        self._signer = signer
        self._largest = largest

    def start(self, caller: Caller, workspace: WorkspacePath) -> tuple[UUID, str]:
        """A new upload's id, and the query that allows writing to it for a while."""
        with transaction(self._sessions) as work:
            upload_id = repository.start_upload(work.session, get_workspace(work.session, workspace).key)
        return upload_id, self._signer.query(_grant(upload_id), now=datetime.now(UTC))

    def admit(self, caller: Caller, upload_id: UUID, query: Mapping[str, str]) -> None:
        self._signer.check(_grant(upload_id), query, now=datetime.now(UTC))

    def received(self, caller: Caller, upload_id: UUID, path: str, sha256: str | None) -> int | None:
        """How much of a file is here. None: nothing. Content that is known by its hash is here at once."""
        check_relative_path(path)
        with transaction(self._sessions) as work:
            repository.lock_upload(work.session, upload_id)
            file = repository.find_file(work.session, upload_id, path)
            if file is not None and not _is_other(file, sha256):
                return file.received
            known = self._known(sha256)
            if known is None or sha256 is None:
                return None
            part = SentPart(0, known.size, sha256)
            self._replace(work, upload_id, path, part, Chunk(0, known.size, sha256, known.key))
            return known.size

    def read(self, caller: Caller, upload_id: UUID, path: str) -> Iterator[bytes] | None:
        """What has arrived of a file, as a stream."""
        with transaction(self._sessions) as work:
            file = repository.find_file(work.session, upload_id, check_relative_path(path))
        return None if file is None else _content(self._store, file)

    def receive(self, caller: Caller, upload_id: UUID, path: str, part: SentPart, pieces: Iterator[bytes]) -> Receipt:
        """Take a PUT's body. Raises NotThere for a part that does not fit to what is here."""
        check_relative_path(path)
        incoming = Incoming(pieces, self._room(upload_id, path, part))
        known = self._known(part.sha256) if part.start == 0 else None
        if known is not None:
            for _ in incoming:
                pass  # it is here already; only the hash is worth having
            chunk = Chunk(0, incoming.size, incoming.sha256, known.key)
        else:
            key = f"{TEMPORARY}{upload_id}/{uuid4().hex}"
            self._store.put(key, incoming)
            chunk = Chunk(part.start, incoming.size, incoming.sha256, key)
        if part.total is None and not incoming.is_broken:
            part = replace(part, total=incoming.size)
        try:
            self._check_content(part, incoming)
            if not (known and incoming.is_broken):
                self._record(upload_id, path, part, chunk, incoming.is_broken)
        except BaseException:
            _remove(self._store, [chunk.key])
            raise
        return Receipt(part.start + incoming.size, incoming.is_broken)

    def _room(self, upload_id: UUID, path: str, part: SentPart) -> int:
        """How many bytes may come; checked first against what the headers say."""
        with transaction(self._sessions) as work:
            repository.lock_upload(work.session, upload_id)
            file = repository.find_file(work.session, upload_id, path)
            room = self._largest - repository.size_of_others(work.session, upload_id, path)
        if part.start:
            _check_continuation(file, part)
        check_room(part.total or 0, room)
        return room - part.start

    def _known(self, sha256: str | None) -> ModelFile | None:
        """A blob with this very content, if there is one."""
        if sha256 is None:
            return None
        blob = ModelFile("-", sha256, 0)
        try:
            return ModelFile("-", sha256, self._store.size(blob.key))
        except ObjectMissing:
            return None

    def _check_content(self, part: SentPart, incoming: Incoming) -> None:
        is_all = part.start == 0 and not incoming.is_broken
        if is_all and part.sha256 is not None and incoming.sha256 != part.sha256:
            raise InvalidRequest("what arrived has another SHA-256 than x-modelyard-sha256 says: send the file again")

    def _record(self, upload_id: UUID, path: str, part: SentPart, chunk: Chunk, is_broken: bool) -> None:
        """A PUT given up by its sender may end after the one that took its place: what brought more counts."""
        with transaction(self._sessions) as work:
            repository.lock_upload(work.session, upload_id)
            file = repository.find_file(work.session, upload_id, path)
            if part.start:
                _check_continuation(file, part)
            is_same = file is not None and not _is_other(file, part.sha256)
            if is_broken and file is not None and is_same and part.start + chunk.size <= file.received:
                work.after_commit(lambda: _remove(self._store, [chunk.key]))
            else:
                self._replace(work, upload_id, path, part, chunk)

    def _replace(self, work: UnitOfWork, upload_id: UUID, path: str, part: SentPart, chunk: Chunk) -> None:
        superseded = repository.forget_chunks(work.session, upload_id, path, start=part.start)
        repository.record_chunk(work.session, upload_id, path, part, chunk)
        work.after_commit(lambda: _remove(self._store, superseded))

    # What a model version takes.

    def files_of(self, reference: UploadReference) -> Sequence[UploadedFile]:
        """The whole files of a folder, or a single one, their paths from its own name on.

        Raises UploadIncomplete, naming what is missing.
        """
        with transaction(self._sessions) as work:
            files = repository.list_files(work.session, reference.upload_id)
        inside = [f for f in files if f.path == reference.path or f.path.startswith(f"{reference.path}/")]
        if not inside:
            raise UploadIncomplete(
                f"nothing was uploaded to {reference.path!r}: start an upload, send the files, then register",
                target="modelUri",
            )
        broken = [f"{f.path} ({f.received} of {f.total} bytes)" for f in inside if not f.is_whole]
        if broken:
            raise UploadIncomplete(
                f"{len(broken)} of the files did not arrive whole: {', '.join(broken[:10])}; send the rest first",
                target="modelUri",
            )
        return [_from(reference.parent, file) for file in inside]

    def content_of(self, file: UploadedFile) -> bytes:
        """The content of a small file. Raises UploadIncomplete."""
        with _still_here(file):
            return b"".join(_content(self._store, file))

    def keep(self, file: UploadedFile) -> ModelFile:
        """Make a file's content lie under its hash. Repeatable. Raises UploadIncomplete."""
        with _still_here(file):
            return self._keep_one(file) if len(file.chunks) == 1 else self._keep_joined(file)

    def _keep_one(self, file: UploadedFile) -> ModelFile:
        chunk = file.chunks[0]
        kept = ModelFile(file.path, chunk.sha256, chunk.size)
        if not self._store.exists(kept.key):
            self._store.copy(chunk.key, kept.key)
        return kept

    def _keep_joined(self, file: UploadedFile) -> ModelFile:
        read = Incoming(_content(self._store, file), file.received)
        for _ in read:
            pass
        if file.sha256 not in (None, read.sha256):
            raise UploadIncomplete(f"{file.path} changed while it was sent in parts: send it again from its beginning")
        kept = ModelFile(file.path, read.sha256, read.size)
        if not self._store.exists(kept.key):
            self._store.put(kept.key, _content(self._store, file))
        return kept

    def end(self, work: UnitOfWork, upload_id: UUID) -> None:
        """The upload has done its service."""
        keys = repository.forget_upload(work.session, upload_id)
        work.after_commit(lambda: _remove(self._store, keys))


def _grant(upload_id: UUID) -> Grant:
    return Grant(Permission.UPLOAD, str(upload_id))


def _is_other(file: UploadedFile, sha256: str | None) -> bool:
    """Whether what is here belongs to another version of the file than the sender has now."""
    return sha256 is not None and file.sha256 is not None and sha256 != file.sha256


def _check_continuation(file: UploadedFile | None, part: SentPart) -> None:
    """A part begins where some part before it ended: at the last end, or where one begins that it replaces."""
    if file is None or _is_other(file, part.sha256):
        raise NotThere(0)
    ends = {chunk.start + chunk.size for chunk in file.chunks}
    if part.start not in ends or file.total not in (None, part.total):
        raise NotThere(file.received)


def _from(parent: str, file: UploadedFile) -> UploadedFile:
    return UploadedFile(file.path.removeprefix(parent), file.chunks, file.total, file.sha256)


@contextmanager
def _still_here(file: UploadedFile) -> Iterator[None]:
    """Another registration, or the upload's end, may take the chunks away while they are read."""
    try:
        yield
    except ObjectMissing:
        raise UploadIncomplete(f"{file.path} is no longer here: upload the folder again") from None


def _content(store: ObjectStore, file: UploadedFile) -> Iterator[bytes]:
    for chunk in file.chunks:
        yield from store.get(chunk.key)


def _remove(store: ObjectStore, keys: Sequence[str]) -> None:
    """Chunks of uploads only: what is kept under its hash may be in use elsewhere."""
    for key in keys:
        if key.startswith(TEMPORARY):
            store.delete(key)
