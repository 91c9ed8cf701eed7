"""A platform's rows, objects and secrets without its processes, and the commands as a user gives them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text

from modelyard.cli.main import run
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.data_dir import DataDir
from modelyard.core.db.rows import (
    AccessTokenRow,
    AdminTokenRow,
    GenerationRow,
    JobRow,
    MiniBatchRow,
    ModelRow,
    ModelVersionRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    UploadRow,
    WorkspaceRow,
)
from modelyard.core.db.unit_of_work import sessions_of, transaction
from modelyard.core.domain.lifecycle import JobState, MiniBatchState
from modelyard.supervisor.generated_secrets import new_master_key, store_secret

PASSPHRASE = "correct horse battery staple"
MODEL_FILES = {"m/MLmodel": b"flavors: {}\n", "m/weights.bin": bytes(range(256)) * 17_000}
"""More than one segment of an archive, by path."""
BUNDLE = "b" * 64
OBJECTS = {
    f"bundles/{BUNDLE}/bundle.json": b"{}",
    "datastores/workspaceblobstore/a folder/in put.csv": b"x,y\n1,2\n",
    "datastores/workspaceblobstore/empty": b"",
    "environments/1234.json": b"{}",
    "wheels/aa/bb/six.whl": b"wheel",
    "logs/1/inference-server/1-w": b"a line\n",
    "batch/1/part-0": b"part",
    "uploads/1/chunk": b"chunk",
}
LEFT_OUT_TABLES = {"uploads", "upload_chunks", "workers"}


@dataclass
class PlatformState:
    folder: Path
    database_url: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data_dir = DataDir(self.folder / "data")
        self.engine: Engine = create_engine(self.database_url)

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.data_dir.objects)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MODELYARD_DATABASE_URL": self.database_url,
            "MODELYARD_BACKUP_PASSPHRASE": PASSPHRASE,
            **self.variables,
        }

    def command(self, name: str, *arguments: str | Path) -> int:
        return self.command_with(self.environment, name, *arguments)

    def command_with(self, environment: Mapping[str, str], name: str, *arguments: str | Path) -> int:
        return run([name, *map(str, arguments), "--data-dir", str(self.data_dir.root)], environment)

    def fill(self) -> None:
        self.data_dir.prepare()
        store_secret(self.data_dir.master_key, new_master_key())
        store_secret(self.data_dir.admin_token, "the admin token")
        store_secret(self.data_dir.secrets / "postgres.password", "of this machine")
        for content in MODEL_FILES.values():
            self.store.put(blob_key(content), [content])
        for key, content in OBJECTS.items():
            self.store.put(key, [content])
        self.add_rows()

    def add_rows(self) -> None:
        with transaction(sessions_of(self.engine)) as work:
            session = work.session
            workspace = session.query(WorkspaceRow).one()
            manifest = [
                {"path": path, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
                for path, content in MODEL_FILES.items()
            ]
            version = ModelVersionRow(
                version="1",
                model_type="mlflow_model",
                model_uri="azureml://m",
                folder_name="m",
                manifest=manifest,
                manifest_hash="h",
                description="tab\tnew\nline \\ back, ünï",
                model=ModelRow(name="m", workspace_id=workspace.id),
            )
            endpoint = OnlineEndpointRow(
                workspace_id=workspace.id,
                name="wines",
                auth_mode="Key",
                provisioning_state="Succeeded",
                primary_key_encrypted="e",
                secondary_key_encrypted="e",
                primary_key_digest="d1",
                secondary_key_digest="d2",
                token_key_encrypted="t",
                token_public_key="t",
                traffic={"blue": 100},
            )
            deployment = OnlineDeploymentRow(
                name="blue",
                provisioning_state="Succeeded",
                wanted_generation=1,
                serving_generation=1,
                instance_count=1,
                endpoint=endpoint,
            )
            session.add(
                GenerationRow(
                    number=1,
                    state="Serving",
                    spec={},
                    bundle_hash=BUNDLE,
                    lock_hash="1234",
                    deployment=deployment,
                    model_version=version,
                )
            )
            session.add(AdminTokenRow(digest="salt$digest"))
            for name, revoked_at in (("valid", None), ("revoked", "2026-01-01")):
                session.add(
                    AccessTokenRow(
                        workspace_id=workspace.id, name=name, subject=name, digest=name, revoked_at=revoked_at
                    )
                )
            session.add(UploadRow(workspace_id=workspace.id, expires_at="2030-01-01"))
            for name, state in (("done", JobState.COMPLETED), ("under-way", JobState.RUNNING)):
                session.add(_job(workspace.id, name, state))

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of every table, in a fixed order."""
        with self.engine.connect() as connection:
            names = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
            return {
                name: sorted(map(tuple, connection.execute(text(f"SELECT * FROM {name}"))), key=repr) for name in names
            }

    def scalar(self, query: str) -> Any:
        with self.engine.connect() as connection:
            return connection.scalar(text(query))

    def objects(self) -> dict[str, bytes]:
        return {key: b"".join(self.store.get(key)) for key in self.store.list("")}

    def secrets(self) -> dict[str, str]:
        return {file.name: file.read_text().strip() for file in self.data_dir.secrets.iterdir()}


def blob_key(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"blobs/sha256/{digest[:2]}/{digest}"


def _job(workspace_id: int, name: str, state: JobState) -> JobRow:
    parts = [
        MiniBatchRow(number=0, state=MiniBatchState.COMPLETED, spans=[], part_key="batch/1/part-0", rows=3),
        MiniBatchRow(number=1, state=MiniBatchState.QUEUED, spans=[]),
    ]
    return JobRow(
        workspace_id=workspace_id,
        name=name,
        endpoint="rows",
        deployment="d",
        bundle_hash=BUNDLE,
        lock_hash="1234",
        settings={},
        input_kind="uri_folder",
        input_uri="azureml://i",
        logs_prefix=f"datastores/workspaceblobstore/{name}/logs/",
        output_key=f"datastores/workspaceblobstore/{name}",
        state=state,
        files=1,
        mini_batches=2,
        rows=6,
        parts=parts,
    )
