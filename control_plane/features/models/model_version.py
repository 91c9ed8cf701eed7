"""A registered model: its files, by content, and what its MLmodel file says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.resources.arm_body import ArmEnum
from control_plane.resources.assets.asset import Description, VersionHead
from modelyard.core.domain.model_manifest import ModelManifest


class ModelType(ArmEnum):
    MLFLOW = "mlflow_model"
    CUSTOM = "custom_model"
    TRITON = "triton_model"

    @classmethod
    def _missing_(cls, value: object) -> "ModelType | None":
        spelled = str(value).replace("_", "").lower()
        return next((member for member in cls if member.value.replace("_", "") == spelled), None)


@dataclass(frozen=True, slots=True)
class ModelVersionSpec:
    """What a PUT asks for. Type, files and anonymity are settled by the first one."""

    model_type: ModelType | None
    model_uri: str | None
    is_anonymous: bool
    described: Description


@dataclass(frozen=True, slots=True)
class ModelContent:
    """A model's files, kept, and read."""

    uri: str
    manifest: ModelManifest
    folder_name: str
    flavors: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    key: int
    head: VersionHead
    model_type: str
    model_uri: str
    manifest: ModelManifest
    flavors: Mapping[str, Any]
