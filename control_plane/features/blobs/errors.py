"""Errors of the Blob routes, with the codes of Azure's Blob service.

PlatformError
├── NotModified              304  the reader has the current version
├── InvalidBlobRequest       400  a header, a query parameter or a document that cannot be read
│   ├── InvalidResourceName       a name that no blob can have
│   ├── Md5Mismatch               other content than the sender's hash
│   └── InvalidBlockList          a block list that names unknown blocks
├── PermissionMissing        403  a credential without the permission
├── ContainerNotFound        404
├── BlobNotFound             404
├── BlobConflict             409  an existing blob or container, a read-only blob, too many blocks
├── ConditionNotMet          412  another version than the request expects
└── InvalidRange             416  a range behind the end
"""

from http import HTTPStatus

from modelyard.core.errors import Conflict, InvalidRequest, PlatformError, ResourceNotFound


class NotModified(PlatformError):
    status = HTTPStatus.NOT_MODIFIED
    code = "ConditionNotMet"

    def __init__(self) -> None:
        super().__init__("the blob has not changed")


class InvalidBlobRequest(InvalidRequest):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidResourceName(InvalidBlobRequest):
    def __init__(self, name: str) -> None:
        super().__init__(
            "InvalidResourceName",
            f"{name[:200]!r} is not the name of a blob: names have no empty parts, no '..' and no control characters, "
            "up to some 900 bytes in all and 255 bytes between two slashes",
        )


class Md5Mismatch(InvalidBlobRequest):
    def __init__(self) -> None:
        super().__init__("Md5Mismatch", "the MD5 of the received content differs from Content-MD5: send it again")


class InvalidBlockList(InvalidBlobRequest):
    def __init__(self, block_id: str) -> None:
        super().__init__(
            "InvalidBlockList", f"the blob has no block {block_id[:100]!r} (blocks expire after a day): send it again"
        )


class PermissionMissing(PlatformError):
    status = HTTPStatus.FORBIDDEN
    code = "AuthorizationPermissionMismatch"

    def __init__(self, wanted: str) -> None:
        letters = " or ".join(repr(letter) for letter in wanted)
        super().__init__(
            f"the request needs the permission {letters}: ask for a signature (POST …/datastores/<name>/listSecrets) "
            "with the token of a contributor"
        )


class ContainerNotFound(ResourceNotFound):
    code = "ContainerNotFound"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no container {name[:300]!r}: GET …/datastores names the containers of a workspace")


class BlobNotFound(ResourceNotFound):
    code = "BlobNotFound"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no blob {name[:1000]!r} in the container")


class BlobConflict(Conflict):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ConditionNotMet(PlatformError):
    status = HTTPStatus.PRECONDITION_FAILED
    code = "ConditionNotMet"

    def __init__(self) -> None:
        super().__init__("the blob is not in the version that the conditional headers name: read the blob again")


class InvalidRange(PlatformError):
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    code = "InvalidRange"

    def __init__(self, size: int) -> None:
        super().__init__(f"the range begins behind the end of the blob, which has {size} bytes")


def blob_exists(name: str) -> BlobConflict:
    return BlobConflict("BlobAlreadyExists", f"the blob {name[:1000]!r} exists already")


def read_only(name: str) -> BlobConflict:
    return BlobConflict(
        "BlobImmutableDueToPolicy", f"{name[:1000]!r} is a file of a registered version: register a new version"
    )
