"""Versioned assets (models, environments, data, codes): a container with a name, and versions in the container."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from control_plane.resources.arm_body import ArmEnum
from control_plane.resources.authorship import Authorship
from control_plane.resources.workspaces.workspace import Workspace


class ListView(ArmEnum):
    ACTIVE_ONLY = "ActiveOnly"
    ARCHIVED_ONLY = "ArchivedOnly"
    ALL = "All"


class DescribedRow(Protocol):
    """The columns that a client may change at any time."""

    description: str | None
    tags: dict[str, str]
    properties: dict[str, str]
    is_archived: bool


@dataclass(frozen=True, slots=True)
class Description:
    """Fields that a client may change at any time. None: unchanged."""

    description: str | None = None
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None
    is_archived: bool | None = None

    def apply_to(self, row: DescribedRow) -> None:
        if self.description is not None:
            row.description = self.description
        if self.tags is not None:
            row.tags = dict(self.tags)
        if self.properties is not None:
            row.properties = dict(self.properties)
        if self.is_archived is not None:
            row.is_archived = self.is_archived


@dataclass(frozen=True, slots=True)
class VersionSpec:
    """A version as a PUT asks for it. Later PUTs cannot change the content and `is_anonymous`."""

    is_anonymous: bool
    """Registered implicitly, as part of a deployment or job. A container of anonymous versions only is not listed."""
    description: Description


@dataclass(frozen=True, slots=True)
class Container:
    workspace: Workspace
    collection: str
    """Path segment of the noun: "models"."""
    name: str
    description: str | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    is_archived: bool
    latest_version: str | None
    next_version: str
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return f"{self.workspace.arm_id}/{self.collection}/{self.name}"


@dataclass(frozen=True, slots=True)
class VersionHead:
    """The shared part of the versions of all nouns."""

    key: int
    workspace: Workspace
    collection: str
    name: str
    """Name of the container."""
    version: str
    description: str | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    is_archived: bool
    is_anonymous: bool
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return f"{self.workspace.arm_id}/{self.collection}/{self.name}/versions/{self.version}"


@dataclass(frozen=True, slots=True)
class VersionQuery:
    view: ListView = ListView.ACTIVE_ONLY
    oldest_first: bool = False
