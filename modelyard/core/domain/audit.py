"""Audit events: the change of a resource, with the author, and the chain of hashes over all events.

The hash of an event covers the event's content and the hash of the event before. An edited, missing, added or moved
event breaks the chain, and a hash that was noted elsewhere fixes all events up to that one.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from modelyard.core.domain.caller import CallerKind

_HIDDEN = "***"
_MAPPINGS_OF_SECRETS = frozenset({"environment_variables"})
"""Mappings with passwords among the values: an event names the keys alone."""
_LONGEST_VALUE = 1000
"""Characters of JSON."""


class AuditAction(StrEnum):
    """A change that a caller asks for, or a change of state that a process of the platform makes."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    """Deletion was asked for. A resource with workers is removed later."""
    ARCHIVE = "archive"
    RESTORE = "restore"
    REGENERATE_KEY = "regenerate_key"
    READ_KEYS = "read_keys"
    READ_TOKEN = "read_token"
    REVOKE = "revoke"
    """An access token ends."""
    SUBMIT = "submit"
    CANCEL = "cancel"
    PRUNE = "prune"

    START = "start"
    """A builder or a batch worker begins to work."""
    BUILD = "build"
    """The environment and the bundle of a generation exist."""
    SERVE = "serve"
    """A generation takes over the requests, or the jobs, of the deployment."""
    RETIRE = "retire"
    SCALE = "scale"
    """All workers of the new instance count are ready."""
    ADVANCE = "advance"
    """A job goes on to the next stage."""
    SUCCEED = "succeed"
    FAIL = "fail"
    REMOVE = "remove"
    """A deleted resource is gone."""
    EXPIRE = "expire"
    """Events at the end of their retention were removed from the beginning of the chain."""


GENESIS = "0" * 64
"""In place of the hash before the first event."""
PLATFORM = "/"
"""The resource id of events that belong to no workspace."""
_CHECKPOINT = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class AuditEvent:
    id: int
    at: datetime
    caller: str
    caller_kind: CallerKind
    action: AuditAction
    resource_id: str
    """ARM id."""
    request_id: str | None
    """The x-ms-request-id of the request. None: a process of the platform made the change."""
    from_state: str | None
    to_state: str | None
    changes: Mapping[str, Any]
    """Field name -> {"from", "to"}. Secrets are hidden, long values are cut."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An event and its hash, to be kept outside the platform. Written `<event>:<hash>`."""

    event: int
    """0 before the first event."""
    hash: str

    def __str__(self) -> str:
        return f"{self.event}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint | None":
        """None: the text is not a checkpoint."""
        found = _CHECKPOINT.fullmatch(text.strip())
        return cls(int(found[1]), found[2]) if found else None


@dataclass(frozen=True, slots=True)
class ChainedContent:
    """The content of an event that the event's hash covers."""

    id: int
    at: datetime
    workspace_id: int | None
    caller: str
    caller_kind: str
    action: str
    resource_id: str
    request_id: str | None
    from_state: str | None
    to_state: str | None
    changes: Mapping[str, Any]

    def hash_after(self, previous: str) -> str:
        """SHA-256 in hex, over the hash of the event before and the content as JSON."""
        content = [
            previous,
            self.id,
            self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            self.workspace_id,
            self.caller,
            self.caller_kind,
            self.action,
            self.resource_id,
            self.request_id,
            self.from_state,
            self.to_state,
            _normal(self.changes),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_MOST_FAULTS = 20


class ChainFaults:
    """Sentences about the faults of a chain, the first few."""

    def __init__(self) -> None:
        self._sentences: list[str] = []
        self._more = 0

    def add(self, sentence: str) -> None:
        if len(self._sentences) < _MOST_FAULTS:
            self._sentences.append(sentence)
        else:
            self._more += 1

    @property
    def sentences(self) -> tuple[str, ...]:
        return (*self._sentences, *([f"and {self._more} more"] if self._more else []))


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The result of a verification."""

    events: int
    first: int | None
    """The oldest event. None: there is no event."""
    head: Checkpoint
    expired: int
    """The last event that was removed at the end of the retention; 0 before the first removal."""
    faults: tuple[str, ...]


def _normal(value: Any) -> Any:
    """The value as JSONB returns it: a whole number is an integer, and keys are strings."""
    match value:
        case Mapping():
            return {str(key): _normal(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_normal(entry) for entry in value]
        case float() if value.is_integer():
            return int(value)
    return value


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields that differ, as {"from", "to"}, fit for an audit event."""
    names = sorted({*before, *after})
    return {
        name: {"from": _shown(name, before.get(name)), "to": _shown(name, after.get(name))}
        for name in names
        if before.get(name) != after.get(name)
    }


def _shown(name: str, value: Any) -> Any:
    if name in _MAPPINGS_OF_SECRETS and isinstance(value, Mapping):
        value = dict.fromkeys(value, _HIDDEN)
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text)} characters)"
