"""Batch endpoints, deployments and jobs by public calls of the Azure SDK."""

from contextlib import suppress

import pytest
from azure.ai.ml import Input
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import (
    BatchRetrySettings,
    Data,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError


@pytest.fixture(scope="module")
def endpoint(ml, make_batch_endpoint, inputs):
    """An endpoint with the deployment `scores`, of a model in a local folder."""
    name = make_batch_endpoint("batch", description="nightly")
    ml.batch_deployments.begin_create_or_update(
        ModelBatchDeployment(
            name="scores",
            endpoint_name=name,
            model=Model(path=inputs / "linear", type=AssetTypes.MLFLOW_MODEL),
            compute="cpu-cluster",
            settings=ModelBatchDeploymentSettings(
                instance_count=1,
                max_concurrency_per_instance=1,
                mini_batch_size=10,
                error_threshold=0,
                output_file_name="predictions.csv",
                retry_settings=BatchRetrySettings(max_retries=2, timeout=60),
            ),
        )
    ).result()
    wanted = ml.batch_endpoints.get(name)
    wanted.defaults.deployment_name = "scores"
    ml.batch_endpoints.begin_create_or_update(wanted).result()
    return name


@pytest.fixture(scope="module")
def finished(ml, endpoint, inputs):
    """Name of a completed job over a local folder."""
    job = ml.batch_endpoints.invoke(
        endpoint_name=endpoint, input=Input(type=AssetTypes.URI_FOLDER, path=str(inputs / "rows"))
    )
    ml.jobs.stream(job.name)
    return job.name


def test_endpoint_and_deployment_are_read_and_listed(ml, endpoint):
    assert ml.batch_endpoints.get(endpoint).defaults.deployment_name == "scores"
    assert endpoint in {each.name for each in ml.batch_endpoints.list()}
    assert ml.batch_deployments.get("scores", endpoint).output_file_name == "predictions.csv"
    assert [each.name for each in ml.batch_deployments.list(endpoint)] == ["scores"]


def test_streamed_job_has_completed(ml, finished):
    assert ml.jobs.get(finished).status == "Completed"


def test_predictions_are_downloaded(ml, finished, inputs, tmp_path):
    ml.jobs.download(name=finished, output_name="score", download_path=tmp_path)
    (predictions,) = tmp_path.rglob("predictions.csv")
    assert len(predictions.read_text().splitlines()) == int((inputs / "row_count").read_text())


def test_job_is_among_the_jobs_of_endpoint_deployment_and_workspace(ml, endpoint, finished):
    assert finished in {job.name for job in ml.batch_endpoints.list_jobs(endpoint)}
    assert finished in {job.name for job in ml.batch_deployments.list_jobs(endpoint, name="scores")}
    assert finished in {job.name for job in ml.jobs.list()}


def test_child_run_of_a_job_is_listed_and_read(ml, finished):
    (child,) = ml.jobs.list(parent_job_name=finished)
    assert ml.jobs.get(child.name).status == "Completed"


def test_archived_job_leaves_the_list_and_returns(ml, finished):
    ml.jobs.archive(finished)
    assert finished not in {job.name for job in ml.jobs.list()}
    ml.jobs.restore(finished)
    assert finished in {job.name for job in ml.jobs.list()}


def test_registered_data_is_scored_by_the_named_deployment(ml, endpoint, inputs, release):
    data = ml.data.create_or_update(
        Data(name=f"batch-{release}", path=inputs / "rows" / "a.csv", type=AssetTypes.URI_FILE)
    )
    by_id = ml.batch_endpoints.invoke(
        endpoint_name=endpoint, deployment_name="scores", input=Input(type=AssetTypes.URI_FILE, path=data.id)
    )
    by_path = ml.batch_endpoints.invoke(
        endpoint_name=endpoint, deployment_name="scores", input=Input(type=AssetTypes.URI_FILE, path=data.path)
    )
    for job in (by_id, by_path):
        ml.jobs.stream(job.name)
        assert ml.jobs.get(job.name).status == "Completed"


def test_failed_job_raises_from_stream_with_its_reason(ml, endpoint, inputs):
    job = ml.batch_endpoints.invoke(
        endpoint_name=endpoint, input=Input(type=AssetTypes.URI_FOLDER, path=str(inputs / "wrong_rows"))
    )
    with pytest.raises(Exception, match="missing required column"):
        ml.jobs.stream(job.name)


def test_job_is_canceled(ml, endpoint, inputs):
    job = ml.batch_endpoints.invoke(
        endpoint_name=endpoint, input=Input(type=AssetTypes.URI_FOLDER, path=str(inputs / "rows"))
    )
    # The job may end before the request arrives.
    with suppress(HttpResponseError):
        ml.jobs.begin_cancel(job.name).result()
    assert ml.jobs.get(job.name).status in {"CancelRequested", "Canceled", "Completed"}


def test_absent_input_is_refused(ml, endpoint):
    with pytest.raises(Exception, match="there is no folder"):
        ml.batch_endpoints.invoke(
            endpoint_name=endpoint,
            input=Input(type=AssetTypes.URI_FOLDER, path="azureml://datastores/workspaceblobstore/paths/absent/"),
        )


def test_unknown_job_is_not_found(ml):
    with pytest.raises(ResourceNotFoundError):
        ml.jobs.get("absent")
