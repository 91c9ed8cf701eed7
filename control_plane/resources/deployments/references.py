"""Find the model and the environment that a deployment names."""

from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from control_plane.resources.assets.model_type import ModelType
from control_plane.resources.assets.references import read_reference
from control_plane.resources.assets.repository import ENVIRONMENTS, MODELS
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.errors import InvalidModel


@dataclass(frozen=True, slots=True)
class ResolvedSpec:
    spec: DeploymentSpec
    """With ids in the platform's spelling, so that equal requests are equal specs."""
    model_key: int
    environment_key: int | None


def resolve(session: Session, workspace: Workspace, spec: DeploymentSpec) -> ResolvedSpec:
    """Raises ReferencedResourceMissing, and InvalidModel for a model without an MLflow format."""
    reference = read_reference(workspace, MODELS.collection, spec.model_id)
    row = MODELS.resolve(session, workspace, reference, target="properties.model")
    model = MODELS.head_of(workspace, reference.name, row)
    if row.model_type != ModelType.MLFLOW:
        raise InvalidModel(
            f"model {model.name!r} is a {row.model_type}: only an mlflow_model can be deployed without a scoring "
            "script, and custom scoring scripts are not supported yet",
            target="properties.model",
        )
    if spec.environment_id is None:
        return ResolvedSpec(replace(spec, model_id=model.arm_id), model.key, None)
    reference = read_reference(workspace, ENVIRONMENTS.collection, spec.environment_id)
    found = ENVIRONMENTS.resolve(session, workspace, reference, target="properties.environmentId")
    environment = ENVIRONMENTS.head_of(workspace, reference.name, found)
    resolved = replace(spec, model_id=model.arm_id, environment_id=environment.arm_id)
    return ResolvedSpec(resolved, model.key, environment.key)
