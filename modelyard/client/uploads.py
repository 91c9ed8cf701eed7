"""Upload a folder in bounded memory, and resume broken uploads.

Large files are sent one by one, small files several at once, because a small file costs mostly latency.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from modelyard.client.connection import Connection, RetryPolicy, api_error
from modelyard.client.errors import PlatformUnreachable, TransferFailed
from modelyard.client.folder import CHUNK_BYTES, LocalFolder
from modelyard.client.transport import Response
from modelyard.client.watching import Watcher
from modelyard.core.domain.model_manifest import ModelFile

_RECEIVED = "x-modelyard-received"
_SHA256 = "x-modelyard-sha256"
# For a smaller file, a second upload costs less than a question for the received bytes.
_SMALL_BYTES = 64 << 10
_AT_ONCE = 8
_RETRY_SECONDS = 60.0
_TRANSIENT = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """The upload URL of a folder, with a signature that expires."""

    version_path: str
    pending_id: str | None
    blob_uri: str
    signature: str

    @classmethod
    def start(cls, connection: Connection, version_path: str, pending_id: str | None = None) -> "PendingUpload":
        """Start an upload. With the id of a pending upload, only the signature is renewed."""
        body = {"pendingUploadType": "TemporaryBlobReference", "pendingUploadId": pending_id}
        response = connection.post(f"{version_path}/startPendingUpload", body).body
        reference = response["blobReferenceForConsumption"]
        signature = reference["credential"]["sasUri"].partition("?")[2]
        return cls(version_path, response.get("pendingUploadId"), reference["blobUri"].rstrip("/"), signature)

    def renewed(self, connection: Connection) -> "PendingUpload":
        renewed = self.start(connection, self.version_path, self.pending_id)
        if renewed.blob_uri != self.blob_uri:
            raise TransferFailed("the upload URL expired during the upload; try again over a faster connection")
        return renewed

    def url(self, path: str) -> str:
        return f"{self.blob_uri}/{quote(path)}?{self.signature}"


def upload_folder(connection: Connection, folder: LocalFolder, pending: PendingUpload, watcher: Watcher) -> str:
    """Upload all files. Returns the URI for the asset version."""
    sender = _Sender(connection, pending, watcher, folder.size)
    by_path = {file.path: file.location for file in folder.files}
    small = [file for file in folder.manifest.files if file.size <= _SMALL_BYTES]
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        for size in pool.map(lambda file: sender.send(file, by_path[file.path]), small):
            sender.count(size)
    finally:
        # Also after a failed upload and after Ctrl-C.
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
        """Upload one file and return the size. After an interruption, only the missing bytes are sent."""
        start = 0 if file.size <= _SMALL_BYTES else self._received(file)
        retries = RetryPolicy(_RETRY_SECONDS)
        while not self._is_sent(file, location, start):
            if not retries.pause():
                raise TransferFailed(f"the upload of {file.path} broke off; run the command again")
            start = self._received(file)
        return file.size

    def count(self, size: int) -> None:
        """Report further uploaded bytes."""
        self._done += size
        self._watcher.transferred(self._done, self._total)

    def _received(self, file: ModelFile) -> int:
        response = self._head(file)
        if response.status == HTTPStatus.FORBIDDEN:
            self._pending = self._pending.renewed(self._connection)
            response = self._head(file)
        if response.status == HTTPStatus.NOT_FOUND:
            return 0
        if not response.is_success:
            raise api_error(response)
        return int(response.headers.get(_RECEIVED, 0))

    def _head(self, file: ModelFile) -> Response:
        url = self._pending.url(file.path)
        # By the token, the platform may tell that the workspace has the content already.
        headers = {_SHA256: file.sha256, **self._connection.authorization_for(url)}
        return self._connection.send("HEAD", url, headers=headers)

    def _is_sent(self, file: ModelFile, location: Path, start: int) -> bool:
        """Send the rest of a file. Returns False for a retry: broken connection, expired signature, wrong offset."""
        if 0 < file.size == start:
            return True
        headers = {"Content-Length": str(file.size - start), _SHA256: file.sha256}
        if start:
            headers["Content-Range"] = f"bytes {start}-{file.size - 1}/{file.size}"
        try:
            response = self._connection.send(
                "PUT", self._pending.url(file.path), headers=headers, content=self._chunks(location, start, file)
            )
        except PlatformUnreachable:
            return False
        if response.is_success:
            return True
        if response.status in _TRANSIENT or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        raise api_error(response)

    def _chunks(self, location: Path, start: int, file: ModelFile) -> Iterator[bytes]:
        left = file.size - start
        with location.open("rb") as source:
            source.seek(start)
            while left:
                chunk = source.read(min(CHUNK_BYTES, left))
                if not chunk:
                    raise TransferFailed(
                        f"{location} became shorter during the upload; try again when the file is complete"
                    )
                left -= len(chunk)
                yield chunk
                self._watcher.transferred(self._done + file.size - left, self._total)
