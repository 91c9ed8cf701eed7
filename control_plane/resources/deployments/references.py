"""Find the model and the environment that a deployment names."""

from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from control_plane.resources.assets.model_type import ModelType
from control_plane.resources.assets.references import LATEST, Reference, read_reference
from control_plane.resources.assets.repository import ENVIRONMENTS, MODELS
from control_plane.resources.environments.curated import CuratedEnvironments, CuratedName
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.errors import InvalidEnvironment, InvalidModel

_TARGET = "properties.environmentId"


@dataclass(frozen=True, slots=True)
class ResolvedSpec:
    spec: DeploymentSpec
    """With ids in the platform's spelling, so that equal requests are equal specs."""
    model_key: int
    environment_key: int | None


def resolve(session: Session, workspace: Workspace, spec: DeploymentSpec, curated: CuratedEnvironments) -> ResolvedSpec:
    """Raises ReferencedResourceMissing, InvalidModel for a model without an MLflow format, and InvalidEnvironment."""
    reference = read_reference(workspace, MODELS.collection, spec.model_id)
    row = MODELS.resolve(session, workspace, reference, target="properties.model")
    model = MODELS.head_of(workspace, reference.name, row)
    if row.model_type != ModelType.MLFLOW:
        raise InvalidModel(
            f"model {model.name!r} is a {row.model_type}: only an mlflow_model can be deployed without a scoring "
            "script, and custom scoring scripts are not supported yet",
            target="properties.model",
        )
    resolved = replace(spec, model_id=model.arm_id, curated_conda_file=None)
    if spec.environment_id is None:
        return ResolvedSpec(resolved, model.key, None)
    curated_name = CuratedName.read(spec.environment_id)
    if curated_name is not None and not _is_registered(session, workspace, curated_name):
        conda_file = curated.get(curated_name)
        resolved = replace(resolved, environment_id=curated_name.uri, curated_conda_file=conda_file)
        return ResolvedSpec(resolved, model.key, None)
    arm_id, key = _registered(session, workspace, spec.environment_id, curated_name)
    return ResolvedSpec(replace(resolved, environment_id=arm_id), model.key, key)


def _is_registered(session: Session, workspace: Workspace, curated: CuratedName) -> bool:
    """Whether the workspace has an environment of the curated name, which counts then."""
    if curated.is_in_registry:
        return False
    version = curated.version or LATEST
    return ENVIRONMENTS.find_resolved(session, workspace, Reference(curated.name, version)) is not None


def _registered(session: Session, workspace: Workspace, text: str, curated: CuratedName | None) -> tuple[str, int]:
    """The ARM id and the key of a registered version."""
    if curated is None:
        reference = read_reference(workspace, ENVIRONMENTS.collection, text)
    else:
        reference = Reference(curated.name, curated.version or LATEST)
    row = ENVIRONMENTS.resolve(session, workspace, reference, target=_TARGET)
    environment = ENVIRONMENTS.head_of(workspace, reference.name, row)
    if row.conda_file is None:
        raise InvalidEnvironment(
            f"environment {environment.name!r} version {environment.version!r} has an image and no condaFile, and this "
            "platform runs no images: register a version with a condaFile, or leave environmentId out, and the model's "
            "own conda.yaml counts",
            target=_TARGET,
        )
    return environment.arm_id, environment.key
