"""The cells of two public notebooks of Azure ML, written anew: only the names of the workspace and the model differ."""

import json
import random
import string

import pytest
from azure.ai.ml import Input
from azure.ai.ml.constants import AssetTypes, BatchDeploymentOutputAction
from azure.ai.ml.entities import (
    AmlCompute,
    BatchEndpoint,
    Data,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
)


def random_suffix() -> str:
    return "".join(random.choice(string.ascii_lowercase) for _ in range(5))


def test_notebook_of_an_mlflow_model_online(ml, inputs):
    ml_client = ml
    # Register the model.
    model = ml_client.models.create_or_update(
        Model(path=inputs / "linear", name="notebook-linear", type=AssetTypes.MLFLOW_MODEL)
    )
    # Create the endpoint and a deployment without a scoring script.
    endpoint_name = f"linear-{random_suffix()}"
    endpoint = ManagedOnlineEndpoint(
        name=endpoint_name, description="An endpoint of an MLflow model", auth_mode="key", tags={"foo": "bar"}
    )
    ml_client.begin_create_or_update(endpoint).result()
    blue_deployment = ManagedOnlineDeployment(
        name="blue", endpoint_name=endpoint_name, model=model, instance_type="Standard_F4s_v2", instance_count=1
    )
    ml_client.online_deployments.begin_create_or_update(blue_deployment).result()
    endpoint.traffic = {"blue": 100}
    ml_client.begin_create_or_update(endpoint).result()
    # Score.
    answer = ml_client.online_endpoints.invoke(
        endpoint_name=endpoint_name, deployment_name="blue", request_file=inputs / "rows.json"
    )
    assert json.loads(answer) == pytest.approx(json.loads((inputs / "expected.json").read_text()))
    assert ml_client.online_endpoints.get(name=endpoint_name).scoring_uri
    assert ml_client.online_deployments.get_logs(name="blue", endpoint_name=endpoint_name, lines=50)
    ml_client.online_endpoints.begin_delete(name=endpoint_name).result()


def test_notebook_of_a_tabular_mlflow_model_in_batch(ml, inputs, tmp_path):
    ml_client = ml
    model_name = "notebook-tabular"
    ml_client.models.create_or_update(Model(name=model_name, path=inputs / "linear", type=AssetTypes.MLFLOW_MODEL))
    model = ml_client.models.get(name=model_name, label="latest")
    # Create the endpoint and the compute.
    endpoint_name = f"tabular-{random_suffix()}"
    endpoint = BatchEndpoint(name=endpoint_name, description="A batch endpoint", tags={"type": "tabular"})
    ml_client.begin_create_or_update(endpoint).result()
    compute_name = "notebook-cluster"
    if not any(filter(lambda m: m.name == compute_name, ml_client.compute.list())):
        compute_cluster = AmlCompute(name=compute_name, description="CPU cluster", min_instances=0, max_instances=2)
        ml_client.begin_create_or_update(compute_cluster).result()
    # Create the deployment, the endpoint's default.
    deployment = ModelBatchDeployment(
        name="classifier-mlflow",
        description="A model of rows",
        endpoint_name=endpoint.name,
        model=model,
        compute=compute_name,
        settings=ModelBatchDeploymentSettings(
            instance_count=2,
            max_concurrency_per_instance=2,
            mini_batch_size=2,
            output_action=BatchDeploymentOutputAction.APPEND_ROW,
            output_file_name="predictions.csv",
            logging_level="info",
        ),
    )
    ml_client.batch_deployments.begin_create_or_update(deployment).result()
    endpoint = ml_client.batch_endpoints.get(endpoint.name)
    endpoint.defaults.deployment_name = deployment.name
    ml_client.batch_endpoints.begin_create_or_update(endpoint).result()
    # Score a data asset.
    data_asset = Data(path=str(inputs / "rows"), type=AssetTypes.URI_FOLDER, name="notebook-rows")
    ml_client.data.create_or_update(data_asset)
    rows = ml_client.data.get(name="notebook-rows", label="latest")
    job = ml_client.batch_endpoints.invoke(
        endpoint_name=endpoint.name, input=Input(type=AssetTypes.URI_FOLDER, path=rows.id)
    )
    ml_client.jobs.get(job.name)
    ml_client.jobs.stream(name=job.name)
    # Read the predictions of the child job.
    scoring_job = list(ml_client.jobs.list(parent_job_name=job.name))[0]  # noqa: RUF015 - the notebook's cell
    ml_client.jobs.download(name=scoring_job.name, download_path=tmp_path, output_name="score")
    predictions = (tmp_path / "named-outputs" / "score" / "predictions.csv").read_text().splitlines()
    assert len(predictions) == int((inputs / "row_count").read_text())
    ml_client.batch_endpoints.begin_delete(endpoint_name).result()
