"""Registering environments; showing and pruning what was built."""

from collections.abc import Sequence
from functools import partial

from control_plane.features.environments import repository
from control_plane.features.environments.environment_version import (
    BuiltEnvironment,
    EnvironmentVersion,
    EnvironmentVersionSpec,
    check_conda_file,
)
from control_plane.resources.assets.asset import VersionQuery
from control_plane.resources.assets.repository import ENVIRONMENTS
from control_plane.resources.assets.service import Containers
from control_plane.resources.operations.operation import Operation, OperationKind
from control_plane.resources.operations.repository import start_operation
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.rows import EnvironmentRow, EnvironmentVersionRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.names import check_asset_name, check_version
from modelyard.core.errors import VersionImmutable


class Environments(Containers[EnvironmentRow, EnvironmentVersionRow]):
    def __init__(self, sessions: Sessions, dispatcher: Dispatcher) -> None:
        super().__init__(sessions, ENVIRONMENTS)
        self._dispatcher = dispatcher

    def delete(self, path: WorkspacePath, name: str) -> bool:
        """With all its versions. False: it is not there."""
        with transaction(self._sessions) as work:
            return repository.remove_environment(work.session, get_workspace(work.session, path), name)

    # Versions.

    def list_versions(
        self, path: WorkspacePath, name: str, query: VersionQuery, page: Page
    ) -> PageResult[EnvironmentVersion]:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            return PageResult.of(repository.list_versions(work.session, workspace, name, query, page), page)

    def get_version(self, path: WorkspacePath, name: str, version: str) -> EnvironmentVersion:
        with transaction(self._sessions) as work:
            return repository.get_version(work.session, get_workspace(work.session, path), name, version)

    def put_version(
        self, path: WorkspacePath, name: str, version: str, spec: EnvironmentVersionSpec
    ) -> tuple[EnvironmentVersion, bool]:
        """The version, and whether it is new."""
        check_asset_name(name, noun=ENVIRONMENTS.noun)
        _check_version_name(version, spec)
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            repository.lock_environment(work.session, workspace, name)
            existing = repository.find_version(work.session, workspace, name, version)
            if existing is not None:
                _check_same(existing, spec)
                return repository.describe_version(work.session, existing, spec), False
            conda_file = check_conda_file(spec.conda_file)
            return repository.add_version(work.session, workspace, name, version, spec, conda_file), True

    def delete_version(self, path: WorkspacePath, name: str, version: str) -> bool:
        """False: it is not there."""
        with transaction(self._sessions) as work:
            return repository.remove_version(work.session, get_workspace(work.session, path), name, version)

    # What was built.

    def built(self, path: WorkspacePath) -> Sequence[BuiltEnvironment]:
        with transaction(self._sessions) as work:
            get_workspace(work.session, path)
            return repository.list_built(work.session)

    def prune(self, path: WorkspacePath) -> Operation:
        """Have the environments removed that no deployment uses."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            operation = start_operation(work.session, workspace, OperationKind.PRUNE_ENVIRONMENTS, workspace.arm_id)
            work.after_commit(partial(self._dispatcher.prune_environments, operation.id))
            return operation


def _check_version_name(version: str, spec: EnvironmentVersionSpec) -> None:
    if spec.is_anonymous:
        # Azure's SDK calls these by the hash of their content, which is longer than a version may be.
        check_asset_name(version, noun="environment version")
    else:
        check_version(version, noun=ENVIRONMENTS.noun)


def _check_same(existing: EnvironmentVersion, spec: EnvironmentVersionSpec) -> None:
    is_other_file = spec.conda_file is not None and spec.conda_file != existing.conda_file
    if is_other_file or (spec.image is not None and spec.image != existing.image):
        raise VersionImmutable(
            f"version {existing.head.version!r} of environment {existing.head.name!r} is registered with another "
            "condaFile or image: register a new version",
            target="properties.condaFile",
        )
