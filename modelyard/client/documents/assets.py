"""`model` and `environment`: az's YAML and ARM's JSON, for registered assets and inline assets of a deployment."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from modelyard.client.documents.fields import Field, FieldTable, text, texts, version_text, word
from modelyard.client.documents.reading import Document
from modelyard.client.errors import InvalidDocument

_COMMON = (
    Field("description", "properties.description", text),
    Field("tags", "properties.tags", texts),
    Field("properties", "properties.properties", texts),
)
_STATE = (
    Field("is_archived", "properties.isArchived", read_only=True),
    Field("creation_context.created_at", "systemData.createdAt", read_only=True),
    Field("id", "id", read_only=True),
)

MODEL = FieldTable(
    (
        Field("name", "name", beside_body=True),
        Field("version", "version", beside_body=True),
        Field("latest_version", "properties.latestVersion", read_only=True),
        Field("type", "properties.modelType", word("mlflow_model", "custom_model", "triton_model")),
        Field("path", "properties.modelUri", beside_body=True),
        *_COMMON,
        Field("flavors", "properties.flavors", read_only=True),
        *_STATE,
    )
)

ENVIRONMENT = FieldTable(
    (
        Field("name", "name", beside_body=True),
        Field("version", "version", beside_body=True),
        Field("latest_version", "properties.latestVersion", read_only=True),
        Field("image", "properties.image", text),
        Field("conda_file", "properties.condaFile"),
        *_COMMON,
        *_STATE,
    ),
    other_keys=frozenset({"$schema", "build"}),
)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model folder to register. Without a name the model is anonymous, with a content hash for a name."""

    folder: Path
    name: str | None = None
    version: str | None = None
    """None takes the next free version."""
    body: Document = field(default_factory=dict)
    """The further fields of the YAML, as an ARM body."""


def read_model(document: Mapping[str, Any], base: Path) -> LocalModel:
    """Read a model mapping, with a path relative to `base`, the folder of the YAML file."""
    path = document.get("path")
    if not isinstance(path, str) or not path:
        raise InvalidDocument("the model has no path: give the folder with the MLmodel file")
    if ":" in path.partition("/")[0]:
        raise InvalidDocument(f"the model path {path!r} is a URI; give a local folder")
    return LocalModel(base / path, _name(document), _version(document), MODEL.body(document))


@dataclass(frozen=True, slots=True)
class LocalEnvironment:
    """A conda file to register. Without a name the environment is anonymous, with a content hash for a name."""

    conda_file: str
    name: str | None = None
    version: str | None = None
    body: Document = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.conda_file.encode()).hexdigest()


def read_environment(document: Mapping[str, Any], base: Path) -> LocalEnvironment:
    """Read an environment mapping. `conda_file` is a path relative to `base`, or an inline conda specification."""
    if document.get("build") is not None:
        raise InvalidDocument("the platform builds no environment from a Dockerfile: replace build by a conda_file")
    conda_file = document.get("conda_file")
    if isinstance(conda_file, Mapping):
        specification = yaml.safe_dump(dict(conda_file), sort_keys=False)
    elif isinstance(conda_file, str):
        specification = _read(base / conda_file)
    else:
        raise InvalidDocument(
            "the environment has no conda_file: packages come from the conda specification, never from an image"
        )
    return LocalEnvironment(
        specification,
        _name(document),
        _version(document),
        ENVIRONMENT.body({**document, "conda_file": specification}),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise InvalidDocument(f"cannot read the conda_file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidDocument(f"the conda_file {path} is not text in UTF-8") from None


def _name(document: Mapping[str, Any]) -> str | None:
    name = document.get("name")
    return None if name is None else str(name)


def _version(document: Mapping[str, Any]) -> str | None:
    version = document.get("version")
    return None if version is None else version_text(version)
