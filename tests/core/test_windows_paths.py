"""Models logged on Windows: the paths of MLmodel, and the files that MLflow opens."""

import hashlib
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
import pytest

from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.domain.mlmodel import parse_mlmodel
from modelyard.core.domain.model_manifest import ModelFile, ModelManifest
from modelyard.core.domain.windows_paths import check_windows_paths, links_for
from modelyard.core.errors import InvalidModel
from modelyard.core.model_files import materialise

FILES = {
    "MLmodel",
    "conda.yaml",
    "model.pkl",
    "agent.py",
    "code/src/x.py",
    "artifacts/my cfg (1).json",
    "artifacts/a/b.bin",
    "envs/conda.yaml",
    "model/data/weights.bin",
}


def mlmodel(**entries: str) -> bytes:
    lines = [f"    {name}: {value}" for name, value in entries.items()]
    return "\r\n".join(["flavors:", "  python_function:", "    loader_module: mlflow.x", *lines, ""]).encode()


class TestLinks:
    @pytest.mark.parametrize(
        ("entries", "links"),
        [
            ({"data": r"model\data"}, {r"model\data": "model/data"}),
            ({"code": r"code\src"}, {r"code\src": "code/src"}),
            ({"python_model": r".\model.pkl"}, {r".\model.pkl": "model.pkl"}),
            ({"model_path": r"code\..\model.pkl"}, {r"code\..\model.pkl": "model.pkl"}),
            (
                {"artifacts": r"{cfg: {path: 'artifacts\my cfg (1).json', uri: 'C:\cfg'}}"},
                {r"artifacts\my cfg (1).json": "artifacts/my cfg (1).json"},
            ),
            ({"artifacts": r"{cfg: {path: 'artifacts/a\b.bin'}}"}, {r"artifacts/a\b.bin": "artifacts/a/b.bin"}),
            ({"model_code_path": r"C:\Users\me\agent.py"}, {r"C:\Users\me\agent.py": "agent.py"}),
            ({"model_code_path": "C:/Users/me/agent.py"}, {}),
            ({"some_setting": r"^\d+$"}, {}),
            ({"data": "model/data", "code": "null"}, {}),
        ],
    )
    def test_file_that_mlmodel_names_with_backslashes_gets_this_name_too(self, entries, links):
        assert links_for(mlmodel(**entries), FILES) == links
        check_windows_paths(mlmodel(**entries), FILES)

    @pytest.mark.parametrize(
        "text",
        [
            r"..\..\secret",
            r"\\server\share\x",
            r"C:\model\data",
            r"\etc\passwd",
            r"a\..\..\b",
            r"model\gone.bin",
            r"../x\model.pkl",
            "model\\data" + "\\" * 300,
            "'model\\0'",
            r"no/folder\..\..\model.pkl",
        ],
    )
    def test_hostile_or_missing_path_gets_no_link_and_is_refused_with_its_line(self, text):
        content = mlmodel(predict_fn="predict", data=text)
        assert links_for(content, FILES) == {}
        with pytest.raises(InvalidModel, match=r"line 5: flavors\.python_function\.data is .*; write paths relative"):
            check_windows_paths(content, FILES)

    def test_all_lost_paths_are_named_at_once(self):
        content = mlmodel(data=r"D:\a", code=r"code\gone", artifacts=r"{x: {path: 'E:\b'}}")
        with pytest.raises(InvalidModel) as refusal:
            check_windows_paths(content, FILES)
        assert [f"line {number}: " in refusal.value.message for number in (4, 5, 6)] == [True] * 3

    def test_folder_gets_a_thousand_links_at_most(self):
        content = b"flavors:\n  x:\n" + b"".join(b"    k%d: d\\f%d\n" % (n, n) for n in range(3000))
        assert len(links_for(content, {f"d/f{n}" for n in range(3000)})) == 1000


def test_environment_files_and_example_are_named_with_slashes():
    content = mlmodel(env=r"{conda: 'envs\conda.yaml', virtualenv: '.\python_env.yaml'}")
    read = parse_mlmodel(content + rb"saved_input_example_info: {artifact_path: 'x\example.json'}" + b"\r\n")
    assert (read.conda_env, read.python_env, read.input_example) == (
        "envs/conda.yaml",
        "./python_env.yaml",
        "x/example.json",
    )


class Keyed(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.text = Path(context.artifacts["cfg"]).read_text()

    def predict(self, context, model_input, params=None):
        return [self.text] * len(model_input)


FROM_CODE = """\
import mlflow.pyfunc
class Constant(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return ["from code"] * len(model_input)
mlflow.models.set_model(Constant())
"""


def materialised(folder: Path, tmp_path: Path) -> Path:
    """The folder as registered and fetched again by a host."""
    store = FolderStore(tmp_path / "store")
    files = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
        files.append(ModelFile(name, hashlib.sha256(content).hexdigest(), len(content)))
        store.put(files[-1].key, [content])
    (tmp_path / "models").mkdir()
    return materialise(store, ModelManifest.of(files), tmp_path / "models") / folder.name


class TestLoading:
    def test_model_with_an_artifact_of_windows_loads(self, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "my cfg (1).json").write_text("seven")
        artifacts = {"cfg": str(tmp_path / "sub" / "my cfg (1).json")}
        mlflow.pyfunc.save_model(
            tmp_path / "m", python_model=Keyed(), artifacts=artifacts, pip_requirements=["mlflow-skinny"]
        )
        self.write_as_windows(tmp_path / "m", "artifacts/my cfg (1).json", r"artifacts\my cfg (1).json")
        loaded = mlflow.pyfunc.load_model(str(materialised(tmp_path / "m", tmp_path)))
        assert list(loaded.predict(pd.DataFrame({"a": [1]}))) == ["seven"]

    def test_model_from_code_of_windows_loads(self, tmp_path):
        (tmp_path / "agent.py").write_text(FROM_CODE)
        mlflow.pyfunc.save_model(
            tmp_path / "m", python_model=str(tmp_path / "agent.py"), pip_requirements=["mlflow-skinny"]
        )
        self.write_as_windows(tmp_path / "m", str(tmp_path / "agent.py"), r"C:\Users\me\agent.py")
        loaded = mlflow.pyfunc.load_model(str(materialised(tmp_path / "m", tmp_path)))
        assert list(loaded.predict(pd.DataFrame({"a": [1]}))) == ["from code"]

    def write_as_windows(self, folder: Path, path: str, windows: str) -> None:
        file = folder / "MLmodel"
        text = file.read_text()
        assert path in text
        file.write_bytes(text.replace(path, windows).replace("\n", "\r\n").encode())
