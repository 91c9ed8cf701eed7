"""Fields that a request may hold and that change nothing on this platform.

Clients of Azure send such fields always, so a refusal would stop them. The response names the fields instead: a field
of a request has an effect, or the request is refused, or a note tells that the field has no effect.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from control_plane.resources.arm_body import ArmBody

_NOT_READ = "this platform does not read the field in this request"
_LONGEST_PATH = 200
PROPERTY = "fieldsWithoutEffect"
"""Name of the property that names a resource's fields without effect, for clients that show no Warning header."""


@dataclass(frozen=True, slots=True)
class WithoutEffect:
    """Marks a field of a request body: `Annotated[str | None, WithoutEffect("…")]`. OpenAPI shows the reason."""

    reason: str
    harmless: tuple[str, ...] = ()
    """Values, in lower case, that ask for nothing beyond the platform's behaviour. They need no note.

    An ARM id and `azureml:name` count by their name.
    """

    def concerns(self, value: object) -> bool:
        return str(value).rpartition("/")[2].removeprefix("azureml:").lower() not in self.harmless

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "x-without-effect": self.reason}


@dataclass(frozen=True, slots=True)
class Note:
    """A field of one request without effect."""

    path: str
    """Dotted names, as sent."""
    reason: str

    def __str__(self) -> str:
        return f"{self.path} has no effect: {self.reason}"


def notes_on(document: object, request: type[ArmBody], answer: type[ArmBody] | None = None) -> list[Note]:
    """Return a note for each field of a valid request that has no effect.

    `answer` describes the same resource in responses. Its further fields are read-only and need no note: clients PUT
    a resource as read.
    """
    return list(_walk(document, request, answer, ""))


def property_of_notes(body: ArmBody, request: type[ArmBody]) -> dict[str, str]:
    """Return the property that names the fields of a resource without effect; empty without such fields."""
    document = body.model_dump(mode="json", by_alias=True, exclude_none=True)
    paths = [note.path for note in notes_on(document, request, type(body))]
    return {PROPERTY: ", ".join(paths)} if paths else {}


def marker_of(field: FieldInfo) -> WithoutEffect | None:
    return next((entry for entry in field.metadata if isinstance(entry, WithoutEffect)), None)


def body_in(annotation: Any) -> type[ArmBody] | None:
    """The body class in an annotation such as `Sku | None` or `dict[str, JobInputBody]`."""
    if isinstance(annotation, type) and issubclass(annotation, ArmBody):
        return annotation
    return next((found for part in get_args(annotation) if (found := body_in(part)) is not None), None)


def _walk(value: object, request: type[ArmBody], answer: type[ArmBody] | None, path: str) -> Iterator[Note]:
    if not isinstance(value, Mapping):
        return
    fields, answered = _by_name(request), _by_name(answer)
    for name, entry in value.items():
        if entry is None or entry in ({}, [], ""):
            continue
        place = f"{path}.{name}".lstrip(".")[:_LONGEST_PATH]
        field, shown = fields.get(str(name).lower()), answered.get(str(name).lower())
        if field is None:
            if shown is None:
                yield Note(place, _NOT_READ)
            continue
        marker = marker_of(field)
        if marker is not None and marker.concerns(entry):
            yield Note(place, marker.reason)
        elif (inner := body_in(field.annotation)) is not None:
            yield from _inside(entry, field, inner, body_in(shown.annotation) if shown else None, place)


def _inside(
    entry: object, field: FieldInfo, request: type[ArmBody], answer: type[ArmBody] | None, path: str
) -> Iterator[Note]:
    if isinstance(entry, list):
        for part in entry:
            yield from _walk(part, request, answer, path)
    elif isinstance(entry, Mapping) and "dict[" in str(field.annotation):
        for name, part in entry.items():
            yield from _walk(part, request, answer, f"{path}.{name}")
    else:
        yield from _walk(entry, request, answer, path)


@cache
def _by_name(body: type[ArmBody] | None) -> Mapping[str, FieldInfo]:
    fields = body.model_fields.items() if body else ()
    return {(field.alias or name).lower(): field for name, field in fields}
