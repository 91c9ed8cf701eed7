"""The media type of a body by MLflow's rules: charset is the only parameter, and utf-8 the only charset."""

from enum import Enum

from data_plane.scoring.errors import UnsupportedMediaType


class BodyKind(Enum):
    JSON = "application/json"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"


_KINDS = {kind.value: kind for kind in BodyKind}
_BY_HEADER = {kind.value.encode(): kind for kind in BodyKind}


def body_kind(content_type: bytes | None) -> BodyKind:
    """Return the kind of body. Without the header the body is JSON, because some clients send no header."""
    if not content_type:
        return BodyKind.JSON
    return _BY_HEADER.get(content_type) or _parsed(content_type.decode("latin-1"))


def _parsed(content_type: str) -> BodyKind:
    media_type, *parameters = (part.strip() for part in content_type.split(";"))
    kind = _KINDS.get(media_type.lower())
    if kind is None:
        raise UnsupportedMediaType(f"the Content-Type must be one of {', '.join(_KINDS)}")
    for parameter in filter(None, parameters):
        _check(parameter)
    return kind


def _check(parameter: str) -> None:
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "charset":
        raise UnsupportedMediaType("the Content-Type may have the parameter charset=utf-8 only")
    if value.strip().strip('"').lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("the scoring server only supports UTF-8")
