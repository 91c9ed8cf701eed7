"""Reading and canceling submitted jobs, and downloading files of jobs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath

from control_plane.features.batch_endpoints.repository import ENDPOINTS
from control_plane.features.jobs import repository
from control_plane.features.jobs.job import LOGS, Job, JobFile, JobPatch, JobQuery, Progress, Run
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from control_plane.signed_urls import Grant, Permission, UrlSigner
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.job_files import errors_key
from modelyard.core.domain.lifecycle import JobState
from modelyard.core.errors import Conflict, InvalidRequest, ResourceNotFound
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore


class NewJobRefused(InvalidRequest):
    code = "JobTypeNotSupported"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no job {name!r}, and a PUT makes none: this platform runs the jobs of batch endpoints alone, "
            "no command, sweep, AutoML or pipeline jobs. Invoke a batch endpoint (`batch_endpoints.invoke`) instead",
            target="properties.jobType",
        )


class Jobs:
    def __init__(self, sessions: Sessions, store: ObjectStore, dispatcher: Dispatcher, signer: UrlSigner) -> None:
        self._sessions = sessions
        self._store = store
        self._dispatcher = dispatcher
        self._signer = signer

    def get(self, caller: Caller, path: WorkspacePath, name: str) -> Job:
        with transaction(self._sessions) as work:
            return repository.get_job(work.session, get_workspace(work.session, path), name)

    def get_run(self, caller: Caller, path: WorkspacePath, run_id: str) -> Run:
        with transaction(self._sessions) as work:
            return repository.get_run(work.session, get_workspace(work.session, path), run_id)

    def progress(self, caller: Caller, job: Job) -> Progress:
        with transaction(self._sessions) as work:
            return repository.progress_of(work.session, job)

    def list(self, caller: Caller, path: WorkspacePath, query: JobQuery, page: Page) -> PageResult[Job]:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            return PageResult.of(repository.list_jobs(work.session, workspace, query, page), page)

    def list_of_endpoint(
        self, caller: Caller, path: WorkspacePath, endpoint: str, deployment: str | None, page: Page
    ) -> PageResult[Job]:
        """Jobs of deleted deployments are included."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            owner = ENDPOINTS.get(work.session, workspace, endpoint.lower())
            query = JobQuery(archived=None, endpoint=owner.name, deployment=deployment and deployment.lower())
            return PageResult.of(repository.list_jobs(work.session, workspace, query, page), page)

    def cancel(self, caller: Caller, path: WorkspacePath, name: str) -> Job:
        """Repeatable: a canceled job stays as it is."""
        with transaction(self._sessions) as work:
            job = repository.get_job(work.session, get_workspace(work.session, path), name, lock=True)
            if job.state in (JobState.CANCEL_REQUESTED, JobState.CANCELED):
                return job
            if job.state.is_final:
                raise Conflict(f"job {name!r} has already ended: the state is {job.state}")
            canceled = repository.request_cancel(work.session, caller, job)
            if not canceled.state.is_final:
                work.after_commit(partial(self._dispatcher.run_job, job.key))
            return canceled

    def put(self, caller: Caller, path: WorkspacePath, name: str, patch: JobPatch) -> Job:
        """Change a job. Raises NewJobRefused for a name without a job: a request to a batch endpoint makes jobs."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            try:
                job = repository.get_job(work.session, workspace, name, lock=True)
            except ResourceNotFound:
                raise NewJobRefused(name) from None
            return repository.apply_patch(work.session, caller, job, patch)

    def patch(self, caller: Caller, path: WorkspacePath, name: str, patch: JobPatch) -> Job:
        with transaction(self._sessions) as work:
            job = repository.get_job(work.session, get_workspace(work.session, path), name, lock=True)
            return repository.apply_patch(work.session, caller, job, patch)

    # Files.

    def files(self, caller: Caller, path: WorkspacePath, name: str) -> Sequence[tuple[JobFile, str]]:
        """The files written so far, each with the signed query string for its download."""
        return self._signed(self._written(self.get(caller, path, name)))

    def logs(self, caller: Caller, job: Job) -> Sequence[tuple[JobFile, str]]:
        """The logs written so far, as `files` returns them."""
        return self._signed(self._written_logs(job))

    def _signed(self, files: Iterable[JobFile]) -> Sequence[tuple[JobFile, str]]:
        now = datetime.now(UTC)
        return [(file, self._signer.query(_grant(file.key), now=now)) for file in files]

    def _written(self, job: Job) -> Iterator[JobFile]:
        for key in (job.output_key, errors_key(job.output_key)):
            # Not written yet, or never: a job without failures writes no errors.csv.
            with suppress(ObjectMissing):
                yield JobFile(f"score/{PurePosixPath(key).name}", key, self._store.size(key))
        yield from self._written_logs(job)

    def _written_logs(self, job: Job) -> Iterator[JobFile]:
        logs = job.logs_prefix
        for found in self._store.list_objects(logs):
            yield JobFile(f"{LOGS}{found.key.removeprefix(logs)}", found.key, found.size)

    def content(self, caller: Caller, key: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """The content of a file. Raises UploadUrlExpired unless `query` is signed for this file."""
        self._signer.check(_grant(key), query, now=datetime.now(UTC))
        try:
            return self._store.get(key)
        except ObjectMissing:
            raise ResourceNotFound("this file is no longer stored") from None


def _grant(key: str) -> Grant:
    return Grant(Permission.DOWNLOAD_STORED_FILE, key)
