"""Removes what has had its time: uploads left unfinished, old operations, logs and jobs."""

import time
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Select, delete, func, select

from control_plane.features.uploads.repository import forget_upload
from control_plane.features.uploads.service import TEMPORARY
from modelyard.core.db.rows import BatchDeploymentRow, JobRow, OnlineDeploymentRow, OperationRow, UploadRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.job_files import PARTS
from modelyard.core.domain.lifecycle import ENDED_JOBS, OperationStatus
from modelyard.core.logs import batch_log
from modelyard.core.ports.object_store import ObjectStore

_OPERATIONS = timedelta(days=7)
_LOGS = timedelta(days=30)
_JOBS = timedelta(days=90)
"""Of a job's row. Its predictions are its user's and stay."""
_LOGS_PREFIX = "logs/"


def expire_uploads(sessions: Sessions, store: ObjectStore) -> None:
    with transaction(sessions) as work:
        expired = select(UploadRow.id).where(UploadRow.expires_at < func.now()).with_for_update(skip_locked=True)
        for upload_id in work.session.scalars(expired).all():
            forget_upload(work.session, upload_id)
    _remove_orphans(sessions, store)


def _remove_orphans(sessions: Sessions, store: ObjectStore) -> None:
    """Chunks whose upload is gone: this one's now, or one whose process died before it could clean up."""
    keys = list(store.list(TEMPORARY))
    if not keys:
        return
    # Read after the list: an upload begun meanwhile has its row before its first chunk.
    with transaction(sessions) as work:
        uploads = {str(upload_id) for upload_id in work.session.scalars(select(UploadRow.id))}
    for key in keys:
        if key.split("/")[1] not in uploads:
            store.delete(key)


def expire_operations(sessions: Sessions) -> None:
    with transaction(sessions) as work:
        work.session.execute(
            delete(OperationRow).where(
                OperationRow.status != OperationStatus.IN_PROGRESS, OperationRow.ended_at < func.now() - _OPERATIONS
            )
        )


def expire_logs(sessions: Sessions, store: ObjectStore, *, now: float | None = None) -> None:
    """Chunks older than 30 days, and all of deployments that are gone since a day."""
    with transaction(sessions) as work:
        living = {str(deployment_id) for deployment_id in work.session.scalars(select(OnlineDeploymentRow.id))}
        living |= {batch_log(deployment_id) for deployment_id in work.session.scalars(select(BatchDeploymentRow.id))}
    moment = time.time() if now is None else now
    for key, deployment, written_at in _log_chunks(store):
        keep = _LOGS if deployment in living else timedelta(days=1)
        if written_at < moment - keep.total_seconds():
            store.delete(key)


def _log_chunks(store: ObjectStore) -> Iterator[tuple[str, str, float]]:
    for key in store.list(_LOGS_PREFIX):
        _, deployment, _, chunk = key.split("/", 3)
        nanoseconds = chunk.partition("-")[0]
        if nanoseconds.isdecimal():
            yield key, deployment, int(nanoseconds) / 1e9


def expire_jobs(sessions: Sessions, store: ObjectStore) -> None:
    """Jobs 90 days after their end, and the parts that outlived the putting together of their output."""
    with transaction(sessions) as work:
        old = JobRow.state.in_(ENDED_JOBS), JobRow.ended_at < func.now() - _JOBS
        work.session.execute(delete(JobRow).where(*old))
    keys = list(store.list(PARTS))
    if not keys:
        return
    # Read after the list: a job begun meanwhile has its row before its first part.
    with transaction(sessions) as work:
        under_way = {str(job_id) for job_id in work.session.scalars(_jobs_under_way())}
    for key in keys:
        if key.split("/")[1] not in under_way:
            store.delete(key)


def _jobs_under_way() -> Select[int]:
    return select(JobRow.id).where(JobRow.state.not_in(ENDED_JOBS))
