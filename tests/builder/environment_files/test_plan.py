"""From a model folder to an environment spec."""

from dataclasses import replace

import pytest

from builder.environment_files.plan import EnvironmentPlan, PlanRules, plan_environment, plan_from_conda_file
from builder.errors import InvalidPythonEnvFile, InvalidRequirement, NoEnvironmentFile, PathLeavesModelFolder
from modelyard.core.domain.environment_spec import EnvironmentLock, EnvironmentSpec, LocalFile, PackageSources
from modelyard.core.domain.mlmodel import parse_mlmodel
from tests.builder.conftest import MLMODEL

CONDA = "dependencies:\n- python=3.10.11\n- pip<=23.1.2\n- pip:\n  - mlflow==2.7.1\n  - numpy==1.23.5\n"
PYTHON_ENV = "python: 3.9.1\nbuild_dependencies:\n- pip==23.0\ndependencies:\n- -r requirements.txt\n"


def plan(folder) -> EnvironmentPlan:
    return plan_environment(folder, parse_mlmodel((folder / "MLmodel").read_bytes()), PlanRules())


class TestEnvironmentFile:
    def test_conda_yaml_wins_over_the_other_files(self, model_folder):
        folder = model_folder({"conda.yaml": CONDA, "python_env.yaml": PYTHON_ENV, "requirements.txt": "scipy"})
        spec = plan(folder).spec
        assert (spec.python, spec.asked_patch) == ("3.10", "3.10.11")
        assert spec.requirements == ("mlflow==2.7.1", "numpy==1.23.5", "pandas<3", "setuptools<81")

    def test_python_env_yaml_wins_over_requirements_txt(self, model_folder):
        spec = plan(model_folder({"python_env.yaml": PYTHON_ENV, "requirements.txt": "scipy"})).spec
        assert (spec.python, spec.asked_patch, spec.requirements[0]) == ("3.9", "3.9.1", "scipy")

    def test_requirements_txt_is_used_with_the_python_of_mlmodel(self, model_folder):
        spec = plan(model_folder({"requirements.txt": "scipy"})).spec
        assert (spec.python, spec.asked_patch, spec.requirements[0]) == ("3.10", "3.10.4", "scipy")

    def test_folder_without_environment_file_error_tells_what_to_add(self, model_folder):
        with pytest.raises(NoEnvironmentFile, match=r"add a conda\.yaml"):
            plan(model_folder())

    def test_conda_file_named_by_mlmodel_is_read(self, model_folder):
        mlmodel = MLMODEL.replace("conda: conda.yaml", "conda: envs/mine.yaml")
        folder = model_folder({"envs/mine.yaml": CONDA}, mlmodel=mlmodel)
        assert plan(folder).notes[0] == "environment of envs/mine.yaml, Python 3.10.11"

    def test_env_of_mlflow_1_is_read_as_a_file_name(self, model_folder):
        old = "flavors:\n  python_function:\n    env: other.yaml\n    loader_module: mlflow.sklearn\n"
        assert plan(model_folder({"other.yaml": CONDA}, mlmodel=old)).spec.asked_patch == "3.10.11"

    def test_registered_environment_replaces_the_files_of_the_model(self, model_folder):
        folder = model_folder({"conda.yaml": CONDA})
        mlmodel = parse_mlmodel((folder / "MLmodel").read_bytes())
        made = plan_from_conda_file("dependencies:\n- python=3.12\n", folder, mlmodel, PlanRules())
        assert made.spec.python == "3.12"
        assert made.spec.requirements[0] == "mlflow-skinny==2.7.1"

    @pytest.mark.parametrize("name", ["../conda.yaml", "/etc/passwd"])
    def test_conda_file_outside_the_model_folder_is_refused(self, model_folder, name):
        folder = model_folder(mlmodel=MLMODEL.replace("conda: conda.yaml", f"conda: {name}"))
        (folder.parent / "conda.yaml").write_text(CONDA)
        with pytest.raises(PathLeavesModelFolder):
            plan(folder)

    def test_conda_file_that_links_out_of_the_model_folder_is_refused(self, model_folder):
        folder = model_folder()
        (folder.parent / "conda.yaml").write_text(CONDA)
        (folder / "conda.yaml").symlink_to("../conda.yaml")
        with pytest.raises(PathLeavesModelFolder):
            plan(folder)

    def test_malformed_python_env_file_error_names_the_line(self, model_folder):
        with pytest.raises(InvalidPythonEnvFile, match="line 2: 'dependencies' must be a list"):
            plan(model_folder({"python_env.yaml": "python: 3.10.4\ndependencies: numpy\n"}))


class TestForms:
    """Files under each other's names."""

    REQUIREMENTS = "numpy==1.23.5\nscipy  # as in training\n"

    @pytest.mark.parametrize(
        ("files", "python", "requirement", "form"),
        [
            (
                {"conda.yaml": PYTHON_ENV, "requirements.txt": "scipy"},
                "3.9",
                "scipy",
                "conda.yaml has the form of python_env",
            ),
            ({"conda.yaml": "build_dependencies: [pip]\ndependencies: [scipy]\n"}, "3.10", "scipy", "python_env.yaml"),
            ({"python_env.yaml": CONDA}, "3.10", "mlflow==2.7.1", "python_env.yaml has the form of conda.yaml"),
            ({"conda.yaml": REQUIREMENTS}, "3.10", "numpy==1.23.5", "conda.yaml has the form of requirements.txt"),
            (
                {"conda.yaml": "-r requirements.txt\n", "requirements.txt": "scipy"},
                "3.10",
                "scipy",
                "form of requirements.txt",
            ),
            ({"requirements.txt": CONDA}, "3.10", "mlflow==2.7.1", "requirements.txt has the form of conda.yaml"),
            (
                {"requirements.txt": "python: 3.12\ndependencies:\n- scipy\n"},
                "3.12",
                "scipy",
                "form of python_env.yaml",
            ),
        ],
    )
    def test_file_under_another_name_is_read_by_its_content(self, model_folder, files, python, requirement, form):
        made = plan(model_folder(files))
        assert (made.spec.python, made.spec.requirements[0]) == (python, requirement)
        assert any(form in note for note in made.notes)

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
    def test_files_of_windows_editors_are_read(self, model_folder, encoding):
        folder = model_folder()
        (folder / "conda.yaml").write_bytes(CONDA.replace("\n", "\r\n").encode(encoding))
        assert plan(folder).spec.requirements[:2] == ("mlflow==2.7.1", "numpy==1.23.5")

    def test_requirements_txt_that_mlflow_cannot_read_is_refused(self, model_folder):
        folder = model_folder({"conda.yaml": CONDA})
        (folder / "requirements.txt").write_bytes("numpy\r\n".encode("utf-16"))
        with pytest.raises(
            InvalidRequirement, match="MLflow reads it when the model is loaded; save the file as UTF-8"
        ):
            plan(folder)

    def test_registered_environment_may_have_the_form_of_python_env(self, model_folder):
        mlmodel = parse_mlmodel(MLMODEL.encode())
        made = plan_from_conda_file("python: 3.12\ndependencies:\n- scipy\n", model_folder(), mlmodel, PlanRules())
        assert (made.spec.python, made.spec.requirements[0]) == ("3.12", "scipy")


class TestOrigins:
    def test_requirement_constraint_and_index_have_the_line_of_their_file(self, model_folder):
        index = "https://a.example/simple"
        conda = f"dependencies:\n- pip:\n  - --extra-index-url {index}\n  - -r requirements.txt\n  - -c c.txt\n"
        folder = model_folder({"conda.yaml": conda, "requirements.txt": "# x\nscipy==1.0\n", "c.txt": "six<2\n"})
        origins = plan(folder).spec.origins
        assert origins["scipy==1.0"] == "requirements.txt, line 2"
        assert origins["six<2"] == "c.txt, line 1"
        assert origins[index] == "conda.yaml, line 3"
        assert origins["mlflow-skinny==2.7.1"] == "added by the platform"


class TestNotes:
    def test_file_that_mlmodel_names_and_the_folder_lacks_is_noted(self, model_folder):
        notes = plan(model_folder({"requirements.txt": "scipy"})).notes
        assert notes[1] == "MLmodel names 'conda.yaml', which is not in the model folder; requirements.txt counts"

    def test_ignored_and_added_requirements_are_noted(self, model_folder):
        notes = "\n".join(plan(model_folder({"conda.yaml": CONDA})).notes)
        assert "pip<=23.1.2 is ignored" in notes
        assert "added pandas<3" in notes
        assert "added setuptools<81" in notes


class TestSpecHash:
    SPEC = EnvironmentSpec("3.10", ("numpy",))

    def digest(self, spec: EnvironmentSpec, platform: str = "linux", **machine) -> str:
        return spec.digest(platform=platform, machine_sources=PackageSources(**machine))

    def test_hashes_of_an_earlier_release_still_find_its_environments(self):
        spec = EnvironmentSpec(
            "3.10",
            ("numpy==1.26.4", "pandas<3"),
            asked_patch="3.10.11",
            constraints=("scipy<2",),
            sources=PackageSources(index_url="https://a.example/simple"),
            local_files=(LocalFile("wheels/ours-1.0-py3-none-any.whl", "ab" * 32),),
        )
        lock = EnvironmentLock("numpy==1.26.4 \\\n    --hash=sha256:aa\n", "3.10.13", "linux-x86_64-glibc2.36")
        assert self.digest(spec, "linux-x86_64-glibc2.36", pre=True) == (
            "3934021eace3c5ddc330b667a967885f87473d3c68ef0a513a3b6a6ebb68ca0e"
        )
        assert lock.digest == "ae6fd5b6180c8098dc16f7b05f664009a098ea696328029e1e28980334557b05"

    def test_equal_specs_have_equal_hashes(self):
        assert self.digest(self.SPEC) == self.digest(EnvironmentSpec("3.10", ("numpy",)))

    @pytest.mark.parametrize(
        "change",
        [
            {"python": "3.11"},
            {"asked_patch": "3.10.11"},
            {"requirements": ("numpy<2",)},
            {"constraints": ("numpy<2",)},
            {"sources": PackageSources(pre=True)},
        ],
    )
    def test_changed_spec_has_another_hash(self, change):
        assert self.digest(replace(self.SPEC, **change)) != self.digest(self.SPEC)

    def test_another_platform_or_machine_index_gives_another_hash(self):
        assert self.digest(self.SPEC, platform="darwin") != self.digest(self.SPEC)
        assert self.digest(self.SPEC, index_url="https://a.example") != self.digest(self.SPEC)

    def test_model_options_win_over_machine_options_as_in_pip(self):
        mine = PackageSources(index_url="https://mine.example", extra_index_urls=("https://c.example",))
        machine = PackageSources(index_url="https://corp.example", extra_index_urls=("https://b.example",))
        both = mine.over(machine)
        assert both.index_url == "https://mine.example"
        assert both.extra_index_urls == ("https://b.example", "https://c.example")
