"""The document that says what an environment is made of again: `environments/<lock hash>.json`."""

import json
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from modelyard.core.domain.environment_spec import EnvironmentLock


@dataclass(frozen=True, slots=True)
class PackedWheel:
    key: str
    """`wheels/<hash of its content>/<sha256>/<file>`: found by its content, and checked by its hash."""
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
        return json.dumps({"version": 1, **asdict(self.lock), "wheels": wheels}, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "PackedEnvironment":
        document = json.loads(content)
        return cls(
            lock=EnvironmentLock(document["text"], document["python"], document["platform"]),
            wheels=tuple(PackedWheel(wheel["key"], wheel["size"]) for wheel in document["wheels"]),
        )


def document_key(lock_hash: str) -> str:
    return f"environments/{lock_hash}.json"


def wheels_prefix(content_hash: str) -> str:
    return f"wheels/{content_hash}/"
