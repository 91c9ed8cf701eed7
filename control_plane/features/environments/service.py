"""Registering environments; listing and pruning built environments."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from control_plane.features.environments import repository
from control_plane.features.environments.environment_version import (
    BuiltEnvironment,
    EnvironmentContent,
    EnvironmentVersion,
    EnvironmentVersionSpec,
)
from control_plane.resources.assets.asset import VersionHead
from control_plane.resources.assets.repository import ENVIRONMENTS
from control_plane.resources.assets.service import VersionedAssets
from control_plane.resources.deployments.users import find_deployment_with
from control_plane.resources.operations.operation import Operation, OperationKind
from control_plane.resources.operations.repository import start_operation
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.audit import record
from modelyard.core.db.rows import EnvironmentRow, EnvironmentVersionRow, GenerationRow, WorkspaceRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.names import check_asset_name
from modelyard.core.domain.roles import EVERY_WORKSPACE, Role
from modelyard.core.errors import Conflict, VersionImmutable


class Environments(
    VersionedAssets[
        EnvironmentRow, EnvironmentVersionRow, EnvironmentVersionSpec, EnvironmentContent, EnvironmentVersion
    ]
):
    def __init__(self, sessions: Sessions, dispatcher: Dispatcher) -> None:
        super().__init__(sessions, ENVIRONMENTS)
        self._dispatcher = dispatcher

    def to_version(self, head: VersionHead, row: EnvironmentVersionRow) -> EnvironmentVersion:
        return EnvironmentVersion(head, EnvironmentContent(row.conda_file, row.image))

    def new_content(
        self, workspace: Workspace, existing: EnvironmentVersion | None, spec: EnvironmentVersionSpec
    ) -> EnvironmentContent | None:
        return EnvironmentContent.of(spec) if existing is None else None

    def columns(self, spec: EnvironmentVersionSpec, content: EnvironmentContent) -> dict[str, Any]:
        return {"conda_file": content.conda_file, "image": content.image}

    def check_unchanged(
        self, existing: EnvironmentVersion, spec: EnvironmentVersionSpec, content: EnvironmentContent | None
    ) -> None:
        if existing.content.differs_from(spec):
            raise VersionImmutable(
                f"version {existing.head.version!r} of environment {existing.head.name!r} is registered with another "
                "condaFile or image: register a new version",
                target="properties.condaFile",
            )

    def check_version_name(self, version: str, spec: EnvironmentVersionSpec) -> None:
        if spec.is_anonymous:
            # Azure's SDK names an anonymous version by a hash of the content, which is longer than a version may be.
            check_asset_name(version, noun="environment version")
        else:
            super().check_version_name(version, spec)

    def check_unused(self, session: Session, rows: Sequence[EnvironmentVersionRow]) -> None:
        user = find_deployment_with(session, GenerationRow.environment_version_id.in_([row.id for row in rows]))
        if user is not None:
            raise Conflict(
                f"deployment {user.name!r} of endpoint {user.endpoint.name!r} uses or has used this environment: "
                "delete the deployment first, or archive the environment instead"
            )

    # Built environments.

    def built(self, caller: Caller, path: WorkspacePath) -> Sequence[BuiltEnvironment]:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            sees_all = caller.has_role(Role.READER, EVERY_WORKSPACE)
            return repository.list_built(work.session, None if sees_all else workspace)

    def prune(self, caller: Caller, path: WorkspacePath) -> Operation:
        """Begin to remove the built environments that no deployment uses."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            operation = start_operation(work.session, workspace, OperationKind.PRUNE_ENVIRONMENTS, workspace.arm_id)
            record(work.session, caller, AuditAction.PRUNE, work.session.get_one(WorkspaceRow, workspace.key))
            work.after_commit(partial(self._dispatcher.prune_environments, operation.id))
            return operation
