"""The document of a packed environment, `environments/<lock hash>.json`: the lock and the keys of the wheels."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from modelyard.core.domain.declared_text import shown
from modelyard.core.domain.documents import VERSION, check_format
from modelyard.core.domain.environment_spec import EnvironmentLock

_FORMAT = 1
_KEY = re.compile(r"wheels/[A-Za-z0-9][A-Za-z0-9._+-]*/[0-9a-f]{64}/[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")


@dataclass(frozen=True, slots=True)
class PackedWheel:
    """Raises ValueError for a key of another form: parts of the key become a path of this machine."""

    key: str
    """`wheels/<content hash>/<sha256>/<file name>`: found by content, and checked by hash."""
    size: int

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"{shown(self.key)} is not the key of a wheel")

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
