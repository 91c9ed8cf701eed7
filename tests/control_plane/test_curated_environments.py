"""Environments that this platform builds from another description: of an image alone, and of Azure's curated names."""

from typing import Any

import pytest
from sqlalchemy import select

from builder.environment_files.conda_file import parse_conda_file
from control_plane.resources.environments.curated import CuratedEnvironments
from modelyard.core.db.rows import GenerationRow
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.errors import InvalidSetting
from tests.control_plane.control import WORKSPACE, Control, error_of

CONDA = "dependencies: [python=3.11]"
URI = "azureml://registries/azureml/environments/sklearn-1.5/labels/latest"


class TestImageOnly:
    @pytest.fixture
    def environment(self, control):
        """As Azure's SDK registers `Environment(image=…, inference_config=…)`."""
        route = {"path": "/", "port": 5001}
        inference = {"livenessRoute": route, "readinessRoute": route, "scoringRoute": route}
        properties = {
            "image": "docker.io/a/b:1",
            "inferenceConfig": inference,
            "isAnonymous": False,
            "isArchived": False,
        }
        answer = control.ask("PUT", "/environments/image/versions/1", {"properties": properties})
        assert answer.status_code == 201
        assert "properties.inferenceConfig has no effect" in answer.headers["Warning"]
        return answer.json()

    def test_image_is_registered_and_returned(self, control, environment):
        assert environment["properties"]["image"] == "docker.io/a/b:1"
        assert "condaFile" not in environment["properties"]
        path = "/environments/image/versions/1"
        assert control.put(path, environment, 200)["properties"] == environment["properties"]
        for other in ({"image": "docker.io/a/b:2"}, {"condaFile": CONDA}):
            error_of(control.ask("PUT", path, {"properties": other}), 409)

    def test_deployment_that_needs_the_packages_is_400(self, control, environment):
        model = control.register()
        online = {"properties": {"model": model, "environmentId": environment["id"]}}
        batch = {"properties": {"model": {"assetId": model}, "environmentId": "azureml:image@latest"}}
        for path, body in ((control.endpoint(), online), (control.batch_endpoint(), batch)):
            error = error_of(control.ask("PUT", f"{path}/deployments/blue", body), 400)
            assert (error["code"], error["target"]) == ("InvalidEnvironment", "properties.environmentId")
            assert "has an image and no condaFile" in error["message"]


def deploy(control: Control, environment: str, expected: int = 201) -> Any:
    body = {"properties": {"model": control.register(), "environmentId": environment}}
    answer = control.ask("PUT", f"{control.endpoint()}/deployments/blue", body)
    assert answer.status_code == expected, answer.text
    return answer.json()


def conda_files(control: Control) -> list[str | None]:
    """The curated specification of each generation."""
    with control.sessions() as session:
        rows = session.scalars(select(GenerationRow).order_by(GenerationRow.id)).all()
        return [DeploymentSpec.from_dict(row.spec).curated_conda_file for row in rows]


class TestCuratedNames:
    @pytest.mark.parametrize(
        "environment",
        [
            URI,
            URI.replace("labels/latest", "versions/12"),
            URI.replace("sklearn", "AzureML-sklearn").replace("azureml:", "AzureML:"),
            "AzureML-sklearn-1.5",
            "azureml:AzureML-sklearn-1.5",
            "azureml:AzureML-sklearn-1.5@latest",
            "azureml:AzureML-sklearn-1.5:12",
        ],
    )
    def test_every_spelling_is_the_specification_of_the_platform(self, control, environment):
        found = deploy(control, environment)
        assert found["properties"]["environmentId"] == URI
        # The SDK sends a deployment back as it was read.
        path = found["id"].removeprefix(WORKSPACE)
        control.build_and_start()
        control.put(path, control.get(path), 200)
        (conda_file,) = conda_files(control)
        assert "scikit-learn==1.5" in (conda_file or "")

    def test_batch_deployment_takes_a_curated_name(self, control):
        path = control.batch_deployment(control.batch_endpoint(), control.register(), environmentId=URI)
        assert control.get(path)["properties"]["environmentId"] == URI

    def test_environment_of_the_workspace_wins_over_the_short_name(self, control):
        own = control.put("/environments/AzureML-sklearn-1.5/versions/3", {"properties": {"condaFile": CONDA}})["id"]
        found = deploy(control, "azureml:AzureML-sklearn-1.5@latest")
        assert found["properties"]["environmentId"] == own
        assert conda_files(control) == [None]

    @pytest.mark.parametrize(
        ("environment", "expected"),
        [
            ("azureml:AzureML-unheard-of@latest", "knows "),
            (URI.replace("sklearn-1.5", "unheard-of"), "sklearn-1.5"),
            ("azureml://registries/other/environments/sklearn-1.5/labels/latest", "reads no registries"),
            ("azureml:AzureML-../x", "not a reference"),
        ],
    )
    def test_unknown_name_is_400(self, control, environment, expected):
        error = deploy(control, environment, 400)["error"]
        assert error["code"] == "ReferencedResourceNotFound"
        assert expected in error["message"]

    def test_every_specification_of_the_platform_is_one_that_builders_read(self):
        for name, text in CuratedEnvironments.load(None).conda_files.items():
            assert parse_conda_file(text, name=name).notes == ()


class TestOperatorsFile:
    """MODELYARD_CURATED_ENVIRONMENTS."""

    def test_names_are_added_and_win(self, make_control, tmp_path):
        file = tmp_path / "curated.yaml"
        file.write_text(
            "sklearn-1.5: |\n  dependencies: [python=3.12]\nAzureML-ours: |\n  dependencies: [python=3.13]\n"
        )
        control = make_control(curated_environments=str(file))
        deploy(control, "AzureML-ours")
        assert conda_files(control) == ["dependencies: [python=3.13]\n"]
        table = CuratedEnvironments.load(str(file)).conda_files
        assert "3.12" in table["sklearn-1.5"]
        assert "sklearn-1.0-ubuntu20.04-py38-cpu" in table

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (None, "cannot be read"),
            (b"a: &a x", "refused"),
            (b"- a", "must map names"),
            (b"a: {dependencies: []}", "must be text"),
            (b"a: b", "'a'"),
        ],
    )
    def test_unreadable_file_is_refused_at_the_start(self, tmp_path, content, expected):
        file = tmp_path / "curated.yaml"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(InvalidSetting, match=expected) as refusal:
            CuratedEnvironments.load(str(file))
        assert "MODELYARD_CURATED_ENVIRONMENTS" in str(refusal.value)
