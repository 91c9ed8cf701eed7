"""Models and their versions in the database."""

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.orm import Session

from control_plane.features.models.model_version import ModelContent, ModelType, ModelVersion, ModelVersionSpec
from control_plane.resources.assets.asset import VersionQuery
from control_plane.resources.assets.repository import MODELS
from control_plane.resources.deployments.users import deployment_with
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.rows import GenerationRow, ModelRow, ModelVersionRow
from modelyard.core.domain.model_manifest import ModelManifest
from modelyard.core.errors import Conflict


def find_version(session: Session, workspace: Workspace, name: str, version: str) -> ModelVersion | None:
    row = MODELS.find_version(session, workspace, name, version)
    return None if row is None else _model_version(workspace, name, row)


def get_version(session: Session, workspace: Workspace, name: str, version: str) -> ModelVersion:
    found = find_version(session, workspace, name, version)
    if found is None:
        raise MODELS.missing(workspace, name, version)
    return found


def list_versions(
    session: Session, workspace: Workspace, name: str, query: VersionQuery, page: Page
) -> Sequence[ModelVersion]:
    rows = MODELS.list_versions(session, workspace, name, query, page)
    return [_model_version(workspace, name, row) for row in rows]


def lock_model(session: Session, workspace: Workspace, name: str) -> None:
    """Make the model if need be; until the transaction ends nobody else adds or removes versions of it."""
    MODELS.ensure_container(session, workspace, name)


def add_version(
    session: Session, workspace: Workspace, name: str, version: str, spec: ModelVersionSpec, content: ModelContent
) -> ModelVersion:
    model, _ = MODELS.ensure_container(session, workspace, name)
    row = ModelVersionRow(
        model_id=model.id,
        version=version,
        tags={},
        properties={},
        model_type=spec.model_type or ModelType.CUSTOM,
        model_uri=content.uri,
        folder_name=content.folder_name,
        manifest=content.manifest.to_list(),
        manifest_hash=content.manifest.digest,
        flavors=dict(content.flavors),
        is_archived=False,
        is_anonymous=spec.is_anonymous,
    )
    spec.described.apply_to(row)
    session.add(row)
    session.flush()
    session.refresh(row)
    return _model_version(workspace, name, row)


def describe_version(session: Session, existing: ModelVersion, spec: ModelVersionSpec) -> ModelVersion:
    head = existing.head
    row = session.get_one(ModelVersionRow, existing.key)
    spec.described.apply_to(row)
    session.flush()
    session.refresh(row)
    return _model_version(head.workspace, head.name, row)


def remove_version(session: Session, workspace: Workspace, name: str, version: str) -> bool:
    """False: it is not there. Raises Conflict when a deployment uses it."""
    MODELS.lock_container(session, workspace, name)
    row = MODELS.find_version(session, workspace, name, version)
    if row is not None:
        _remove(session, [row])
    return row is not None


def remove_model(session: Session, workspace: Workspace, name: str) -> bool:
    """With all its versions. False: it is not there. Raises Conflict when a deployment uses one of them."""
    row = MODELS.lock_container(session, workspace, name)
    if row is None:
        return False
    _remove(session, row.versions)
    session.execute(delete(ModelRow).where(ModelRow.id == row.id))
    return True


def _remove(session: Session, rows: Sequence[ModelVersionRow]) -> None:
    ids = [row.id for row in rows]
    user = deployment_with(session, GenerationRow.model_version_id.in_(ids), current_only=True)
    if user is not None:
        raise Conflict(
            f"deployment {user.name!r} of endpoint {user.endpoint.name!r} uses this model: delete or update it first, "
            "or archive the model instead"
        )
    session.execute(delete(GenerationRow).where(GenerationRow.model_version_id.in_(ids)))
    session.execute(delete(ModelVersionRow).where(ModelVersionRow.id.in_(ids)))


def _model_version(workspace: Workspace, name: str, row: ModelVersionRow) -> ModelVersion:
    return ModelVersion(
        key=row.id,
        head=MODELS.head_of(workspace, name, row),
        model_type=row.model_type,
        model_uri=row.model_uri,
        manifest=ModelManifest.from_list(row.manifest),
        flavors=row.flavors,
    )
