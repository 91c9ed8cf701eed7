"""Audit events: the change of a resource, with the author."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
