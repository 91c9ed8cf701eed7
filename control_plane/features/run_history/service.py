"""Azure's run history of batch jobs: a job is a run with one child run, which has the predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from control_plane.features.jobs.job import JobFile, JobPatch, Run
from control_plane.features.jobs.service import Jobs
from control_plane.resources.datastore import read_datastore_path
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.job_files import child_run
from modelyard.core.errors import Conflict

_SCHEME = "azureml://"


class RunHistory:
    def __init__(self, sessions: Sessions, jobs: Jobs) -> None:
        self._sessions = sessions
        self._jobs = jobs

    def get(self, caller: Caller, path: WorkspacePath, run_id: str) -> Run:
        return self._jobs.get_run(caller, path, run_id)

    def logs(self, caller: Caller, run: Run) -> Sequence[tuple[JobFile, str]]:
        """The logs written so far, each with the signed query string for its download."""
        return self._jobs.logs(caller, run.job)

    def children(self, caller: Caller, path: WorkspacePath, run_id: str, page: Page) -> PageResult[Run]:
        """The child run of a job. A child run has no children."""
        run = self.get(caller, path, run_id)
        children = [] if run.is_child else [Run(child_run(run.job.name), run.job)]
        return PageResult.of(children[page.skip :], page)

    def resolve(self, caller: Caller, path: WorkspacePath, uris: Sequence[str]) -> Mapping[str, str]:
        """The URI of each output with the path of its workspace. Raises InvalidRequest for a URI of another kind."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
        own = workspace.path
        place = f"subscriptions/{own.subscription}/resourcegroups/{own.resource_group}/workspaces/{own.name}"
        found = {uri: read_datastore_path(workspace, uri, target="values") for uri in uris}
        return {uri: f"{_SCHEME}{place}/{each.uri.removeprefix(_SCHEME)}" for uri, each in found.items()}

    def patch(self, caller: Caller, path: WorkspacePath, run_id: str, patch: JobPatch) -> Run:
        """The tags of the patch are added to the tags of the job."""
        run = self.get(caller, path, run_id)
        if run.is_child:
            raise Conflict(f"run {run_id!r} changes with its job: change the job {run.job.name!r}")
        if patch.tags is not None:
            patch = replace(patch, tags={**run.job.tags, **patch.tags})
        return replace(run, job=self._jobs.patch(caller, path, run.job.name, patch))
