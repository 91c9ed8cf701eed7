"""MLmodel files as MLflow 1 to 3 write them, and malformed files."""

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pytest
import yaml
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

from modelyard.core.domain.mlmodel import parse_mlmodel
from modelyard.core.errors import InvalidModel

PYFUNC = {"loader_module": "mlflow.sklearn", "env": "conda.yaml", "python_version": "3.7.11"}


def mlmodel(**more: object) -> bytes:
    return yaml.safe_dump({"flavors": {"python_function": PYFUNC, "sklearn": {}}, **more}).encode()


class TestModelFromMlflow:
    def test_flavor_environment_versions_and_signature_are_read(self, tmp_path):
        features = np.arange(6.0).reshape(3, 2)
        model = LinearRegression().fit(features, [1.0, 2.0, 3.0])
        signature = infer_signature(features, model.predict(features))
        mlflow.sklearn.save_model(
            model,
            tmp_path / "m",
            signature=signature,
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
        read = parse_mlmodel((tmp_path / "m" / "MLmodel").read_bytes())
        assert (read.flavor, read.loader_module, read.conda_env) == ("sklearn", "mlflow.sklearn", "conda.yaml")
        assert read.mlflow_version == mlflow.__version__
        assert '"tensor"' in read.signature.inputs
        assert read.created_at is not None
        assert not read.type_hints

    def test_signature_from_type_hints_is_recognised(self, tmp_path):
        class Shout(mlflow.pyfunc.PythonModel):
            def predict(self, model_input: list[str], params=None):
                return [text.upper() for text in model_input]

        mlflow.pyfunc.save_model(tmp_path / "m", python_model=Shout(), pip_requirements=["mlflow-skinny"])
        assert parse_mlmodel((tmp_path / "m" / "MLmodel").read_bytes()).type_hints

    def test_type_from_example_is_no_type_hint_of_the_input(self):
        read = parse_mlmodel(
            b"flavors: {python_function: {loader_module: mlflow.pyfunc.model}}\n"
            b"is_signature_from_type_hint: false\ntype_hint_from_example: true\n"
        )
        assert (read.type_hints, read.type_from_example) == (False, True)


def test_environment_files_are_found_in_the_forms_of_mlflow_1_and_2():
    assert parse_mlmodel(mlmodel()).conda_env == "conda.yaml"
    both = {**PYFUNC, "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}}
    read = parse_mlmodel(mlmodel(flavors={"python_function": both}))
    assert (read.conda_env, read.python_env) == ("conda.yaml", "python_env.yaml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("version", ["3.10", "'3.10'", '"3.10"'])
def test_python_3_10_without_quotes_is_not_3_1(version, encoding):
    text = f"flavors:\r\n  python_function: {{loader_module: mlflow.sklearn, python_version: {version}}}\r\n"
    assert parse_mlmodel(text.encode(encoding)).python_version == "3.10"


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ("sklearn_version: 1.10", "1.10"),
        ("data_version: 7", 7),
        ("x_version: null", None),
        ("py_version: 1.0.0", "1.0.0"),
    ],
)
def test_version_with_two_numbers_is_kept_as_written(entry, kept):
    content = f"flavors:\n  python_function: {{loader_module: mlflow.sklearn}}\n  sklearn: {{{entry}}}\n".encode()
    assert list(parse_mlmodel(content).flavors["sklearn"].values()) == [kept]


def test_mlflow_2_10_without_quotes_is_not_2_1():
    assert parse_mlmodel(mlmodel() + b"mlflow_version: 2.10\n").mlflow_version == "2.10"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"flavors: [", "not valid YAML"),
        ("flavors: {}".encode("utf-16"), "is UTF-16, which MLflow cannot read; save it as UTF-8"),
        (b"just a text", "not a mapping"),
        (b"run_id: x", "no 'flavors' mapping"),
        (b"flavors: {spark: {}}", "no python_function flavor"),
        (b"flavors: {python_function: {env: conda.yaml}}", "loader_module"),
        (b"flavors: {python_function: {loader_module: 'os; evil()'}}", "loader_module"),
    ],
)
def test_malformed_file_is_refused_with_the_fault(content, says):
    with pytest.raises(InvalidModel, match=says):
        parse_mlmodel(content)
