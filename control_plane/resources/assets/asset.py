"""What models, environments and data assets have in common: a container with a name, and versions in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from control_plane.resources.arm_body import ArmEnum
from control_plane.resources.workspaces.workspace import Workspace


class ListView(ArmEnum):
    ACTIVE_ONLY = "ActiveOnly"
    ARCHIVED_ONLY = "ArchivedOnly"
    ALL = "All"


class Described(Protocol):
    """The columns that a client may always change."""

    description: str | None
    tags: dict[str, str]
    properties: dict[str, str]
    is_archived: bool


@dataclass(frozen=True, slots=True)
class Description:
    """What a client may say of a container or version at any time. None: leave it as it is."""

    description: str | None = None
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None
    is_archived: bool | None = None

    def apply_to(self, row: Described) -> None:
        if self.description is not None:
            row.description = self.description
        if self.tags is not None:
            row.tags = dict(self.tags)
        if self.properties is not None:
            row.properties = dict(self.properties)
        if self.is_archived is not None:
            row.is_archived = self.is_archived


@dataclass(frozen=True, slots=True)
class Container:
    workspace: Workspace
    name: str
    description: str | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    is_archived: bool
    latest_version: str | None
    next_version: str
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class VersionHead:
    """What versions of every kind of asset have."""

    workspace: Workspace
    name: str
    version: str
    description: str | None
    is_archived: bool
    is_anonymous: bool
    created_at: datetime
    modified_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VersionQuery:
    view: ListView = ListView.ACTIVE_ONLY
    oldest_first: bool = False
