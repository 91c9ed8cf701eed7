"""Containers and versions in the database, written once for every noun."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Numeric, case, cast, delete, false, func, select, true
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import InstrumentedAttribute, Session

from control_plane.resources.assets.asset import Container, Description, ListView, VersionHead, VersionQuery
from control_plane.resources.assets.references import LATEST, Reference, version_not_registered
from control_plane.resources.authorship import Authorship
from control_plane.resources.named_rows import ensure_row, lock_row, named
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.audit import audited, record
from modelyard.core.db.rows import (
    AssetContainer,
    AssetVersion,
    CodeRow,
    CodeVersionRow,
    DataRow,
    DataVersionRow,
    EnvironmentRow,
    EnvironmentVersionRow,
    ModelRow,
    ModelVersionRow,
)
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.errors import ResourceNotFound

C = TypeVar("C", bound=AssetContainer)
V = TypeVar("V", bound=AssetVersion)
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class AssetTables(Generic[C, V]):
    """The two tables of a noun, and the column that joins them."""

    noun: str
    """In messages: "data asset"."""
    container: type[C]
    version: type[V]
    owner: InstrumentedAttribute[int]

    @property
    def collection(self) -> str:
        """In paths and ids: "data"."""
        return self.container.collection

    # Containers.

    def get_container(self, session: Session, workspace: Workspace, name: str) -> Container:
        row = session.scalar(named(self.container, workspace, name))
        if row is None:
            raise ResourceNotFound(f"there is no {self.noun} {name!r} in workspace {workspace.path.name!r}")
        return self._to_container(session, workspace, row)

    def list_containers(
        self, session: Session, workspace: Workspace, view: ListView, page: Page
    ) -> Sequence[Container]:
        versions = select(self.version.id).where(self.owner == self.container.id)
        # A container with anonymous versions only was made on the way, and is not listed.
        is_listed = versions.where(self.version.is_anonymous == false()).exists() | ~versions.exists()
        query = select(self.container).where(self.container.workspace_id == workspace.key, is_listed)
        if view != ListView.ALL:
            query = query.where(self.container.is_archived == (view == ListView.ARCHIVED_ONLY))
        rows = session.scalars(page.of(query.order_by(self.container.name))).all()
        return self._to_containers(session, workspace, rows)

    def put_container(
        self, session: Session, caller: Caller, workspace: Workspace, name: str, description: Description
    ) -> tuple[Container, bool]:
        """The container, and whether it is new."""
        row, is_new = self.ensure_container(session, caller, workspace, name)
        with audited(session, caller, _change(row, description), row):
            description.apply_to(row)
        return self._to_container(session, workspace, _refreshed(session, row)), is_new

    def ensure_container(self, session: Session, caller: Caller, workspace: Workspace, name: str) -> tuple[C, bool]:
        """The row, and whether the row is new. Locked: no other transaction adds or removes versions meanwhile."""
        empty: dict[str, Any] = {"tags": {}, "properties": {}, "is_archived": False}
        return ensure_row(session, caller, self.container, workspace, name, noun=self.noun, **empty)

    def lock_container(self, session: Session, workspace: Workspace, name: str) -> C | None:
        return lock_row(session, self.container, workspace, name)

    def remove_container(self, session: Session, caller: Caller, container: C) -> None:
        record(session, caller, AuditAction.DELETE, container)
        session.execute(delete(self.container).where(self.container.id == container.id))

    def _to_container(self, session: Session, workspace: Workspace, row: C) -> Container:
        (container,) = self._to_containers(session, workspace, [row])
        return container

    def _to_containers(self, session: Session, workspace: Workspace, rows: Sequence[C]) -> Sequence[Container]:
        """Two queries for any number of rows."""
        keys = [row.id for row in rows]
        latest, greatest = self._latest_versions(session, keys), self._greatest_numbers(session, keys)
        return [
            Container(
                workspace=workspace,
                collection=self.collection,
                name=row.name,
                description=row.description,
                tags=row.tags,
                properties=row.properties,
                is_archived=row.is_archived,
                latest_version=latest.get(row.id),
                next_version=str(greatest.get(row.id, 0) + 1),
                authorship=Authorship.of(row),
            )
            for row in rows
        ]

    def _latest_versions(self, session: Session, keys: Sequence[int]) -> dict[int, str]:
        newest_first = select(self.owner, self.version.version).order_by(self.owner, *self._newest_first())
        found = session.execute(newest_first.ext(distinct_on(self.owner)).where(self.owner.in_(keys)))
        return dict(iter(found))

    def _greatest_numbers(self, session: Session, keys: Sequence[int]) -> dict[int, int]:
        """Of the versions that are numbers. An asset without such a version is left out."""
        number = case((self.version.version.regexp_match("^[0-9]+$"), cast(self.version.version, Numeric)))
        greatest = select(self.owner, func.max(number)).where(self.owner.in_(keys)).group_by(self.owner)
        return {key: int(found) for key, found in session.execute(greatest) if found is not None}

    # Versions, as rows: the noun makes a value of a row.

    def find_version(self, session: Session, workspace: Workspace, name: str, version: str) -> V | None:
        return session.scalar(
            select(self.version)
            .join(self.container, self.owner == self.container.id)
            .where(*self._named(workspace, name), self.version.version == version)
        )

    def get_version(self, session: Session, workspace: Workspace, name: str, version: str) -> V:
        row = self.find_version(session, workspace, name, version)
        if row is None:
            raise ResourceNotFound(
                f"there is no {self.noun} {name!r} version {version!r} in workspace {workspace.path.name!r}"
            )
        return row

    def find_resolved(self, session: Session, workspace: Workspace, reference: Reference) -> V | None:
        """The version behind a reference; `latest` is the newest version in the list of active versions."""
        row = self.find_version(session, workspace, reference.name, reference.version)
        if row is None and reference.version == LATEST:
            newest = self.list_versions(session, workspace, reference.name, VersionQuery(), Page(0, 1))
            row = next(iter(newest), None)
        return row

    def resolve(self, session: Session, workspace: Workspace, reference: Reference, *, target: str) -> V:
        """The version behind a reference. Raises ReferencedResourceMissing."""
        row = self.find_resolved(session, workspace, reference)
        if row is None:
            raise version_not_registered(self.noun, reference, target)
        return row

    def list_versions(
        self, session: Session, workspace: Workspace, name: str, query: VersionQuery, page: Page
    ) -> Sequence[V]:
        rows = (
            select(self.version)
            .join(self.container, self.owner == self.container.id)
            .where(*self._named(workspace, name), self._is_in_view(query.view))
        )
        return session.scalars(page.of(rows.order_by(*self._order(query)))).all()

    def search_versions(
        self,
        session: Session,
        workspace: Workspace,
        query: VersionQuery,
        page: Page,
        *conditions: ColumnElement[bool],
    ) -> Sequence[tuple[str, V]]:
        """The versions of every name that meet the conditions, each with the name."""
        rows = (
            select(self.container.name, self.version)
            .select_from(self.version)
            .join(self.container, self.owner == self.container.id)
            .where(self.container.workspace_id == workspace.key, self._is_in_view(query.view), *conditions)
        )
        limited = rows.order_by(*self._order(query)).offset(page.skip).limit(page.top + 1)
        return [(name, row) for name, row in session.execute(limited)]

    def versions_of(self, session: Session, container: C) -> Sequence[V]:
        return session.scalars(select(self.version).where(self.owner == container.id)).all()

    def add_version(
        self,
        session: Session,
        caller: Caller,
        container: C,
        version: str,
        description: Description,
        columns: dict[str, Any],
    ) -> V:
        """`columns` are the noun's own, and `is_anonymous`."""
        common = {self.owner.key: container.id, "version": version, "tags": {}, "properties": {}, "is_archived": False}
        row = self.version(**common, **columns)
        description.apply_to(row)
        session.add(row)
        session.flush()
        record(session, caller, AuditAction.CREATE, row)
        return _refreshed(session, row)

    def describe_version(self, session: Session, caller: Caller, row: V, description: Description) -> V:
        with audited(session, caller, _change(row, description), row):
            description.apply_to(row)
        return _refreshed(session, row)

    def remove_versions(self, session: Session, caller: Caller, rows: Sequence[V]) -> None:
        for row in rows:
            record(session, caller, AuditAction.DELETE, row)
        session.execute(delete(self.version).where(self.version.id.in_([row.id for row in rows])))

    def head_of(self, workspace: Workspace, name: str, row: V) -> VersionHead:
        return VersionHead(
            key=row.id,
            workspace=workspace,
            collection=self.collection,
            name=name,
            version=row.version,
            description=row.description,
            tags=row.tags,
            properties=row.properties,
            is_archived=row.is_archived,
            is_anonymous=row.is_anonymous,
            authorship=Authorship.of(row),
        )

    def _named(self, workspace: Workspace, name: str) -> tuple[ColumnElement[bool], ...]:
        return self.container.workspace_id == workspace.key, self.container.name == name

    def _newest_first(self) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        return self.version.created_at.desc(), self.version.id.desc()

    def _order(self, query: VersionQuery) -> tuple[ColumnElement[Any] | InstrumentedAttribute[Any], ...]:
        return (self.version.created_at, self.version.id) if query.oldest_first else self._newest_first()

    def _is_in_view(self, view: ListView) -> ColumnElement[bool]:
        archived = (self.version.is_archived == true()) | (self.container.is_archived == true())
        return {ListView.ALL: true(), ListView.ARCHIVED_ONLY: archived, ListView.ACTIVE_ONLY: ~archived}[view]


def _change(row: AssetContainer | AssetVersion, description: Description) -> AuditAction:
    if description.is_archived is None or description.is_archived == row.is_archived:
        return AuditAction.UPDATE
    return AuditAction.ARCHIVE if description.is_archived else AuditAction.RESTORE


def _refreshed(session: Session, row: Row) -> Row:
    session.flush()
    session.refresh(row)
    return row


MODELS = AssetTables("model", ModelRow, ModelVersionRow, ModelVersionRow.model_id)
ENVIRONMENTS = AssetTables("environment", EnvironmentRow, EnvironmentVersionRow, EnvironmentVersionRow.environment_id)
CODES = AssetTables("code", CodeRow, CodeVersionRow, CodeVersionRow.code_id)
DATA = AssetTables("data asset", DataRow, DataVersionRow, DataVersionRow.data_id)
