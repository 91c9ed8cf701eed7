"""The online and batch deployments with a given asset."""

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from modelyard.core.db.rows import BatchDeploymentRow, GenerationRow, OnlineDeploymentRow

DeploymentRow = OnlineDeploymentRow | BatchDeploymentRow


def find_deployment_with(
    session: Session, generation: ColumnElement[bool], *, current_only: bool = False
) -> DeploymentRow | None:
    """A deployment with a matching generation; with `current_only`, a wanted or serving generation."""
    online = select(OnlineDeploymentRow).join(GenerationRow, GenerationRow.deployment_id == OnlineDeploymentRow.id)
    batch = select(BatchDeploymentRow).join(GenerationRow, GenerationRow.batch_deployment_id == BatchDeploymentRow.id)
    online, batch = online.where(generation), batch.where(generation)
    if current_only:
        online, batch = online.where(_is_current(OnlineDeploymentRow)), batch.where(_is_current(BatchDeploymentRow))
    return session.scalar(online.limit(1)) or session.scalar(batch.limit(1))


def _is_current(deployment: type[OnlineDeploymentRow] | type[BatchDeploymentRow]) -> ColumnElement[bool]:
    return or_(
        GenerationRow.number == deployment.wanted_generation, GenerationRow.number == deployment.serving_generation
    )
