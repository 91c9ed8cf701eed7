"""Registered models and deployments, recorded as by the control plane."""

import hashlib
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sqlalchemy import select

from modelyard.core.db.lifecycle import begin_operation
from modelyard.core.db.rows import (
    EnvironmentRow,
    EnvironmentVersionRow,
    GenerationRow,
    ModelRow,
    ModelVersionRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    OperationRow,
    WorkspaceRow,
)
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import GenerationState, ProvisioningState
from modelyard.core.domain.model_manifest import ModelFile, ModelManifest
from modelyard.core.ports.object_store import ObjectStore

_numbers = count(1)


@dataclass(frozen=True)
class Deployments:
    """Creates deployments for a builder, and reads the rows back."""

    sessions: Sessions
    store: ObjectStore

    def create(
        self,
        folder: Path,
        *,
        conda_file: str | None = None,
        variables: dict[str, str] | None = None,
        user: str = "admin",
    ) -> int:
        """Create a deployment of the model folder as `user`; return the id of the generation."""
        number = next(_numbers)
        manifest = self._uploaded(folder)
        with transaction(self.sessions) as work:
            session = work.session
            workspace = session.scalar(select(WorkspaceRow))
            if workspace is None:
                workspace = WorkspaceRow(subscription="0", resource_group="local", name="default")
                session.add(workspace)
                session.flush()
            model = ModelRow(workspace_id=workspace.id, name=f"model-{number}")
            version = ModelVersionRow(
                model=model,
                version="1",
                model_type="mlflow_model",
                model_uri="x",
                folder_name=folder.name,
                manifest=manifest.to_list(),
                manifest_hash=manifest.digest,
            )
            operation = begin_operation(session, subscription="0", kind="create", resource_id=f"deployment-{number}")
            deployment = self._deployment(workspace.id, number, operation)
            session.add_all([model, version, deployment])
            session.flush()
            environment = self._environment(session, workspace.id, number, conda_file)
            generation = GenerationRow(
                deployment_id=deployment.id,
                number=1,
                state=GenerationState.QUEUED,
                spec=DeploymentSpec("model-id", environment_variables=variables or {}).to_dict(),
                model_version_id=version.id,
                environment_version_id=environment,
                created_by=user,
            )
            session.add(generation)
            session.flush()
            return generation.id

    def generation(self, generation_id: int) -> GenerationRow:
        with self.sessions() as session:
            return session.get_one(GenerationRow, generation_id)

    def deployment(self, generation_id: int) -> OnlineDeploymentRow:
        with self.sessions() as session:
            return session.get_one(OnlineDeploymentRow, self.generation(generation_id).deployment_id)

    def operation(self, generation_id: int) -> OperationRow:
        with self.sessions() as session:
            return session.get_one(OperationRow, self.deployment(generation_id).operation_id)

    def change(self, generation_id: int, **values: object) -> None:
        with transaction(self.sessions) as work:
            row = work.session.get_one(GenerationRow, generation_id)
            for name, value in values.items():
                setattr(row, name, value)

    def _uploaded(self, folder: Path) -> ModelManifest:
        files = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            file = ModelFile(
                path.relative_to(folder.parent).as_posix(), hashlib.sha256(content).hexdigest(), len(content)
            )
            self.store.put(file.key, [content])
            files.append(file)
        return ModelManifest.of(files)

    def _deployment(self, workspace_id: int, number: int, operation: OperationRow) -> OnlineDeploymentRow:
        endpoint = OnlineEndpointRow(
            workspace_id=workspace_id,
            name=f"endpoint-{number}",
            auth_mode="Key",
            provisioning_state=ProvisioningState.SUCCEEDED,
            **dict.fromkeys(
                (
                    "primary_key_encrypted",
                    "secondary_key_encrypted",
                    "primary_key_digest",
                    "secondary_key_digest",
                    "token_key_encrypted",
                    "token_public_key",
                ),
                "",
            ),
        )
        return OnlineDeploymentRow(
            endpoint=endpoint,
            name="blue",
            instance_count=1,
            provisioning_state=ProvisioningState.CREATING,
            wanted_generation=1,
            operation_id=operation.id,
        )

    def _environment(self, session, workspace_id: int, number: int, conda_file: str | None) -> int | None:
        if conda_file is None:
            return None
        environment = EnvironmentRow(workspace_id=workspace_id, name=f"environment-{number}")
        version = EnvironmentVersionRow(environment=environment, version="1", conda_file=conda_file)
        session.add_all([environment, version])
        session.flush()
        return version.id
