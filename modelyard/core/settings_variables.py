"""`MODELYARD_*` environment variables: one list to read, document and report settings.

A field `max_body_bytes` of the group `gateway` is the variable `MODELYARD_GATEWAY_MAX_BODY_BYTES`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from modelyard.core.errors import InvalidSetting

PREFIX = "MODELYARD_"
FORMER_NAMES = {
    "MODELYARD_WORKER_UID": "MODELYARD_GUEST_UID",
    "MODELYARD_BUILD_VARIABLES": "MODELYARD_BUILDER_REQUIREMENT_VARIABLES",
}
"""Names of earlier releases, read where the present name is not set."""

_SENTENCES = {
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "finite_number": "must be a finite number",
    "missing": "must be set",
}


class SettingsGroup(BaseModel):
    """Frozen settings; a nested group is a part of the variable's name."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


AnySettings = TypeVar("AnySettings", bound=SettingsGroup)


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    path: tuple[str, ...]
    """Names of the groups, then of the field."""
    field: FieldInfo

    @property
    def help(self) -> str:
        return self.field.description or ""

    def text_in(self, environment: Mapping[str, str]) -> str | None:
        """Return the value under the present or former name. An empty value counts as unset."""
        return environment.get(self.name) or environment.get(FORMER_NAMES.get(self.name, "")) or None

    def name_in(self, environment: Mapping[str, str]) -> str:
        """Return the variable's name in `environment`, present or former."""
        return self.name if environment.get(self.name) else FORMER_NAMES.get(self.name, self.name)

    def value_in(self, settings: SettingsGroup) -> Any:
        value: Any = settings
        for name in self.path:
            value = getattr(value, name)
        return value


def variables_of(settings: type[SettingsGroup], path: tuple[str, ...] = ()) -> Iterator[Variable]:
    """Yield the variables of the settings and groups, in the order of definition."""
    for name, field in settings.model_fields.items():
        here = (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, SettingsGroup):
            yield from variables_of(field.annotation, here)
        else:
            yield Variable(PREFIX + "_".join(here).upper(), here, field)


def read_settings(settings: type[AnySettings], environment: Mapping[str, str]) -> AnySettings:
    """Read the settings from the variables. Raises InvalidSetting with the name of the variable, without the value."""
    document: dict[str, Any] = {}
    for variable in variables_of(settings):
        text = variable.text_in(environment)
        if text is not None:
            group = document
            for name in variable.path[:-1]:
                group = group.setdefault(name, {})
            group[variable.path[-1]] = text
    try:
        return settings.model_validate(document)
    except ValidationError as error:
        raise _invalid(error, settings, environment) from None


def _invalid(error: ValidationError, settings: type[SettingsGroup], environment: Mapping[str, str]) -> InvalidSetting:
    """Describe the first violation; pydantic's own text would quote the value."""
    first = error.errors(include_input=False, include_url=False)[0]
    names = {variable.path: variable.name_in(environment) for variable in variables_of(settings)}
    path = tuple(str(part) for part in first["loc"])
    context = first.get("ctx", {})
    if first["type"] == "value_error":
        sentence = str(context["error"])
    else:
        sentence = _SENTENCES.get(first["type"], first["msg"]).format(**context)
    return InvalidSetting(f"{names.get(path, PREFIX + '_'.join(path).upper())} {sentence}")
