"""Jobs in the database: submission, lists and cancellation. Batch workers change the rows of running jobs."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Float, Select, cast, func, select
from sqlalchemy.orm import Session

from control_plane.features.jobs.job import BusyWorker, Job, JobPatch, JobQuery, NewJob, Progress, Run
from control_plane.resources.authorship import Authorship
from control_plane.resources.input_files import to_manifest
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.audit import audited, record
from modelyard.core.db.lifecycle import end_job, move_job
from modelyard.core.db.rows import JobRow, MiniBatchRow
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.batch import BatchSettings, InputKind
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.job_files import parent_of
from modelyard.core.domain.lifecycle import ENDED_JOBS, JobState, MiniBatchState
from modelyard.core.errors import ResourceNotFound

# Reading.


def get_job(session: Session, workspace: Workspace, name: str, *, lock: bool = False) -> Job:
    query = select(JobRow).where(JobRow.workspace_id == workspace.key, JobRow.name == name)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise _no_job(workspace, name)
    return _job(workspace, row)


def get_run(session: Session, workspace: Workspace, run_id: str) -> Run:
    """The job with this name, else the job whose child run has this name."""
    names = [name for name in (run_id, parent_of(run_id)) if name]
    found = session.scalars(select(JobRow).where(JobRow.workspace_id == workspace.key, JobRow.name.in_(names))).all()
    if not found:
        raise _no_job(workspace, run_id)
    return Run(run_id, _job(workspace, next((row for row in found if row.name == run_id), found[0])))


def _no_job(workspace: Workspace, name: str) -> ResourceNotFound:
    return ResourceNotFound(f"there is no job {name!r} in workspace {workspace.path.name!r}")


def list_jobs(session: Session, workspace: Workspace, wanted: JobQuery, page: Page) -> Sequence[Job]:
    newest_first = JobRow.created_at.desc(), JobRow.id.desc()
    found = _filtered(select(JobRow.id).where(JobRow.workspace_id == workspace.key), wanted).order_by(*newest_first)
    # The skipped jobs are read from an index alone.
    on_page = found.offset(page.skip).limit(page.top + 1).subquery()
    rows = session.scalars(select(JobRow).join(on_page, JobRow.id == on_page.c.id).order_by(*newest_first))
    return [_job(workspace, row) for row in rows]


def _filtered(query: Select[int], wanted: JobQuery) -> Select[int]:
    if wanted.archived is not None:
        query = query.where(JobRow.is_archived == wanted.archived)
    if wanted.state is not None:
        query = query.where(JobRow.state == wanted.state)
    if wanted.endpoint is not None:
        query = query.where(JobRow.endpoint == wanted.endpoint)
    if wanted.deployment is not None:
        query = query.where(JobRow.deployment == wanted.deployment)
    if wanted.tag is not None:
        name, equals, value = wanted.tag.partition("=")
        # The table's index of tags knows both operators.
        query = query.where(JobRow.tags.contains({name: value}) if equals else JobRow.tags.has_key(name))
    return query


def progress_of(session: Session, job: Job) -> Progress:
    mine = MiniBatchRow.job_id == job.key
    states = {state: (count, rows) for state, count, rows in session.execute(_by_state(mine))}
    nothing = (0, 0)
    return Progress(
        mini_batches=job.mini_batches,
        completed=states.get(MiniBatchState.COMPLETED, nothing)[0],
        failed=states.get(MiniBatchState.FAILED, nothing)[0],
        files=job.files,
        failed_files=_failed_files(session, mine),
        rows=job.rows,
        scored=sum(int(rows or 0) for _, rows in states.values()),
        seconds=_seconds_at_work(session, job, mine),
        workers=_workers(session, mine),
    )


def _by_state(mine: ColumnElement[bool]) -> Select[str, int, int]:
    state = MiniBatchRow.state
    return select(state, func.count(), func.sum(MiniBatchRow.rows)).where(mine).group_by(state)


def _failed_files(session: Session, mine: ColumnElement[bool]) -> int:
    failures = func.jsonb_array_elements(MiniBatchRow.failures).table_valued("value", joins_implicitly=True)
    file = func.jsonb_extract_path_text(failures.c.value, "file")
    return session.scalar(select(func.count(file.distinct())).select_from(MiniBatchRow, failures).where(mine)) or 0


def _seconds_at_work(session: Session, job: Job, mine: ColumnElement[bool]) -> float:
    began = func.min(MiniBatchRow.ended_at - func.make_interval(0, 0, 0, 0, 0, 0, MiniBatchRow.seconds))
    until = func.max(MiniBatchRow.ended_at) if job.state in ENDED_JOBS else func.clock_timestamp()
    seconds = session.scalar(
        select(cast(func.extract("epoch", until - began), Float)).where(mine, MiniBatchRow.seconds.is_not(None))
    )
    return float(seconds or 0.0)


def _workers(session: Session, mine: ColumnElement[bool]) -> Sequence[BusyWorker]:
    rows = session.execute(
        # A worker may have claimed several mini-batches at once.
        select(MiniBatchRow.worker, func.min(MiniBatchRow.number))
        .where(mine, MiniBatchRow.lease_token.is_not(None), MiniBatchRow.lease_until >= func.clock_timestamp())
        .group_by(MiniBatchRow.worker, MiniBatchRow.lease_token)
        .order_by(func.min(MiniBatchRow.number))
    )
    return [BusyWorker(name or "", number) for name, number in rows]


# Submitting.


def find_by_request(session: Session, workspace: Workspace, endpoint: str, request_id: str | None) -> Job | None:
    """The job that an earlier request with the same id has submitted."""
    if request_id is None:
        return None
    row = session.scalar(
        select(JobRow).where(
            JobRow.workspace_id == workspace.key, JobRow.endpoint == endpoint, JobRow.request_id == request_id
        )
    )
    return None if row is None else _job(workspace, row)


def lock_submissions(session: Session) -> None:
    """Serialize submissions until the transaction ends, so that names and outputs of jobs are unique."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("modelyard jobs"))))


def name_is_taken(session: Session, workspace: Workspace, name: str) -> bool:
    """Names are unique in a workspace, because the files of a job are stored under the name."""
    taken = select(JobRow.id).where(JobRow.workspace_id == workspace.key, JobRow.name == name)
    return session.scalar(taken.limit(1)) is not None


def writer_of(session: Session, output_key: str) -> str | None:
    """Name of the unfinished job that writes to `output_key`."""
    return session.scalar(
        select(JobRow.name).where(JobRow.output_key == output_key, JobRow.state.not_in(ENDED_JOBS)).limit(1)
    )


def add_job(session: Session, caller: Caller, workspace: Workspace, new: NewJob) -> Job:
    row = JobRow(
        workspace_id=workspace.key,
        name=new.name,
        display_name=new.spec.display_name,
        experiment_name=new.spec.experiment_name,
        endpoint=new.endpoint,
        deployment=new.deployment,
        request_id=new.request_id,
        bundle_hash=new.bundle_hash,
        lock_hash=new.lock_hash,
        settings=new.settings.to_dict(),
        input_kind=new.input.kind,
        input_uri=new.input.uri,
        input_files=to_manifest(new.input.files),
        input_key=new.input.key,
        output_key=new.output_key,
        logs_prefix=new.logs_prefix,
        tags=dict(new.spec.tags),
        properties=dict(new.spec.properties),
        state=JobState.QUEUED,
    )
    session.add(row)
    session.flush()
    record(session, caller, AuditAction.SUBMIT, row, to_state=row.state)
    return _refreshed(session, workspace, row)


# Changing.


def request_cancel(session: Session, caller: Caller, job: Job) -> Job:
    """Ask the batch workers to stop the job. A job that no worker has claimed is canceled at once."""
    row = session.get_one(JobRow, job.key, with_for_update=True)
    is_unclaimed = row.state == JobState.QUEUED and row.lease_token is None
    move_job(session, caller, row, JobState.CANCEL_REQUESTED)
    if is_unclaimed:
        end_job(session, caller, row, JobState.CANCELED, None)
    return _refreshed(session, job.workspace, row)


def apply_patch(session: Session, caller: Caller, job: Job, patch: JobPatch) -> Job:
    row = session.get_one(JobRow, job.key)
    with audited(session, caller, _action(row, patch), row):
        if patch.display_name is not None:
            row.display_name = patch.display_name
        if patch.tags is not None:
            row.tags = dict(patch.tags)
        if patch.is_archived is not None:
            row.is_archived = patch.is_archived
    return _refreshed(session, job.workspace, row)


def _action(row: JobRow, patch: JobPatch) -> AuditAction:
    if patch.is_archived is None or patch.is_archived == row.is_archived:
        return AuditAction.UPDATE
    return AuditAction.ARCHIVE if patch.is_archived else AuditAction.RESTORE


def _refreshed(session: Session, workspace: Workspace, row: JobRow) -> Job:
    session.flush()
    session.refresh(row)
    return _job(workspace, row)


def _job(workspace: Workspace, row: JobRow) -> Job:
    return Job(
        key=row.id,
        workspace=workspace,
        name=row.name,
        display_name=row.display_name or row.name,
        experiment_name=row.experiment_name or row.endpoint,
        endpoint=row.endpoint,
        deployment=row.deployment,
        settings=BatchSettings.from_dict(row.settings),
        input_kind=InputKind(row.input_kind),
        input_uri=row.input_uri,
        output_key=row.output_key,
        logs_prefix=row.logs_prefix,
        tags=row.tags,
        properties=row.properties,
        state=JobState(row.state),
        error=row.error,
        is_archived=row.is_archived,
        files=row.files,
        mini_batches=row.mini_batches,
        rows=row.rows,
        authorship=Authorship.of(row),
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
