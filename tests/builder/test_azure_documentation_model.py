"""Build the conda.yaml of Azure's documentation, and score a model logged in the environment."""

import json
import subprocess
from pathlib import Path

import pytest

from builder.build_run import BuildLog
from builder.environment_files.plan import plan_environment
from builder.import_check import modules_to_import
from builder.scoring_script.generate import ScriptSubject, generate_scoring_script
from builder.wheels.wheel_store import WheelStore
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.domain.mlmodel import parse_mlmodel
from modelyard.core.environments.folder import BuiltEnvironment
from tests.builder.conftest import WORKER_USER, Recorder, build, versions
from tests.builder.machines import distributions, files, other_machine

CONDA = """\
channels:
- conda-forge
dependencies:
- python=3.10.11
- pip<=23.1.2
- pip:
  - mlflow==2.7.1
  - cloudpickle==1.6.0
  - dataclasses==0.6
  - lz4==4.0.0
  - numpy==1.23.5
  - packaging==23.0
  - psutil==5.9.0
  - pyyaml==6.0
  - scikit-learn==1.1.2
  - scipy==1.10.1
  - uuid==1.30
name: mlflow-env
"""

# Python 3.8 and MLflow 1; the conda.yaml lists no mlflow.
OLD_CONDA = "dependencies:\n- python=3.8.5\n- pip:\n  - scikit-learn==1.0.2\n  - scipy==1.7.3\n"
OLD_MLMODEL = """\
flavors:
  python_function: {env: conda.yaml, loader_module: mlflow.sklearn, python_version: 3.8.5}
  sklearn: {sklearn_version: 1.0.2}
mlflow_version: 1.30.0
utc_time_created: '2022-10-20 10:00:00.000000'
"""
MLMODEL = OLD_MLMODEL.replace("1.30.0", "2.7.1").replace("2022", "2023")

_TRAIN = """
import sys, mlflow.sklearn, numpy, pandas
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
frame = pandas.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
model = LogisticRegression().fit(frame, [0, 0, 1, 1])
options = {"pyfunc_predict_fn": sys.argv[2]} if len(sys.argv) > 2 else {}
options["pip_requirements"] = ["scikit-learn"]
mlflow.sklearn.save_model(model, sys.argv[1], signature=infer_signature(frame, model.predict(frame)), **options)
"""

_SCORE = """
import json, os, sys, pandas
sys.path.insert(0, sys.argv[1])
import score, mlflow.pyfunc
os.environ["AZUREML_MODEL_DIR"] = sys.argv[2]
score.init()
frame = pandas.DataFrame({"a": [0.5, 2.5], "b": [1.0, 0.0]})
body = {"input_data": {"columns": ["a", "b"], "index": [0, 1], "data": [[0.5, 1.0], [2.5, 0.0]]}}
print(json.dumps({
    "mlflow": score.mlflow.__version__,
    "run": score.run(frame).tolist(),
    "body": score.run(json.dumps(body)),
    "pyfunc": mlflow.pyfunc.load_model(os.path.join(sys.argv[2], score.MODEL_FOLDER)).predict(frame).tolist(),
    "direct": score.predict != score.model.predict,
}))
"""


def built(toolchain, folder: Path, files: dict[str, str]) -> tuple[BuiltEnvironment, Recorder]:
    for name, text in files.items():
        (folder / name).write_text(text)
    mlmodel, progress = parse_mlmodel((folder / "MLmodel").read_bytes()), Recorder()
    plan = plan_environment(folder, mlmodel, toolchain.plan_rules())
    progress.lines += plan.notes
    modules = modules_to_import(mlmodel)
    return build(toolchain, plan.spec, progress, modules=modules, model_created_at=mlmodel.created_at), progress


@pytest.fixture(scope="module")
def documented(toolchain, tmp_path_factory):
    return built(toolchain, tmp_path_factory.mktemp("documented"), {"conda.yaml": CONDA, "MLmodel": MLMODEL})


@pytest.fixture(scope="module")
def old(toolchain, tmp_path_factory):
    return built(toolchain, tmp_path_factory.mktemp("old"), {"conda.yaml": OLD_CONDA, "MLmodel": OLD_MLMODEL})


def scored(environment: BuiltEnvironment, folder: Path, *train_options: str) -> dict:
    """Train and save a model in the environment, then score with the generated script."""
    run(environment, _TRAIN, folder / "registered", *train_options)
    mlmodel = parse_mlmodel((folder / "registered" / "MLmodel").read_bytes())
    script = generate_scoring_script(ScriptSubject("mine", "1", "registered", mlmodel))
    (folder / "bundle").mkdir()
    (folder / "bundle" / "score.py").write_text(script)
    return json.loads(run(environment, _SCORE, folder / "bundle", folder).splitlines()[-1])


def run(environment: BuiltEnvironment, program: str, *arguments: str | Path) -> str:
    command = [environment.python, "-W", "ignore", "-c", program, *arguments]
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=variables, cwd="/").stdout


_PREDICT = """
import mlflow.pyfunc, pandas, sys
print(mlflow.pyfunc.load_model(sys.argv[1]).predict(pandas.DataFrame({"a": [0.5, 2.5], "b": [1.0, 0.0]})).tolist())
"""


@pytest.mark.long
def test_documented_environment_restored_without_an_index_predicts_the_same(
    documented, toolchain, passable_folder, session_data_dir, tmp_path
):
    environment, _ = documented
    objects = FolderStore(passable_folder / "objects")
    with WheelStore(objects, work=toolchain.work, fetched=toolchain.wheels).packing(environment, BuildLog(print)):
        pass
    again = other_machine(passable_folder, session_data_dir).restore(environment.lock.digest)
    assert distributions(again) == distributions(environment)
    assert files(again) == files(environment)
    run(environment, _TRAIN, tmp_path / "model")
    assert run(again, _PREDICT, tmp_path / "model") == run(environment, _PREDICT, tmp_path / "model")


@pytest.mark.long
class TestDocumentedEnvironment:
    def test_pinned_versions_are_installed_unchanged(self, documented, toolchain):
        environment, progress = documented
        expected = {"mlflow": "2.7.1", "numpy": "1.23.5", "scikit-learn": "1.1.2", "uuid": "1.30"}
        assert expected.items() <= versions(toolchain, environment).items()
        assert environment.lock.python.startswith("3.10.")
        assert "pip<=23.1.2 is ignored" in progress.log

    def test_setuptools_that_mlflow_2_7_needs_is_added(self, documented, toolchain):
        environment, progress = documented
        assert int(versions(toolchain, environment)["setuptools"].partition(".")[0]) < 81
        assert "added setuptools<81: MLflow 2.7.1 imports pkg_resources" in progress.log

    def test_worker_user_imports_mlflow_beside_a_package_that_shadows_uuid(self, documented):
        environment, _ = documented
        answer = subprocess.run(
            [environment.python, "-W", "ignore", "-c", "import mlflow.sklearn, uuid; uuid.uuid4()"],
            check=False,
            env={"HOME": "/nonexistent"},
            cwd="/",
            user=WORKER_USER,
            group=WORKER_USER,
            capture_output=True,
        )
        assert answer.returncode == 0, answer.stderr

    def test_generated_script_predicts_as_the_model_does(self, documented, tmp_path):
        answers = scored(documented[0], tmp_path)
        assert answers == {"mlflow": "2.7.1", "run": [0, 1], "body": [0, 1], "pyfunc": [0, 1], "direct": True}

    def test_generated_script_calls_the_logged_predict_function(self, documented, tmp_path):
        answers = scored(documented[0], tmp_path, "predict_proba")
        assert len(answers["run"][0]) == 2
        assert answers["run"] == answers["pyfunc"] == answers["body"]
        assert answers["direct"]


class TestMlflow1OnPython38:
    def test_mlflow_skinny_of_the_model_version_is_added(self, old, toolchain):
        environment, progress = old
        assert versions(toolchain, environment)["mlflow-skinny"] == "1.30.0"
        assert environment.lock.python.startswith("3.8.")
        assert "added mlflow-skinny==1.30.0" in progress.log

    def test_generated_script_predicts_as_the_model_does(self, old, tmp_path):
        answers = scored(old[0], tmp_path)
        assert answers["mlflow"] == "1.30.0"
        assert answers["run"] == answers["pyfunc"] == answers["body"] == [0, 1]
        assert answers["direct"]
