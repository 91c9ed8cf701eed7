"""A datastore: a folder of the platform's object store, and one container of the Blob routes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from control_plane.resources.authorship import Authorship
from control_plane.resources.blob_container import BlobContainer
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.job_files import DEFAULT_DATASTORE

DEFAULT_LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(days=7)
UNLIMITED = timedelta(days=1)
"""Lifetime of a signature that a client wants without an expiry: every signature of this platform expires."""


@dataclass(frozen=True, slots=True)
class DatastoreSpec:
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Datastore:
    workspace: Workspace
    name: str
    spec: DatastoreSpec
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return f"{self.workspace.arm_id}/datastores/{self.name}"

    @property
    def container(self) -> str:
        return BlobContainer(self.workspace.key, self.name).name

    @property
    def is_default(self) -> bool:
        return self.name == DEFAULT_DATASTORE


def built_in(workspace: Workspace, name: str) -> Datastore:
    return Datastore(workspace, name, DatastoreSpec(), workspace.authorship)
