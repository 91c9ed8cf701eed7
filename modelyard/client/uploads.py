"""A folder to the platform: streamed in bounded memory, and continued where it broke off.

Large files go one by one; thousands of small ones, of which each costs little but the waiting, several at once.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from modelyard.client.connection import Connection, Patience, refusal
from modelyard.client.errors import PlatformUnreachable, TransferFailed
from modelyard.client.folder import CHUNK_BYTES, LocalFolder
from modelyard.client.transport import Reply
from modelyard.client.watching import Watcher
from modelyard.core.domain.model_manifest import ModelFile

_RECEIVED = "x-modelyard-received"
_SHA256 = "x-modelyard-sha256"
# Below this, sending again costs less than asking whether it is there.
_SMALL_BYTES = 64 << 10
_AT_ONCE = 8
_PATIENCE_SECONDS = 60.0
_PASSING = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT})


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """Where the platform wants a folder, and the signature that allows it for a while."""

    version_path: str
    pending_id: str | None
    blob_uri: str
    signature: str

    @classmethod
    def start(cls, connection: Connection, version_path: str, pending_id: str | None = None) -> "PendingUpload":
        """With the id of one that was started before, only its signature is new."""
        body = {"pendingUploadType": "TemporaryBlobReference", "pendingUploadId": pending_id}
        answer = connection.post(f"{version_path}/startPendingUpload", body).body
        reference = answer["blobReferenceForConsumption"]
        signature = reference["credential"]["sasUri"].partition("?")[2]
        return cls(version_path, answer.get("pendingUploadId"), reference["blobUri"].rstrip("/"), signature)

    def renewed(self, connection: Connection) -> "PendingUpload":
        renewed = self.start(connection, self.version_path, self.pending_id)
        if renewed.blob_uri != self.blob_uri:
            raise TransferFailed("the upload took longer than its URL was good for; try again over a faster connection")
        return renewed

    def url(self, path: str) -> str:
        return f"{self.blob_uri}/{quote(path)}?{self.signature}"


def upload_folder(connection: Connection, folder: LocalFolder, pending: PendingUpload, watcher: Watcher) -> str:
    """Send every file. Returns the URI that a model version names."""
    sender = _Sender(connection, pending, watcher, folder.size)
    by_path = {file.path: file.location for file in folder.files}
    small = [file for file in folder.manifest.files if file.size <= _SMALL_BYTES]
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        for size in pool.map(lambda file: sender.send(file, by_path[file.path]), small):
            sender.count(size)
    finally:
        # Also when one cannot be sent, or the user has had enough.
        pool.shutdown(cancel_futures=True)
    for file in folder.manifest.files:
        if file.size > _SMALL_BYTES:
            sender.count(sender.send(file, by_path[file.path]))
    return f"{pending.blob_uri}/{quote(folder.name)}"


class _Sender:
    def __init__(self, connection: Connection, pending: PendingUpload, watcher: Watcher, total: int) -> None:
        self._connection = connection
        self._pending = pending
        self._watcher = watcher
        self._done = 0
        self._total = total

    def send(self, file: ModelFile, location: Path) -> int:
        """One file, whole; returns its size. After an interruption only what has not been received is sent again."""
        start = 0 if file.size <= _SMALL_BYTES else self._received(file)
        patience = Patience(_PATIENCE_SECONDS)
        while not self._is_sent(file, location, start):
            if not patience.is_left():
                raise TransferFailed(f"the upload of {file.path} broke off; run the command again to try once more")
            start = self._received(file)
        return file.size

    def count(self, size: int) -> None:
        """So many bytes more have arrived."""
        self._done += size
        self._watcher.transferred(self._done, self._total)

    def _received(self, file: ModelFile) -> int:
        reply = self._head(file)
        if reply.status == HTTPStatus.FORBIDDEN:
            self._pending = self._pending.renewed(self._connection)
            reply = self._head(file)
        if reply.status == HTTPStatus.NOT_FOUND:
            return 0
        if not reply.is_success:
            raise refusal(reply)
        return int(reply.headers.get(_RECEIVED, 0))

    def _head(self, file: ModelFile) -> Reply:
        return self._connection.send("HEAD", self._pending.url(file.path), headers={_SHA256: file.sha256})

    def _is_sent(self, file: ModelFile, location: Path, start: int) -> bool:
        """False for what another try may heal: a broken connection, a signature past its time, another beginning."""
        if 0 < file.size == start:
            return True
        headers = {"Content-Length": str(file.size - start), _SHA256: file.sha256}
        if start:
            headers["Content-Range"] = f"bytes {start}-{file.size - 1}/{file.size}"
        try:
            reply = self._connection.send(
                "PUT", self._pending.url(file.path), headers=headers, content=self._chunks(location, start, file)
            )
        except PlatformUnreachable:
            return False
        if reply.is_success:
            return True
        if reply.status in _PASSING or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        raise refusal(reply)

    def _chunks(self, location: Path, start: int, file: ModelFile) -> Iterator[bytes]:
        left = file.size - start
        with location.open("rb") as source:
            source.seek(start)
            while left:
                chunk = source.read(min(CHUNK_BYTES, left))
                if not chunk:
                    raise TransferFailed(f"{location} became shorter while it was sent; let it rest and try again")
                left -= len(chunk)
                yield chunk
                self._watcher.transferred(self._done + file.size - left, self._total)
