"""JSON as Azure Resource Manager reads and writes it.

Keys and enum values are read in any case, numbers may be strings, durations are ISO 8601, and unknown fields are
accepted: clients send back a resource as read, and newer clients send new fields. The response names the fields without
effect (`without_effect.py`). Names that the user chose (tags, variables) keep their spelling.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


class ArmBody(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _keys_in_any_case(cls, document: object) -> object:
        if not isinstance(document, dict):
            return document
        spellings = _spellings(cls)
        if spellings.known.issuperset(document):
            return document
        aliases = spellings.aliases
        named: dict[object, object] = {aliases.get(str(key).lower(), key): value for key, value in document.items()}
        # The canonical spelling wins over any other spelling of a key.
        named.update({key: document[key] for key in aliases.values() if key in document})
        return named


@dataclass(frozen=True, slots=True)
class _Spellings:
    """The keys of a body."""

    aliases: Mapping[str, str]
    """The key in JSON, by the key in lower case."""
    known: frozenset[object]
    """The keys in JSON, and the names of the fields, by which responses are made."""


@cache
def _spellings(body: type[ArmBody]) -> _Spellings:
    aliases = [field.alias or name for name, field in body.model_fields.items()]
    return _Spellings({alias.lower(): alias for alias in aliases}, frozenset((*aliases, *body.model_fields)))


class ArmEnum(StrEnum):
    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        spelled = str(value).replace("_", "").lower()
        return next((member for member in cls if member.value.lower() == spelled), None)


def _texts(value: object) -> object:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return value
    return {str(key): _text(entry) for key, entry in value.items() if entry is not None}


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _in_utc(timestamp: datetime) -> datetime:
    return timestamp.astimezone(UTC)


def _duration(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Texts = Annotated[dict[str, str], BeforeValidator(_texts)]
"""Tags and properties: null is empty, numbers become strings."""

Timestamp = Annotated[datetime, AfterValidator(_in_utc)]

Duration = Annotated[timedelta, BeforeValidator(_duration)]

Document = dict[str, Any]
"""A JSON object of any shape."""
