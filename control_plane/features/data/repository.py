"""Data assets and their versions in the database. Jobs carry what they read: a version may go at any time."""

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.orm import Session

from control_plane.features.data.data_version import (
    DataContent,
    DataType,
    DataVersion,
    DataVersionSpec,
    from_manifest,
    to_manifest,
)
from control_plane.resources.assets.asset import VersionQuery
from control_plane.resources.assets.references import LATEST, Reference, not_registered
from control_plane.resources.assets.repository import DATA
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.rows import DataRow, DataVersionRow


def find_version(session: Session, workspace: Workspace, name: str, version: str) -> DataVersion | None:
    row = DATA.find_version(session, workspace, name, version)
    return None if row is None else _data_version(workspace, name, row)


def get_version(session: Session, workspace: Workspace, name: str, version: str) -> DataVersion:
    found = find_version(session, workspace, name, version)
    if found is None:
        raise DATA.missing(workspace, name, version)
    return found


def resolve(session: Session, workspace: Workspace, named: Reference, *, target: str) -> DataVersion:
    """The version that a job names; `latest` is the newest."""
    found = find_version(session, workspace, named.name, named.version)
    if found is None and named.version == LATEST:
        found = next(iter(list_versions(session, workspace, named.name, VersionQuery(), Page(0, 1))), None)
    if found is None:
        raise not_registered(DATA.noun, named, target)
    return found


def list_versions(
    session: Session, workspace: Workspace, name: str, query: VersionQuery, page: Page
) -> Sequence[DataVersion]:
    return [_data_version(workspace, name, row) for row in DATA.list_versions(session, workspace, name, query, page)]


def lock_data(session: Session, workspace: Workspace, name: str) -> None:
    """Make the asset if need be; until the transaction ends nobody else adds or removes versions of it."""
    DATA.ensure_container(session, workspace, name)


def add_version(
    session: Session, workspace: Workspace, name: str, version: str, spec: DataVersionSpec, content: DataContent
) -> DataVersion:
    data, _ = DATA.ensure_container(session, workspace, name)
    row = DataVersionRow(
        data_id=data.id,
        version=version,
        tags={},
        properties={},
        data_type=content.data_type,
        data_uri=content.uri,
        manifest=to_manifest(content.files),
        is_archived=False,
        is_anonymous=spec.is_anonymous,
    )
    spec.described.apply_to(row)
    session.add(row)
    session.flush()
    session.refresh(row)
    return _data_version(workspace, name, row)


def describe_version(session: Session, existing: DataVersion, spec: DataVersionSpec) -> DataVersion:
    row = session.get_one(DataVersionRow, existing.key)
    spec.described.apply_to(row)
    session.flush()
    session.refresh(row)
    return _data_version(existing.head.workspace, existing.head.name, row)


def remove_version(session: Session, workspace: Workspace, name: str, version: str) -> bool:
    """False: it is not there."""
    DATA.lock_container(session, workspace, name)
    row = DATA.find_version(session, workspace, name, version)
    if row is not None:
        session.delete(row)
    return row is not None


def remove_data(session: Session, workspace: Workspace, name: str) -> bool:
    """With all its versions. False: it is not there."""
    row = DATA.lock_container(session, workspace, name)
    if row is None:
        return False
    session.execute(delete(DataVersionRow).where(DataVersionRow.data_id == row.id))
    session.execute(delete(DataRow).where(DataRow.id == row.id))
    return True


def _data_version(workspace: Workspace, name: str, row: DataVersionRow) -> DataVersion:
    content = DataContent(row.data_uri, DataType(row.data_type), from_manifest(row.manifest))
    return DataVersion(row.id, DATA.head_of(workspace, name, row), content)
