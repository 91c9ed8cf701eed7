"""Containers and versions in the database, written once for all kinds of assets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, false, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from control_plane.resources.assets.asset import Container, Description, ListView, VersionHead, VersionQuery
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.rows import (
    DataRow,
    DataVersionRow,
    EnvironmentRow,
    EnvironmentVersionRow,
    ModelRow,
    ModelVersionRow,
)
from modelyard.core.errors import Conflict, ResourceNotFound

C = TypeVar("C", ModelRow, EnvironmentRow, DataRow)
V = TypeVar("V", ModelVersionRow, EnvironmentVersionRow, DataVersionRow)


@dataclass(frozen=True, slots=True)
class Assets(Generic[C, V]):
    """One kind of asset: its two tables and the column that joins them."""

    noun: str
    container: type[C]
    version: type[V]
    owner: InstrumentedAttribute[int]

    # Containers.

    def container_of(self, session: Session, workspace: Workspace, name: str) -> Container:
        row = session.scalar(select(self.container).where(*self._named(workspace, name)))
        if row is None:
            raise ResourceNotFound(f"there is no {self.noun} {name!r} in workspace {workspace.path.name!r}")
        return self._described(session, workspace, row)

    def containers(self, session: Session, workspace: Workspace, view: ListView, page: Page) -> Sequence[Container]:
        versions = select(self.version.id).where(self.owner == self.container.id)
        # A container of none but anonymous versions is nobody's asset.
        listed = versions.where(self.version.is_anonymous == false()).exists() | ~versions.exists()
        query = select(self.container).where(self.container.workspace_id == workspace.key, listed)
        if view != ListView.ALL:
            query = query.where(self.container.is_archived == (view == ListView.ARCHIVED_ONLY))
        rows = session.scalars(query.order_by(self.container.name).offset(page.skip).limit(page.top + 1)).all()
        return [self._described(session, workspace, row) for row in rows]

    def put_container(
        self, session: Session, workspace: Workspace, name: str, described: Description
    ) -> tuple[Container, bool]:
        """The container, and whether it is new."""
        row, is_new = self.ensure_container(session, workspace, name)
        described.apply_to(row)
        session.flush()
        session.refresh(row)
        return self._described(session, workspace, row), is_new

    def ensure_container(self, session: Session, workspace: Workspace, name: str) -> tuple[C, bool]:
        """The row, locked for the rest of the transaction, and whether it was made now."""
        values: dict[str, Any] = {
            "workspace_id": workspace.key,
            "name": name,
            "tags": {},
            "properties": {},
            "is_archived": False,
        }
        made = session.scalar(
            insert(self.container).values(**values).on_conflict_do_nothing().returning(self.container.id)
        )
        row = self.lock_container(session, workspace, name)
        if row is None:
            raise Conflict(f"{self.noun} {name!r} was deleted at this moment; try again")
        return row, made is not None

    def lock_container(self, session: Session, workspace: Workspace, name: str) -> C | None:
        return session.scalar(select(self.container).where(*self._named(workspace, name)).with_for_update())

    def _described(self, session: Session, workspace: Workspace, row: C) -> Container:
        newest = select(self.version.version).where(self.owner == row.id)
        latest = session.scalar(newest.order_by(*self._newest_first()).limit(1))
        numbers = [int(version) for version in session.scalars(newest) if version.isdecimal()]
        return Container(
            workspace=workspace,
            name=row.name,
            description=row.description,
            tags=row.tags,
            properties=row.properties,
            is_archived=row.is_archived,
            latest_version=latest,
            next_version=str(max(numbers, default=0) + 1),
            created_at=row.created_at,
            modified_at=row.modified_at,
        )

    # Versions: rows for the repositories of their kinds, which make values of them.

    def find_version(self, session: Session, workspace: Workspace, name: str, version: str) -> V | None:
        return session.scalar(
            select(self.version)
            .join(self.container, self.owner == self.container.id)
            .where(*self._named(workspace, name), self.version.version == version)
        )

    def missing(self, workspace: Workspace, name: str, version: str) -> ResourceNotFound:
        return ResourceNotFound(
            f"there is no {self.noun} {name!r} version {version!r} in workspace {workspace.path.name!r}"
        )

    def list_versions(
        self, session: Session, workspace: Workspace, name: str, query: VersionQuery, page: Page
    ) -> Sequence[V]:
        rows = (
            select(self.version)
            .join(self.container, self.owner == self.container.id)
            .where(*self._named(workspace, name), self._is_in_view(query.view))
        )
        newest_first = self._newest_first()
        order = (self.version.created_at, self.version.id) if query.oldest_first else newest_first
        return session.scalars(rows.order_by(*order).offset(page.skip).limit(page.top + 1)).all()

    def head_of(self, workspace: Workspace, name: str, row: V) -> VersionHead:
        return VersionHead(
            workspace=workspace,
            name=name,
            version=row.version,
            description=row.description,
            is_archived=row.is_archived,
            is_anonymous=row.is_anonymous,
            created_at=row.created_at,
            modified_at=row.modified_at,
            tags=row.tags,
            properties=row.properties,
        )

    def _named(self, workspace: Workspace, name: str) -> tuple[ColumnElement[bool], ...]:
        return self.container.workspace_id == workspace.key, self.container.name == name

    def _newest_first(self) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        return self.version.created_at.desc(), self.version.id.desc()

    def _is_in_view(self, view: ListView) -> ColumnElement[bool]:
        archived = (self.version.is_archived == true()) | (self.container.is_archived == true())
        return {ListView.ALL: true(), ListView.ARCHIVED_ONLY: archived, ListView.ACTIVE_ONLY: ~archived}[view]


MODELS = Assets("model", ModelRow, ModelVersionRow, ModelVersionRow.model_id)
ENVIRONMENTS = Assets("environment", EnvironmentRow, EnvironmentVersionRow, EnvironmentVersionRow.environment_id)
DATA = Assets("data asset", DataRow, DataVersionRow, DataVersionRow.data_id)
