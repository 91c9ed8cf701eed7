"""A registered model: the files by content hash, and the flavors of the MLmodel file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.resources.assets.asset import VersionHead, VersionSpec
from control_plane.resources.assets.model_type import ModelType
from modelyard.core.domain.model_manifest import ModelManifest


@dataclass(frozen=True, slots=True)
class ModelVersionSpec(VersionSpec):
    model_type: ModelType | None
    model_uri: str | None


@dataclass(frozen=True, slots=True)
class ModelContent:
    """The files of an upload or of a place in a datastore, stored under their hashes."""

    uri: str
    manifest: ModelManifest
    folder_name: str
    flavors: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    head: VersionHead
    model_type: str
    model_uri: str
    manifest: ModelManifest
    flavors: Mapping[str, Any]
