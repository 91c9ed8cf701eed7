"""The models and environments that a deployment names, found."""

from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from control_plane.features.environments import repository as environments
from control_plane.features.models import repository as models
from control_plane.features.models.model_version import ModelType, ModelVersion
from control_plane.resources.assets.asset import VersionQuery
from control_plane.resources.assets.references import LATEST, not_registered, read_reference
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.errors import InvalidModel


@dataclass(frozen=True, slots=True)
class Resolved:
    spec: DeploymentSpec
    """With the ids as we spell them, so that the same wish is the same spec."""
    model_key: int
    environment_key: int | None


def resolve(session: Session, workspace: Workspace, spec: DeploymentSpec) -> Resolved:
    """Raises ReferencedResourceMissing, and InvalidModel for a model that cannot be served without a script."""
    model = _model(session, workspace, spec.model_id)
    model_id = f"{workspace.arm_id}/models/{model.head.name}/versions/{model.head.version}"
    if spec.environment_id is None:
        return Resolved(replace(spec, model_id=model_id), model.key, None)
    named = read_reference(workspace, "environments", spec.environment_id)
    environment = environments.find_version(session, workspace, named.name, named.version)
    if named.version == LATEST and environment is None:
        found = environments.list_versions(session, workspace, named.name, VersionQuery(), Page(0, 1))
        environment = found[0] if found else None
    if environment is None:
        raise not_registered("environment", named, "properties.environmentId")
    head = environment.head
    environment_id = f"{workspace.arm_id}/environments/{head.name}/versions/{head.version}"
    return Resolved(replace(spec, model_id=model_id, environment_id=environment_id), model.key, environment.key)


def _model(session: Session, workspace: Workspace, reference: str) -> ModelVersion:
    named = read_reference(workspace, "models", reference)
    model = models.find_version(session, workspace, named.name, named.version)
    if named.version == LATEST and model is None:
        found = models.list_versions(session, workspace, named.name, VersionQuery(), Page(0, 1))
        model = found[0] if found else None
    if model is None:
        raise not_registered("model", named, "properties.model")
    if model.model_type != ModelType.MLFLOW:
        raise InvalidModel(
            f"model {named.name!r} is a {model.model_type}: only an mlflow_model can be deployed without a scoring "
            "script, and custom scoring scripts come later",
            target="properties.model",
        )
    return model
