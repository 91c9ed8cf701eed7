"""The differences of the three versions: null, alternatives, examples, and the place of the schemas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_plane.gateway.swagger.schemas import Schema

_BY_NAME = "properties"
_SINGLE = ("items", "additionalProperties")


@dataclass(frozen=True, slots=True)
class Dialect:
    version: str
    """As in the query `?version=`."""
    full_version: str
    home: str
    """The prefix of references to schemas."""

    @property
    def is_swagger_2(self) -> bool:
        return self.version == "2"

    def reference(self, name: str) -> Schema:
        return {"$ref": f"{self.home}{name}"}

    def schema(self, neutral: Schema) -> Schema:
        """Translate a schema of OpenAPI 3.0 whose references are bare names."""
        if "$ref" in neutral:
            return self.reference(neutral["$ref"])
        if "anyOf" in neutral and self.is_swagger_2:
            return self.schema(neutral["anyOf"][0])
        return self._null(self._example({name: self._part(name, part) for name, part in neutral.items()}))

    def _part(self, name: str, part: Any) -> Any:
        if name == _BY_NAME:
            return {each: self.schema(schema) for each, schema in part.items()}
        if name in _SINGLE and isinstance(part, dict):
            return self.schema(part)
        return [self.schema(each) for each in part] if name == "anyOf" else part

    def _null(self, schema: Schema) -> Schema:
        if "nullable" not in schema or self.version == "3":
            return schema
        rest = {name: part for name, part in schema.items() if name != "nullable"}
        return {**rest, "x-nullable": True} if self.is_swagger_2 else {**rest, "type": [rest["type"], "null"]}

    def _example(self, schema: Schema) -> Schema:
        if "example" not in schema or self.version != "3.1":
            return schema
        rest = {name: part for name, part in schema.items() if name != "example"}
        return {**rest, "examples": [schema["example"]]}


_ALL = (
    Dialect("2", "2.0", "#/definitions/"),
    Dialect("3", "3.0.3", "#/components/schemas/"),
    Dialect("3.1", "3.1.0", "#/components/schemas/"),
)
DIALECTS: Mapping[str, Dialect] = {dialect.version: dialect for dialect in _ALL}
DEFAULT = DIALECTS["2"]
"""Azure's inference server answers this version to a request without `?version=`."""
