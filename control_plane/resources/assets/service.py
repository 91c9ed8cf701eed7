"""Registering, listing, describing and removing versioned assets, written once for every noun."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from control_plane.resources.assets.asset import (
    Container,
    Description,
    ListView,
    VersionHead,
    VersionQuery,
    VersionSpec,
)
from control_plane.resources.assets.repository import AssetTables, C, V
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from modelyard.core.db.unit_of_work import Sessions, UnitOfWork, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.names import check_asset_name, check_version

Spec = TypeVar("Spec", bound=VersionSpec)
Content = TypeVar("Content")
Version = TypeVar("Version")


class VersionedAssets(ABC, Generic[C, V, Spec, Content, Version]):
    """A noun subclasses this service and adds the rules of its content, the methods below `The noun's own`.

    `Spec` is a PUT as the noun reads it, `Content` the content that the PUT brought, `Version` the noun's value.
    """

    def __init__(self, sessions: Sessions, tables: AssetTables[C, V]) -> None:
        self._sessions = sessions
        self._tables: AssetTables[C, V] = tables

    # Containers.

    def list(self, caller: Caller, path: WorkspacePath, view: ListView, page: Page) -> PageResult[Container]:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            return PageResult.of(self._tables.list_containers(work.session, workspace, view, page), page)

    def get(self, caller: Caller, path: WorkspacePath, name: str) -> Container:
        with transaction(self._sessions) as work:
            return self._tables.get_container(work.session, get_workspace(work.session, path), name)

    def put(self, caller: Caller, path: WorkspacePath, name: str, description: Description) -> tuple[Container, bool]:
        """The container, and whether it is new."""
        check_asset_name(name, noun=self._tables.noun)
        with transaction(self._sessions) as work:
            return self._tables.put_container(
                work.session, caller, get_workspace(work.session, path), name, description
            )

    def delete(self, caller: Caller, path: WorkspacePath, name: str) -> bool:
        """Remove a container with all versions. False: the container does not exist."""
        with transaction(self._sessions) as work:
            session = work.session
            container = self._tables.lock_container(session, get_workspace(session, path), name)
            if container is None:
                return False
            self._remove(session, caller, self._tables.versions_of(session, container))
            self._tables.remove_container(session, caller, container)
            return True

    # Versions.

    def list_versions(
        self, caller: Caller, path: WorkspacePath, name: str, query: VersionQuery, page: Page
    ) -> PageResult[Version]:
        """Empty where the container does not exist."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            rows = self._tables.list_versions(work.session, workspace, name, query, page)
            return PageResult.of([self._to_value(workspace, name, row) for row in rows], page)

    def get_version(self, caller: Caller, path: WorkspacePath, name: str, version: str) -> Version:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            return self._to_value(workspace, name, self._tables.get_version(work.session, workspace, name, version))

    def put_version(
        self, caller: Caller, path: WorkspacePath, name: str, version: str, spec: Spec
    ) -> tuple[Version, bool]:
        """Register a version, or change its description. Returns the version, and whether it is new."""
        check_asset_name(name, noun=self._tables.noun)
        self.check_version_name(version, spec)
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            existing = self._find(work.session, workspace, name, version)
        # No transaction is open while content is read: files may be large.
        content = self.new_content(workspace, existing, spec)
        with transaction(self._sessions) as work:
            container, _ = self._tables.ensure_container(work.session, caller, workspace, name)
            existing = self._find(work.session, workspace, name, version)
            if existing is None and content is not None:
                columns = {"is_anonymous": spec.is_anonymous, **self.columns(spec, content)}
                row = self._tables.add_version(work.session, caller, container, version, spec.description, columns)
            else:
                row = self._tables.get_version(work.session, workspace, name, version)
                self.check_unchanged(self._to_value(workspace, name, row), spec, content)
                self._tables.describe_version(work.session, caller, row, spec.description)
            if content is not None:
                self.content_registered(work, workspace, spec)
            return self._to_value(workspace, name, row), existing is None

    def delete_version(self, caller: Caller, path: WorkspacePath, name: str, version: str) -> bool:
        """False: the version does not exist."""
        with transaction(self._sessions) as work:
            session, workspace = work.session, get_workspace(work.session, path)
            self._tables.lock_container(session, workspace, name)
            row = self._tables.find_version(session, workspace, name, version)
            if row is not None:
                self._remove(session, caller, [row])
            return row is not None

    def _find(self, session: Session, workspace: Workspace, name: str, version: str) -> Version | None:
        row = self._tables.find_version(session, workspace, name, version)
        return None if row is None else self._to_value(workspace, name, row)

    def _to_value(self, workspace: Workspace, name: str, row: V) -> Version:
        return self.to_version(self._tables.head_of(workspace, name, row), row)

    def _remove(self, session: Session, caller: Caller, rows: Sequence[V]) -> None:
        self.check_unused(session, rows)
        self._tables.remove_versions(session, caller, rows)

    # The noun's own.

    @abstractmethod
    def to_version(self, head: VersionHead, row: V) -> Version:
        """The noun's value of a row."""

    @abstractmethod
    def new_content(self, workspace: Workspace, existing: Version | None, spec: Spec) -> Content | None:
        """Read and check the content that a PUT brings. None: the PUT names the content of the existing version."""

    @abstractmethod
    def columns(self, spec: Spec, content: Content) -> dict[str, Any]:
        """The noun's own columns of a new version."""

    @abstractmethod
    def check_unchanged(self, existing: Version, spec: Spec, content: Content | None) -> None:
        """Raise VersionImmutable where a PUT would change the content of a registered version."""

    def check_version_name(self, version: str, spec: Spec) -> None:
        check_version(version, noun=self._tables.noun)

    def check_unused(self, session: Session, rows: Sequence[V]) -> None:
        """Raise Conflict where a version is in use; remove rows that refer to the versions."""

    def content_registered(self, work: UnitOfWork, workspace: Workspace, spec: Spec) -> None:
        """End the upload of the content."""
