"""From a model folder to an authenticated endpoint, with the command line only."""

import json

import pytest
import yaml

from tests.e2e.models import ROWS, answering, linear_model, save_loader, write_json

SPLIT = {"input_data": {"columns": ["x", "y", "n"], "data": [[1.0, 0.5, 1], [2.0, 0.25, 2]]}}


class TestEndpoint:
    def test_answer_equals_the_predictions_of_the_model(self, platform, tour):
        answer = platform.score(tour, SPLIT)
        assert answer.status_code == 200
        assert answer.json() == pytest.approx(linear_model().predict(ROWS.head(2)).tolist(), rel=1e-12)

    def test_columns_are_matched_by_name_and_extra_columns_ignored(self, platform, tour):
        body = {"input_data": {"columns": ["n", "other", "y", "x"], "data": [[1, "z", 0.5, 1.0], [2, "z", 0.25, 2.0]]}}
        assert platform.score(tour, body).json() == platform.score(tour, SPLIT).json()

    def test_list_of_rows_takes_its_columns_from_the_signature(self, platform, tour):
        answer = platform.score(tour, {"input_data": [[1.0, 0.5, 1], [2.0, 0.25, 2]]})
        assert answer.json() == platform.score(tour, SPLIT).json()

    def test_refusal_lists_every_violation_of_the_signature(self, platform, tour):
        answer = platform.score(tour, {"input_data": {"columns": ["x", "n"], "data": [["a", 1.5], [2.0, 1]]}})
        assert answer.status_code == 400
        assert {violation["target"] for violation in answer.json()["error"]["details"]} == {"x", "y", "n"}

    def test_wrong_key_is_answered_401(self, platform, tour):
        assert platform.score(tour, SPLIT, key="wrong").status_code == 401

    def test_regenerated_key_replaces_the_old_key(self, platform, tour):
        old = platform.key(tour)
        platform.cli("online-endpoint", "regenerate-keys", "-n", tour, "--key-type", "primary")
        assert platform.score(tour, SPLIT, key=old).status_code == 401
        assert platform.score(tour, SPLIT).status_code == 200

    def test_show_script_prints_the_scoring_script(self, platform, tour):
        deployment = platform.list(f"/onlineEndpoints/{tour}/deployments")[0]["name"]
        script = platform.cli("online-deployment", "show-script", "-e", tour, "-n", deployment).stdout
        assert "def init(" in script
        assert "def run(" in script
        compile(script, "score.py", "exec")

    def test_get_logs_prints_the_build_log_and_the_model_output(self, platform, tour):
        deployment = platform.list(f"/onlineEndpoints/{tour}/deployments")[0]["name"]
        name = ("-e", tour, "-n", deployment)
        build = platform.cli("online-deployment", "get-logs", *name, "--container", "storage-initializer").stdout
        output = platform.cli("online-deployment", "get-logs", *name).stdout
        assert "scikit-learn==1.9.1" in build
        assert "ready" in output.lower()


def test_yaml_files_of_az_ml_deploy_unchanged_and_a_known_environment_is_not_built_again(
    platform, tour, sklearn_folder, tmp_path
):
    environments = platform.list("/builtEnvironments")
    schema = "https://azuremlschemas.azureedge.net/latest/managedOnlineEndpoint.schema.json"
    endpoint = tmp_path / "endpoint.yml"
    endpoint.write_text(yaml.safe_dump({"$schema": schema, "name": "from-yaml", "auth_mode": "key"}))
    deployment = tmp_path / "deployment.yml"
    (tmp_path / "sub").symlink_to(sklearn_folder)
    deployment.write_text(
        yaml.safe_dump(
            {
                "$schema": schema.replace("Endpoint", "Deployment"),
                "name": "blue",
                "endpoint_name": "from-yaml",
                "model": {"name": "linear", "version": 2, "path": "sub", "type": "mlflow_model"},
                "instance_type": "Standard_DS3_v2",
                "instance_count": 1,
            }
        )
    )
    platform.cli("online-endpoint", "create", "-f", endpoint)
    platform.cli("online-deployment", "create", "-f", deployment, "--all-traffic")
    request = write_json(tmp_path / "request.json", SPLIT)
    answer = platform.cli("online-endpoint", "invoke", "-n", "from-yaml", "--request-file", request).stdout
    assert json.loads(answer) == pytest.approx(linear_model().predict(ROWS.head(2)).tolist(), rel=1e-12)
    after = platform.list("/builtEnvironments")
    assert [each["folder"] for each in after] == [each["folder"] for each in environments]


def test_deployments_with_conflicting_requirements_serve_at_once(platform, tmp_path):
    answer = answering("[pandas.__version__, '%d.%d' % sys.version_info[:2]]", before="import sys, pandas")
    # Most models of these tests share the environment of the newer one.
    packages = {"older": ("3.9", ("pandas==1.5.3", "numpy==1.23.5")), "newer": ("3.11", ("pandas", "numpy"))}
    for name, (python, pip) in packages.items():
        folder = save_loader(tmp_path / name, answer, python=python, pip=pip)
        platform.cli("deploy", folder, "--endpoint-name", name)
    assert platform.score("older", {"input_data": [1]}).json() == ["1.5.3", "3.9"]
    pandas, python = platform.score("newer", {"input_data": [1]}).json()
    assert int(pandas.partition(".")[0]) >= 2
    assert python == "3.11"


class TestFailure:
    def test_model_that_raises_at_load_fails_the_deployment_with_the_model_error(self, platform, tmp_path):
        broken = answering("None", before="raise RuntimeError('the weights are damaged')")
        done = platform.cli("deploy", save_loader(tmp_path / "m", broken), "--endpoint-name", "broken", check=False)
        assert done.returncode == 1
        assert "the weights are damaged" in done.stderr
        assert not list(platform.workers_of("broken"))

    def test_model_that_ends_its_process_at_load_fails_the_deployment_with_the_exit_code(self, platform, tmp_path):
        broken = answering("None", before="import os; os._exit(9)")
        done = platform.cli("deploy", save_loader(tmp_path / "m", broken), "--endpoint-name", "leaver", check=False)
        assert done.returncode == 1
        assert "9" in done.stderr

    def test_model_that_raises_on_a_request_is_answered_424_and_serves_the_next_request(self, platform, tmp_path):
        picky = answering("[1 / int(model_input[0])]")
        platform.cli("deploy", save_loader(tmp_path / "m", picky), "--endpoint-name", "picky")
        refused = platform.score("picky", {"input_data": [0]})
        assert refused.status_code == 424
        assert refused.headers["ms-azureml-model-error-reason"] == "model_error"
        assert platform.score("picky", {"input_data": [4]}).json() == [0.25]

    def test_unsatisfiable_requirements_fail_with_the_resolver_sentence_and_the_lines(self, platform, tmp_path):
        folder = save_loader(tmp_path / "m", answering("1"), pip=("numpy==1.26.4", "numpy==2.0.0"))
        done = platform.cli("deploy", folder, "--endpoint-name", "unsolvable", check=False)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            "error: Because you require numpy==1.26.4 and numpy==2.0.0, "
            "we can conclude that your requirements are unsatisfiable. "
            "Lines to change: numpy==1.26.4 is conda.yaml, line 6; numpy==2.0.0 is conda.yaml, line 7."
        )

    def test_failed_update_leaves_the_earlier_generation_serving(self, platform, tmp_path):
        platform.cli("deploy", save_loader(tmp_path / "good", answering("['good']")), "--endpoint-name", "updated")
        broken = answering("['bad']", before="raise RuntimeError('no longer loads')")
        done = platform.cli("deploy", save_loader(tmp_path / "bad", broken), "--endpoint-name", "updated", check=False)
        assert "no longer loads" in done.stderr
        assert platform.score("updated", {"input_data": [1]}).json() == ["good"]
        deployment = platform.list("/onlineEndpoints/updated/deployments")[0]
        assert deployment["properties"]["provisioningState"] == "Failed"
