"""The document of a packed environment, `environments/<lock hash>.json`: the lock and the keys of the wheels."""

import json
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from modelyard.core.domain.documents import VERSION, check_format
from modelyard.core.domain.environment_spec import EnvironmentLock

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class PackedWheel:
    key: str
    """`wheels/<content hash>/<sha256>/<file name>`: found by content, and checked by hash."""
    size: int

    @property
    def file_name(self) -> str:
        return PurePosixPath(self.key).name

    @property
    def sha256(self) -> str:
        return PurePosixPath(self.key).parent.name


@dataclass(frozen=True, slots=True)
class PackedEnvironment:
    lock: EnvironmentLock
    wheels: tuple[PackedWheel, ...]

    @property
    def size(self) -> int:
        return sum(wheel.size for wheel in self.wheels)

    def to_json(self) -> bytes:
        wheels = [{"key": wheel.key, "sha256": wheel.sha256, "size": wheel.size} for wheel in self.wheels]
        return json.dumps({VERSION: _FORMAT, **asdict(self.lock), "wheels": wheels}, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "PackedEnvironment":
        """Raises UnreadableFormat for the document of a builder that is a major format version ahead."""
        document = json.loads(content)
        check_format(document, noun="the list of an environment's wheels", newest=_FORMAT)
        return cls(
            lock=EnvironmentLock(document["text"], document["python"], document["platform"]),
            wheels=tuple(PackedWheel(wheel["key"], wheel["size"]) for wheel in document["wheels"]),
        )


def document_key(lock_hash: str) -> str:
    return f"environments/{lock_hash}.json"


def wheels_prefix(content_hash: str) -> str:
    return f"wheels/{content_hash}/"
