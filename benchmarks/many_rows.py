"""Reading a platform with many rows: `python -m benchmarks.many_rows [--endpoints N] [--jobs N] [--requests N]`.

Starts a platform and fills its database with N online endpoints of one deployment each, N finished jobs of twenty batch
deployments with an event each, and models with ten versions each. Then one client with one connection sends GET
requests, as Azure's SDK does, and prints JSON: p50 and p99 in milliseconds, from the first byte sent to the last byte
received, of a resource and of the first and the last page of a list, for each noun and for each filter of jobs.
"""

import argparse
import http.client
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import insert, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from benchmarks.endpoint_rows import DEPLOYMENT, FILL_AT_ONCE, endpoint_name, fill_endpoints
from control_plane.resources.endpoints.credentials import key_digest
from control_plane.resources.paging import DEFAULT_PAGE_SIZE
from modelyard.client import Platform
from modelyard.client.platform import DEFAULT_WORKSPACE
from modelyard.core.data_dir import DataDir
from modelyard.core.db.rows import (
    AuditEventRow,
    BatchDeploymentRow,
    BatchEndpointRow,
    GenerationRow,
    JobRow,
    MiniBatchRow,
    ModelRow,
    ModelVersionRow,
)
from modelyard.core.db.unit_of_work import Sessions, open_database, sessions_of, transaction
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.batch import BatchSettings, InputKind
from modelyard.core.domain.caller import CallerKind
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.job_files import DATASTORES, default_output_key, logs_prefix
from modelyard.core.domain.lifecycle import GenerationState, JobState, MiniBatchState, ProvisioningState
from modelyard.core.domain.resource_ids import (
    DEFAULT_RESOURCE_GROUP,
    DEFAULT_SUBSCRIPTION,
    workspace_id,
)
from modelyard.demo.temporary_platform import temporary_folder, temporary_platform
from modelyard.supervisor.postgres import EmbeddedPostgres

_VERSIONS = 10
_BATCH_ENDPOINTS = 20
_TEAMS = 50
_ARCHIVED_OF = 20
"""One job of this number is archived."""
_FAILED_OF, _CANCELED_OF = 50, 100
_MINI_BATCHES = 2
_FIRST_EVENT = 1_000_000
_WORKSPACE = workspace_id(DEFAULT_SUBSCRIPTION, DEFAULT_RESOURCE_GROUP, DEFAULT_WORKSPACE)
_WARM_UP = 10
_SEED = 0


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=300, help="of each kind")
    options = parser.parse_args(arguments)
    # The interpreter of this program may lie in a folder closed to the accounts of model workers.
    settings = {"MODELYARD_WORKER_UIDS": "none", "MODELYARD_SUPERVISOR_ANSWER_SECONDS": "180"}
    with temporary_folder() as folder, temporary_platform(folder, os.environ, settings) as running:
        rows = _Rows(DataDir(folder / "data"), options.models)
        rows.fill(options.endpoints, options.jobs)
        report: dict[str, Any] = {"kernel": platform.release(), "cores": os.cpu_count(), "load": os.getloadavg()}
        report["rows"] = {"endpoints": options.endpoints, "jobs": options.jobs, "models": options.models}
        report["milliseconds"] = {
            name: _measured(running, paths, options.requests)
            for name, paths in _paths(running, options.endpoints, options.jobs, options.models).items()
        }
        report["load_after"] = os.getloadavg()
    print(json.dumps(report, indent=1))


class _Rows:
    def __init__(self, data: DataDir, models: int) -> None:
        self._engine = open_database(EmbeddedPostgres(data).url())
        self._sessions: Sessions = sessions_of(self._engine)
        self._models = models

    def fill(self, endpoints: int, jobs: int) -> None:
        self._model_version = self._fill_models()
        fill_endpoints(self._sessions, 0, endpoints, lambda _: self._generation(GenerationState.FAILED))
        self._fill_batch_endpoints()
        for start in range(0, jobs, FILL_AT_ONCE):
            with transaction(self._sessions) as work:
                numbers = range(start, min(start + FILL_AT_ONCE, jobs))
                work.session.execute(insert(JobRow), [_job(number, jobs) for number in numbers])
                work.session.execute(insert(AuditEventRow), [_event(number) for number in numbers])
        for number in range(_MINI_BATCHES):
            with transaction(self._sessions) as work:
                columns = (MiniBatchRow.job_id, MiniBatchRow.number, MiniBatchRow.state, MiniBatchRow.spans)
                values = (JobRow.id, literal(number), literal(MiniBatchState.COMPLETED.value), literal([], JSONB))
                added = insert(MiniBatchRow).from_select([column.key for column in columns], select(*values))
                work.session.execute(added)
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # As autovacuum does within minutes.
            connection.exec_driver_sql("VACUUM ANALYZE")

    def _fill_models(self) -> int:
        with transaction(self._sessions) as work:
            for number in range(self._models):
                model = ModelRow(workspace_id=1, name=_model_name(number))
                model.versions = [_model_version(version) for version in range(1, _VERSIONS + 1)]
                work.session.add(model)
            work.session.flush()
            return work.session.scalars(select(ModelVersionRow.id).limit(1)).one()

    def _fill_batch_endpoints(self) -> None:
        with transaction(self._sessions) as work:
            for number in range(_BATCH_ENDPOINTS):
                deployment = BatchDeploymentRow(
                    name=DEPLOYMENT,
                    provisioning_state=ProvisioningState.SUCCEEDED,
                    wanted_generation=1,
                    serving_generation=1,
                    settings=BatchSettings().to_dict(),
                )
                deployment.generations = [GenerationRow(number=1, **self._generation(GenerationState.SERVING))]
                endpoint = BatchEndpointRow(
                    workspace_id=1,
                    name=_batch_name(number),
                    auth_mode="AADToken",
                    provisioning_state=ProvisioningState.SUCCEEDED,
                    primary_key_encrypted="",
                    secondary_key_encrypted="",
                    primary_key_digest=key_digest(f"primary of {number}"),
                    secondary_key_digest=key_digest(f"secondary of {number}"),
                    default_deployment=DEPLOYMENT,
                )
                endpoint.deployments = [deployment]
                work.session.add(endpoint)

    def _generation(self, state: GenerationState) -> dict[str, Any]:
        return {
            "state": state,
            "spec": DeploymentSpec(model_id=_model_name(0)).to_dict(),
            "model_version_id": self._model_version,
        }


def _model_name(number: int) -> str:
    return f"model-{number:04d}"


def _batch_name(number: int) -> str:
    return f"batch-{number % _BATCH_ENDPOINTS:02d}"


def _job_name(number: int) -> str:
    return f"job-{number:06d}"


def _model_version(version: int) -> ModelVersionRow:
    return ModelVersionRow(
        version=str(version),
        model_type="mlflow_model",
        model_uri="azureml://datastores/workspaceblobstore/paths/model",
        folder_name="model",
        manifest=[{"path": f"model/{n}", "sha256": f"{n:064x}", "size": n} for n in range(10)],
        manifest_hash="",
        tags={"version": str(version)},
        created_at=datetime.now(UTC) - timedelta(hours=_VERSIONS - version),
    )


def _job(number: int, jobs: int) -> dict[str, Any]:
    """The job of a number. The later numbers are the newer jobs."""
    state = JobState.COMPLETED
    if number % _FAILED_OF == 0:
        state = JobState.CANCELED if number % _CANCELED_OF == 0 else JobState.FAILED
    created = datetime.now(UTC) - timedelta(minutes=jobs - number)
    name = _job_name(number)
    return {
        "workspace_id": 1,
        "name": name,
        "endpoint": _batch_name(number),
        "deployment": DEPLOYMENT,
        "bundle_hash": "b" * 64,
        "lock_hash": "c" * 64,
        "settings": BatchSettings().to_dict(),
        "input_kind": InputKind.URI_FOLDER,
        "input_uri": f"azureml://datastores/workspaceblobstore/paths/rows/{number}/",
        "output_key": default_output_key(DATASTORES, name, "predictions.csv"),
        "logs_prefix": logs_prefix(DATASTORES, name),
        "tags": {"team": f"team-{number % _TEAMS}", "night": str(number // _FAILED_OF), "first": "yes"},
        "properties": {"source": "nightly"},
        "state": state,
        "is_archived": number % _ARCHIVED_OF == 1,
        "files": _MINI_BATCHES,
        "mini_batches": _MINI_BATCHES,
        "rows": 1000,
        "created_at": created,
        "modified_at": created,
        "started_at": created,
        "ended_at": created + timedelta(seconds=30),
    }


def _event(number: int) -> dict[str, Any]:
    """The event of a job's submission, behind the chain of the platform's own events."""
    return {
        "id": _FIRST_EVENT + number,
        "workspace_id": 1,
        "caller": f"user-{number % _TEAMS}",
        "caller_kind": CallerKind.USER,
        "action": AuditAction.SUBMIT,
        "resource_id": f"{_WORKSPACE}/jobs/{_job_name(number)}",
        "to_state": JobState.QUEUED,
        "hash": "",
    }


# Requests.

_Path = Callable[[random.Random], str]


def _paths(running: Platform, endpoints: int, jobs: int, models: int) -> Mapping[str, _Path]:
    """What to ask for, by name: the path of the next request, with random resources."""
    workspace, below = running.workspace_id, DEPLOYMENT
    listed = jobs - len(range(1, jobs, _ARCHIVED_OF))

    def job(random_numbers: random.Random) -> str:
        return _job_name(random_numbers.randrange(jobs))

    def fixed(path: str) -> _Path:
        return lambda _: f"{workspace}/{path}"

    def last(path: str, entries: int) -> _Path:
        return fixed(f"{path}?$skip={max(0, entries - DEFAULT_PAGE_SIZE)}")

    def one(path: Callable[[random.Random], str]) -> _Path:
        return lambda random_numbers: f"{workspace}/{path(random_numbers)}"

    history = f"/history/v1.0{workspace}"
    batch = f"batchEndpoints/{_batch_name(0)}"
    return {
        "online endpoint": one(lambda r: f"onlineEndpoints/{endpoint_name(r.randrange(endpoints))}"),
        "online endpoints": fixed("onlineEndpoints"),
        "online endpoints, last page": last("onlineEndpoints", endpoints),
        "online deployment": one(
            lambda r: f"onlineEndpoints/{endpoint_name(r.randrange(endpoints))}/deployments/{below}"
        ),
        "online deployments": one(lambda r: f"onlineEndpoints/{endpoint_name(r.randrange(endpoints))}/deployments"),
        "batch endpoint": one(lambda r: f"batchEndpoints/{_batch_name(r.randrange(_BATCH_ENDPOINTS))}"),
        "batch endpoints": fixed("batchEndpoints"),
        "batch deployment": one(
            lambda r: f"batchEndpoints/{_batch_name(r.randrange(_BATCH_ENDPOINTS))}/deployments/{below}"
        ),
        "batch deployments": fixed(f"{batch}/deployments"),
        "model": one(lambda r: f"models/{_model_name(r.randrange(models))}"),
        "models": fixed("models"),
        "models, last page": last("models", models),
        "model version": one(lambda r: f"models/{_model_name(r.randrange(models))}/versions/{r.randint(1, _VERSIONS)}"),
        "model versions": one(lambda r: f"models/{_model_name(r.randrange(models))}/versions"),
        "job": one(lambda r: f"jobs/{job(r)}"),
        "run": lambda r: f"{history}/runs/{job(r)}",
        "run, details": lambda r: f"{history}/runs/{job(r)}/details",
        "jobs": fixed("jobs"),
        "jobs, middle page": last("jobs", listed // 2),
        "jobs, last page": last("jobs", listed),
        "jobs, archived": fixed("jobs?listViewType=ArchivedOnly"),
        "jobs, archived and active": fixed("jobs?listViewType=All"),
        **{f"jobs, {unquote(query)}": fixed(f"jobs?{query}") for query in _FILTERS},
        "jobs, status=Completed, last page": fixed(f"jobs?status=Completed&$skip={listed - jobs // _FAILED_OF - 100}"),
        "jobs, one night": one(lambda r: f"jobs?tag={quote(f'night={r.randrange(jobs // _FAILED_OF)}')}"),
        "jobs of an endpoint": fixed(f"{batch}/jobs"),
        "jobs of a deployment": fixed(f"{batch}/deployments/{below}/jobs"),
        "jobs of an unknown deployment": fixed(f"{batch}/deployments/unknown/jobs"),
        "jobs of an endpoint, as the SDK": lambda _: f"/mferp/managementfrontend{workspace}/{batch}/jobs",
        "built environments": fixed("builtEnvironments"),
        "events": fixed("events"),
        "events, last page": last("events", jobs),
        "events of a caller": one(lambda r: f"events?caller=user-{r.randrange(_TEAMS)}"),
        "events of an unknown caller": fixed("events?caller=unknown"),
        "events of a job": one(lambda r: f"events?resource={quote(f'jobs/{job(r)}')}"),
        "workspace": lambda _: workspace,
    }


_FILTERS = (
    "status=Completed",
    "status=Failed",
    "status=Canceled",
    "status=Running",
    "tag=first",
    "tag=unknown",
    f"tag={quote('team=team-7')}",
    f"tag={quote('team=unknown')}",
    f"tag={quote('team=team-7')}&status=Failed",
    f"endpoint={_batch_name(3)}",
    f"deployment={DEPLOYMENT}",
    "deployment=unknown",
)


def _measured(running: Platform, path: _Path, requests: int) -> Mapping[str, float]:
    client = _Client(running)
    answers = list(client.ask(path, _WARM_UP + requests))[_WARM_UP:]
    milliseconds = [1e3 * seconds for seconds, _ in answers]
    return {
        "p50": round(statistics.median(milliseconds), 1),
        "p99": round(_percentile(milliseconds, 99), 1),
        "entries": _entries(answers[-1][1]),
    }


class _Client:
    """One connection that stays open, and no second request before the answer of the first."""

    def __init__(self, running: Platform) -> None:
        self._address = urlsplit(running.url).netloc
        self._headers = {"Authorization": f"Bearer {running.token}"}
        self._random = random.Random(_SEED)

    def ask(self, path: _Path, requests: int) -> Iterator[tuple[float, bytes]]:
        """Seconds and body of each answer. Raises ValueError for an answer that is not a 200."""
        connection = http.client.HTTPConnection(self._address)
        for _ in range(requests):
            target = path(self._random)
            target += f"{'&' if '?' in target else '?'}api-version=2024-10-01"
            started = time.perf_counter()
            connection.request("GET", target, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
            seconds = time.perf_counter() - started
            if answer.status != http.HTTPStatus.OK:
                raise ValueError(f"{target}: {answer.status} {body[:500]!r}")
            yield seconds, body
        connection.close()


def _entries(body: bytes) -> int:
    """Length of a list. 1: a resource."""
    document = json.loads(body)
    return len(document["value"]) if isinstance(document.get("value"), list) else 1


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


if __name__ == "__main__":
    main(sys.argv[1:])
