"""Remove data at the end of the retention: abandoned uploads and blocks, old operations, audit events, logs and jobs.

Each expiry touches either rows or objects of the store, so that rows expire while the store is away. Objects without
a row are orphans, whether the row has expired or a process died before the removal.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, select

from control_plane.features.blobs.repository import BLOCKS, LIFETIME, remove_expired_blocks
from control_plane.features.uploads.repository import remove_upload
from control_plane.features.uploads.service import TEMPORARY
from modelyard.core.db.audit import remove_events
from modelyard.core.db.rows import (
    BatchDeploymentRow,
    DatastoreRemovalRow,
    JobRow,
    OnlineDeploymentRow,
    OperationRow,
    UploadRow,
)
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.job_files import DATASTORES, PARTS, WORKSPACE_FOLDERS
from modelyard.core.domain.lifecycle import ENDED_JOBS, OperationStatus
from modelyard.core.logs import batch_log
from modelyard.core.ports.object_store import ObjectStore
from modelyard.core.settings import RetentionSettings

_LOGS_OF_DELETED_DEPLOYMENTS = timedelta(days=1)
_LOGS_PREFIX = "logs/"
_CLOCK_DIFFERENCE = timedelta(hours=1)
"""Of the database and the object store, at most."""


def expire_uploads(sessions: Sessions) -> None:
    """Remove the rows of uploads at the end of the lifetime."""
    with transaction(sessions) as work:
        expired = select(UploadRow).where(UploadRow.expires_at < func.now()).with_for_update(skip_locked=True)
        for row in work.session.scalars(expired).all():
            remove_upload(work.session, row.workspace_id, row.id)


def remove_orphaned_chunks(sessions: Sessions, store: ObjectStore) -> None:
    """Remove the stored chunks of uploads that have no row."""
    _remove_orphans(sessions, store, TEMPORARY, owners=select(UploadRow.id))


def expire_blocks(sessions: Sessions) -> None:
    """Remove the rows of blocks that no request has committed."""
    with transaction(sessions) as work:
        remove_expired_blocks(work.session)


def remove_old_blocks(store: ObjectStore, *, now: datetime | None = None) -> None:
    """Remove the objects of blocks that no request can commit any more."""
    oldest = (now or datetime.now(UTC)) - LIFETIME - _CLOCK_DIFFERENCE
    for found in store.list_objects(BLOCKS):
        if found.modified_at < oldest:
            store.delete(found.key)


def expire_operations(sessions: Sessions, retention: RetentionSettings) -> None:
    """Remove operations some days after their end."""
    oldest = func.now() - timedelta(days=retention.operation_days)
    with transaction(sessions) as work:
        work.session.execute(
            delete(OperationRow).where(
                OperationRow.status != OperationStatus.IN_PROGRESS, OperationRow.ended_at < oldest
            )
        )


def expire_events(sessions: Sessions, retention: RetentionSettings) -> None:
    """Remove audit events some days after they happened."""
    with transaction(sessions) as work:
        remove_events(work.session, older_than=timedelta(days=retention.event_days))


def expire_jobs(sessions: Sessions, retention: RetentionSettings) -> None:
    """Remove the rows of jobs some days after their end. The predictions belong to the user and stay."""
    oldest = func.now() - timedelta(days=retention.job_days)
    with transaction(sessions) as work:
        work.session.execute(delete(JobRow).where(JobRow.state.in_(ENDED_JOBS), JobRow.ended_at < oldest))


def remove_orphaned_parts(sessions: Sessions, store: ObjectStore) -> None:
    """Remove the parts of outputs of ended or removed jobs."""
    _remove_orphans(sessions, store, PARTS, owners=select(JobRow.id).where(JobRow.state.not_in(ENDED_JOBS)))


def remove_datastores(sessions: Sessions, store: ObjectStore) -> None:
    """Remove the files of deleted workspaces."""
    with transaction(sessions) as work:
        folders = work.session.scalars(select(DatastoreRemovalRow.folder)).all()
    for folder in folders:
        for key in store.list(f"{folder}/"):
            # The first workspace's folder holds the folders of the later workspaces.
            if folder != DATASTORES or not key.startswith(WORKSPACE_FOLDERS):
                store.delete(key)
        with transaction(sessions) as work:
            work.session.execute(delete(DatastoreRemovalRow).where(DatastoreRemovalRow.folder == folder))


def expire_logs(
    sessions: Sessions, store: ObjectStore, retention: RetentionSettings, *, now: float | None = None
) -> None:
    """Remove old log chunks, and those of a deleted deployment after a day. `now` is in unix seconds."""
    kept = timedelta(days=retention.log_days)
    with transaction(sessions) as work:
        living = {str(deployment_id) for deployment_id in work.session.scalars(select(OnlineDeploymentRow.id))}
        living |= {batch_log(deployment_id) for deployment_id in work.session.scalars(select(BatchDeploymentRow.id))}
    timestamp = time.time() if now is None else now
    for key, deployment, written_at in _log_chunks(store):
        lifetime = kept if deployment in living else min(kept, _LOGS_OF_DELETED_DEPLOYMENTS)
        if written_at < timestamp - lifetime.total_seconds():
            store.delete(key)


def _log_chunks(store: ObjectStore) -> Iterator[tuple[str, str, float]]:
    """Key, deployment and time of writing (unix seconds) of every log chunk."""
    for key in store.list(_LOGS_PREFIX):
        _, deployment, _, chunk = key.split("/", 3)
        nanoseconds = chunk.partition("-")[0]
        if nanoseconds.isdecimal():
            yield key, deployment, int(nanoseconds) / 1e9


def _remove_orphans(sessions: Sessions, store: ObjectStore, prefix: str, *, owners: Select[Any]) -> None:
    """Remove objects `<prefix><owner id>/...` of owners that are not among `owners`."""
    keys = list(store.list(prefix))
    if not keys:
        return
    # Read after the list: a new owner has a row before its first object.
    with transaction(sessions) as work:
        living = {str(owner) for owner in work.session.scalars(owners)}
    for key in keys:
        if key.removeprefix(prefix).partition("/")[0] not in living:
            store.delete(key)
