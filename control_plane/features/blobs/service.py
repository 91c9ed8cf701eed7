"""Blobs over the platform's object store.

The object store is the truth about existence, size and content, because batch workers write to the store themselves.
Headers and metadata are rows that belong to one version of an object. Conditional writes of one blob follow each other:
the process that serves these routes is the only writer that sets conditions.
"""

import base64
import binascii
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from uuid import UUID, uuid4

from control_plane.features.blobs import repository
from control_plane.features.blobs.blob import (
    Blob,
    BlobPage,
    BlockReference,
    Conditions,
    ContainerAccess,
    ListQuery,
    UncommittedBlock,
)
from control_plane.features.blobs.errors import (
    BlobConflict,
    BlobNotFound,
    ContainerNotFound,
    InvalidBlobRequest,
    InvalidBlockList,
    InvalidResourceName,
    Md5Mismatch,
    PermissionMissing,
    blob_exists,
    read_only,
)
from control_plane.features.blobs.listing import list_page
from control_plane.resources.assets.registered_files import registered_files, upload_of
from control_plane.resources.blob_container import BlobContainer, BlobUrl
from control_plane.resources.uploads.receipt import BodyMemory, UploadSlots
from control_plane.resources.uploads.spool import ReceivedBody, check_room
from control_plane.signed_urls import UrlSigner
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.batch import InputFile
from modelyard.core.domain.caller import Caller, CallerKind
from modelyard.core.domain.roles import Role
from modelyard.core.errors import PlatformError, Unauthorized
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore, StoredObject

_log = logging.getLogger(__name__)

ALL_PERMISSIONS = "racwdl"
READ_PERMISSIONS = "rl"
_MD5 = "content-md5"
_MOST_UNCOMMITTED = 100_000
_LONGEST_BLOCK_ID = 64
"""Bytes before base64."""
_LOCKS = 64


class Blobs:
    def __init__(
        self,
        sessions: Sessions,
        store: ObjectStore,
        signer: UrlSigner,
        *,
        largest: int,
        spool: Path,
        slots: UploadSlots,
        memory: BodyMemory,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._signer = signer
        self._largest = largest
        self.spool = spool
        self.slots = slots
        self.memory = memory
        self._locks = [Lock() for _ in range(_LOCKS)]
        # A response does not wait for the removal of some thousand objects.
        self._removal = ThreadPoolExecutor(1, thread_name_prefix="block-removal")

    # Access.

    def access(self, caller: Caller, container: str, query: Mapping[str, str]) -> ContainerAccess:
        """The container of a request. Raises Unauthorized, UploadUrlExpired or ContainerNotFound."""
        named = BlobContainer.named(container)
        signed = self._signer.permissions_in(container, query, now=datetime.now(UTC)) if "sig" in query else None
        if signed is None and caller.kind is CallerKind.SIGNED_URL:
            raise Unauthorized(
                "the URL has no signature, and no token was sent: ask for a signature (POST …/datastores/<name>/"
                "listSecrets), or send the header 'Authorization: Bearer <token>'"
            )
        if named is None:
            raise ContainerNotFound(container)
        with transaction(self._sessions) as work:
            workspace = repository.workspace_with(work.session, named)
        if workspace is None or (signed is None and not caller.is_member(workspace.arm_id)):
            raise ContainerNotFound(container)
        letters = signed if signed is not None else _letters(caller, workspace.arm_id)
        return ContainerAccess(workspace, named.store, letters)

    # Reading.

    def get(self, caller: Caller, access: ContainerAccess, name: str) -> Blob:
        """Raises BlobNotFound."""
        access.require("r")
        return self._get(access, name)

    def content(self, caller: Caller, blob: Blob, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Raises StoreUnavailable where another request has replaced the blob."""
        try:
            return self._store.get(blob.key, start=start, length=length, etag=blob.object_etag)
        except ObjectMissing:
            raise BlobNotFound(blob.name) from None

    def list(self, caller: Caller, access: ContainerAccess, query: ListQuery) -> BlobPage:
        access.require("l")
        upload_id = upload_of(access.store, query.prefix)
        files = self._registered(access, upload_id)
        if files:
            return self._registered_page(query, files)
        page = list_page(self._store, access, query)
        with transaction(self._sessions) as work:
            blobs = list(repository.with_properties(work.session, access, page.objects))
        return BlobPage(blobs, page.prefixes, page.next_after)

    def blocks(
        self, caller: Caller, access: ContainerAccess, name: str
    ) -> tuple[Blob | None, Sequence[UncommittedBlock]]:
        """The blob with the committed blocks, and the uncommitted blocks. Raises BlobNotFound without either."""
        access.require("r")
        access.key(name)
        with transaction(self._sessions) as work:
            uncommitted = repository.uncommitted_blocks(work.session, access, name)
        try:
            return self._get(access, name, with_blocks=True), uncommitted
        except BlobNotFound:
            if not uncommitted:
                raise
            return None, uncommitted

    # Writing.

    def room(self, caller: Caller, access: ContainerAccess, name: str, length: int, block_id: str | None) -> int:
        """The number of bytes that a body may have. Checks name, id and declared length before the body is read."""
        access.require("cw")
        access.key(name)
        self._check_writable(access, name)
        if block_id is not None:
            _check_block_id(block_id)
        check_room(length, self._largest)
        return self._largest

    def put(
        self,
        caller: Caller,
        access: ContainerAccess,
        name: str,
        body: ReceivedBody,
        *,
        headers: Mapping[str, str],
        metadata: Mapping[str, str],
        content_md5: str | None,
        conditions: Conditions,
    ) -> Blob:
        """Write a whole blob. `headers` are those of the blob, and `content_md5` that of the request."""
        md5 = _checked_md5(body, content_md5)
        with self._lock(access, name):
            self._check_write(access, name, conditions)
            self._write(access, name, body.pieces(), conditions)
            return self._record(access, name, {**headers, _MD5: md5}, metadata, ())

    def put_block(
        self,
        caller: Caller,
        access: ContainerAccess,
        name: str,
        block_id: str,
        body: ReceivedBody,
        *,
        content_md5: str | None,
    ) -> None:
        if content_md5 is not None:
            _checked_md5(body, content_md5)
        object_id = uuid4()
        key = repository.block_key(object_id)
        # The commit writes the content again, and misses what a crash has cut.
        self._store.put(key, body.pieces(), durable=False)
        try:
            with transaction(self._sessions) as work:
                count, size, replaced = repository.block_of(work.session, access, name, block_id)
                if count >= _MOST_UNCOMMITTED:
                    raise BlobConflict(
                        "BlockCountExceedsLimit", f"the blob has {count} uncommitted blocks, the limit: commit them"
                    )
                check_room(size + body.size, self._largest)
                repository.record_block(work.session, access, name, block_id, body.size, object_id)
        except BaseException:
            self._remove([key])
            raise
        if replaced is not None:
            self._remove([replaced])

    def commit(
        self,
        caller: Caller,
        access: ContainerAccess,
        name: str,
        references: Sequence[BlockReference],
        *,
        headers: Mapping[str, str],
        metadata: Mapping[str, str],
        conditions: Conditions,
    ) -> Blob:
        """Write a blob of blocks. All other uncommitted blocks of the blob are dropped, as by Azure."""
        access.require("cw")
        access.key(name)
        self._check_writable(access, name)
        with self._lock(access, name):
            present = self._check_write(access, name, conditions, with_blocks=True)
            with transaction(self._sessions) as work:
                uncommitted = {
                    block.block_id: block for block in repository.uncommitted_blocks(work.session, access, name)
                }
            pieces = _Composition(self._store, present, uncommitted, references)
            check_room(pieces.size, self._largest)
            self._write(access, name, iter(pieces), conditions)
            blob = self._record(access, name, headers, metadata, pieces.blocks)
            with transaction(self._sessions) as work:
                removed = repository.remove_blocks(work.session, access, name)
        self._removal.submit(self._remove, removed)
        return blob

    def set_metadata(
        self,
        caller: Caller,
        access: ContainerAccess,
        name: str,
        metadata: Mapping[str, str],
        conditions: Conditions,
    ) -> Blob:
        access.require("w")
        return self._change(access, name, conditions, metadata=metadata)

    def set_headers(
        self,
        caller: Caller,
        access: ContainerAccess,
        name: str,
        headers: Mapping[str, str],
        conditions: Conditions,
    ) -> Blob:
        access.require("w")
        return self._change(access, name, conditions, headers=headers)

    def copy(
        self,
        caller: Caller,
        access: ContainerAccess,
        name: str,
        source_url: str,
        source_query: Mapping[str, str],
        *,
        metadata: Mapping[str, str],
        conditions: Conditions,
    ) -> Blob:
        """Copy a blob of this platform. The source's URL is signed, or the request may read the source's container."""
        access.require("cw")
        target = access.key(name)
        self._check_writable(access, name)
        source = self._copy_source(caller, access, source_url, source_query)
        with self._lock(access, name):
            present = self._check_write(access, name, conditions)
            if present is not None and "w" not in access.permissions:
                raise PermissionMissing("w")
            try:
                self._store.copy(source.key, target)
            except ObjectMissing:
                raise BlobNotFound(source.name) from None
            return self._record(access, name, source.headers, metadata or source.metadata, source.blocks)

    def delete(self, caller: Caller, access: ContainerAccess, name: str, conditions: Conditions) -> None:
        """Raises BlobNotFound."""
        access.require("d")
        blob = self._get(access, name)
        if blob.is_registered:
            raise read_only(name)
        with self._lock(access, name):
            self._check_write(access, name, conditions)
            with transaction(self._sessions) as work:
                repository.remove_properties(work.session, access, name)
                removed = repository.remove_blocks(work.session, access, name)
            self._store.delete(blob.key)
        self._removal.submit(self._remove, removed)

    def removed(self) -> "Future[None]":
        """Done when the objects of all blocks that are committed by now have been removed."""
        return self._removal.submit(lambda: None)

    # Parts of the above.

    def _get(self, access: ContainerAccess, name: str, *, with_blocks: bool = False) -> Blob:
        found = self._find(access, name, with_blocks=with_blocks)
        if found is None:
            raise BlobNotFound(name)
        return found

    def _find(self, access: ContainerAccess, name: str, *, with_blocks: bool = False) -> Blob | None:
        try:
            key = access.key(name)
        except InvalidResourceName:
            if _is_suspicious(name):
                raise
            # Azure's SDK asks for folders: "name/".
            return None
        file = self._registered(access, upload_of(access.store, name)).get(name)
        try:
            found = self._store.head(file.key if file else key)
        except ObjectMissing:
            return None
        if file is not None:
            return _registered_blob(name, found)
        with transaction(self._sessions) as work:
            return next(repository.with_properties(work.session, access, [found], with_blocks=with_blocks))

    def _registered(self, access: ContainerAccess, upload_id: UUID | None) -> Mapping[str, InputFile]:
        if upload_id is None:
            return {}
        with transaction(self._sessions) as work:
            return registered_files(work.session, access.workspace.key, upload_id)

    def _registered_page(self, query: ListQuery, files: Mapping[str, InputFile]) -> BlobPage:
        blobs: list[Blob] = []
        prefixes: list[str] = []
        for name, file in files.items():
            if not name.startswith(query.prefix) or name <= query.after:
                continue
            inside, delimiter, _ = name.removeprefix(query.prefix).partition(query.delimiter or "\0")
            folder = f"{query.prefix}{inside}{delimiter}"
            if delimiter and (prefixes[-1:] == [folder] or query.after.startswith(folder)):
                continue
            if len(blobs) + len(prefixes) == query.most:
                return BlobPage(blobs, prefixes, max([blob.name for blob in blobs] + prefixes))
            if delimiter:
                prefixes.append(folder)
                continue
            with suppress(ObjectMissing):
                blobs.append(_registered_blob(name, self._store.head(file.key)))
        return BlobPage(blobs, prefixes, None)

    def _check_writable(self, access: ContainerAccess, name: str) -> None:
        """Nothing is written beside the files of a registered version."""
        if self._registered(access, upload_of(access.store, name)):
            raise read_only(name)

    def _check_write(
        self, access: ContainerAccess, name: str, conditions: Conditions, *, with_blocks: bool = False
    ) -> Blob | None:
        """Return the present version, if a condition or a block list needs the version."""
        if not conditions.are_given and not with_blocks:
            return None
        present = self._find(access, name, with_blocks=with_blocks)
        conditions.check_write(present, name)
        return present

    def _write(self, access: ContainerAccess, name: str, pieces: Iterator[bytes], conditions: Conditions) -> None:
        key = access.key(name)
        if "w" in access.permissions and not conditions.wants_absence:
            self._store.put(key, pieces)
        elif not self._store.put_if_absent(key, pieces):
            raise blob_exists(name) if conditions.wants_absence else PermissionMissing("w")

    def _record(
        self,
        access: ContainerAccess,
        name: str,
        headers: Mapping[str, str],
        metadata: Mapping[str, str],
        blocks: Sequence[tuple[str, int]],
    ) -> Blob:
        """Record the properties of the version that this request has written."""
        try:
            found = self._store.head(access.key(name))
        except ObjectMissing:
            raise BlobNotFound(name) from None
        with transaction(self._sessions) as work:
            repository.record_properties(
                work.session, access, name, found.etag, revision=0, headers=headers, metadata=metadata, blocks=blocks
            )
        return Blob(name, found.key, found.size, found.etag, found.modified_at, 0, headers, metadata, blocks)

    def _change(
        self,
        access: ContainerAccess,
        name: str,
        conditions: Conditions,
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Blob:
        with self._lock(access, name):
            blob = self._get(access, name, with_blocks=True)
            if blob.is_registered:
                raise read_only(name)
            conditions.check_write(blob, name)
            with transaction(self._sessions) as work:
                repository.record_properties(
                    work.session,
                    access,
                    name,
                    blob.object_etag,
                    revision=blob.revision + 1,
                    headers=blob.headers if headers is None else headers,
                    metadata=blob.metadata if metadata is None else metadata,
                    blocks=blob.blocks,
                )
            return self._get(access, name)

    def _copy_source(self, caller: Caller, access: ContainerAccess, url: str, query: Mapping[str, str]) -> Blob:
        source = BlobUrl.read(url)
        if source is None or not source.path:
            raise InvalidBlobRequest("InvalidHeaderValue", "x-ms-copy-source is not the URL of a blob of this platform")
        is_here = source.container == BlobContainer(access.workspace.key, access.store)
        is_open = is_here and "sig" not in query
        source_access = access if is_open else self.access(caller, source.container.name, query)
        source_access.require("r")
        return self._get(source_access, source.path, with_blocks=True)

    def _lock(self, access: ContainerAccess, name: str) -> Lock:
        return self._locks[hash((access.workspace.key, access.store, name)) % _LOCKS]

    def _remove(self, keys: Sequence[str]) -> None:
        """Remove objects of blocks. The sweep removes the rest."""
        try:
            for key in keys:
                self._store.delete(key)
        except (OSError, PlatformError) as error:
            _log.warning("%s objects of committed blocks stay until the sweep: %s", len(keys), error)


class _Composition:
    """The content of a block list, as a stream."""

    def __init__(
        self,
        store: ObjectStore,
        present: Blob | None,
        uncommitted: Mapping[str, UncommittedBlock],
        references: Sequence[BlockReference],
    ) -> None:
        """Raises InvalidBlockList."""
        self._store = store
        self._present = present
        committed: dict[str, tuple[int, int]] = {}
        start = 0
        for block_id, size in present.blocks if present else ():
            committed[block_id] = (start, size)
            start += size
        self._parts: list[UncommittedBlock | tuple[int, int]] = []
        blocks: list[tuple[str, int]] = []
        for reference in references:
            block = uncommitted.get(reference.block_id) if reference.kind != "Committed" else None
            old = committed.get(reference.block_id) if reference.kind != "Uncommitted" else None
            part = block or old
            if part is None:
                raise InvalidBlockList(reference.block_id)
            self._parts.append(part)
            blocks.append((reference.block_id, part.size if isinstance(part, UncommittedBlock) else part[1]))
        self.blocks = tuple(blocks)

    @property
    def size(self) -> int:
        return sum(size for _, size in self.blocks)

    def __iter__(self) -> Iterator[bytes]:
        for part, (block_id, size) in zip(self._parts, self.blocks, strict=True):
            left = size
            try:
                for piece in self._content(part):
                    left -= len(piece)
                    yield piece
            except ObjectMissing:
                raise InvalidBlockList(block_id) from None
            if left:
                raise InvalidBlockList(block_id)

    def _content(self, part: UncommittedBlock | tuple[int, int]) -> Iterator[bytes]:
        if isinstance(part, UncommittedBlock):
            return self._store.get(part.key)
        assert self._present is not None
        start, size = part
        return self._store.get(self._present.key, start=start, length=size, etag=self._present.object_etag)


def _letters(caller: Caller, workspace: str) -> frozenset[str]:
    if caller.has_role(Role.CONTRIBUTOR, workspace):
        return frozenset(ALL_PERMISSIONS)
    return frozenset(READ_PERMISSIONS if caller.has_role(Role.READER, workspace) else "")


def _registered_blob(name: str, found: StoredObject) -> Blob:
    return Blob(name, found.key, found.size, found.etag, found.modified_at, is_registered=True)


def _is_suspicious(name: str) -> bool:
    """Whether a name can come from no client of Azure by mistake."""
    return any(part in {".", ".."} for part in name.split("/")) or any(
        letter < " " or letter in "\\\x7f" for letter in name
    )


def _checked_md5(body: ReceivedBody, sent: str | None) -> str:
    """The MD5 in base64. Raises Md5Mismatch."""
    if sent is not None:
        try:
            expected = base64.b64decode(sent, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidBlobRequest("InvalidMd5", "Content-MD5 is not a hash in base64") from None
        if expected != body.digest:
            raise Md5Mismatch
    return base64.b64encode(body.digest).decode()


def _check_block_id(block_id: str) -> None:
    try:
        is_valid = 0 < len(base64.b64decode(block_id, validate=True)) <= _LONGEST_BLOCK_ID
    except (binascii.Error, ValueError):
        is_valid = False
    if not is_valid:
        raise InvalidBlobRequest(
            "InvalidQueryParameterValue",
            f"blockid {block_id[:100]!r} is not valid: send base64 of up to {_LONGEST_BLOCK_ID} bytes",
        )
