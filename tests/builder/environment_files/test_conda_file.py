"""conda.yaml: the values read, and the error for each mistake."""

import re

import pytest

from builder.environment_files.conda_file import parse_conda_file
from builder.errors import CondaPackagesNotSupported, InvalidCondaFile


def pip_lines(text: str) -> list[str]:
    return [line.text for line in parse_conda_file(text).pip_lines]


class TestReading:
    def test_conda_file_of_azure_documentation_is_read(self):
        read = parse_conda_file(
            "channels:\n- conda-forge\ndependencies:\n- python=3.10.11\n- pip<=23.1.2\n"
            "- pip:\n  - mlflow==2.7.1\n  - cloudpickle==1.6.0\nname: mlflow-env\n"
        )
        assert (read.python.minor, read.python.patch) == ("3.10", "3.10.11")
        assert [line.text for line in read.pip_lines] == ["mlflow==2.7.1", "cloudpickle==1.6.0"]
        assert read.notes == ("conda.yaml, line 5: pip<=23.1.2 is ignored; the platform installs without pip",)

    def test_pip_line_has_its_file_and_line_number(self):
        read = parse_conda_file("dependencies:\n- pip:\n  - numpy\n  - pandas\n")
        assert [line.where for line in read.pip_lines] == ["conda.yaml, line 3", "conda.yaml, line 4"]

    def test_python_3_10_is_not_read_as_3_1(self):
        assert parse_conda_file("dependencies:\n- python=3.10\n").python.minor == "3.10"

    def test_pip_setuptools_and_wheel_are_not_refused(self):
        text = "dependencies:\n- conda-forge::python=3.9\n- pip\n- setuptools=65\n- wheel\n- pip:\n  - numpy\n"
        assert pip_lines(text) == ["numpy"]

    def test_empty_pip_section_has_no_requirements(self):
        assert pip_lines("dependencies:\n- python=3.9\n- pip:\n") == []


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("dependencies: [python=3.9", "not valid YAML: line 2"),
            ("dependencies:\n- python=3.9\n\t- pip\n", "line 3, column 1"),
            ("- python=3.9\n", "must be a mapping with 'dependencies'; it is a list"),
            ("", "must be a mapping"),
            ("name: x\n", "has no list 'dependencies'.*no such entry"),
            ("dependencies: python=3.9\n", "line 1 has the text 'python=3.9'"),
            ("dependencies:\n- python=3.9\n- [a]\n", "line 3: a dependency must be text.*not a list"),
            ("dependencies:\n-\n", "a dependency must be text.*not empty"),
            ("dependencies:\n- pip: numpy\n", "line 2: 'pip:' must be a list.*not the text 'numpy'"),
            ("dependencies:\n- pip:\n  - {numpy: 1}\n", "line 3: a pip requirement must be text.*a mapping"),
            ("dependencies:\n- pip:\n  -\n", "line 3: a pip requirement must be text.*empty"),
            ("dependencies:\n- pip\n  - numpy\n", "line 2: 'pip - numpy' is one text; write '- pip:' with a colon"),
            ("dependencies:\n- pip\npip:\n- numpy\n", "line 3: 'pip:' stands beside 'dependencies'"),
            ("dependencies:\n- pip:\n  - pip:\n    - numpy\n", "line 3: a pip requirement must be text"),
            ("dependencies:\n- python: 3.10\n", "line 2: the text 'python' is not a section.*write 'python=3.10'"),
            ("dependencies:\n- npm:\n  - left-pad\n", "line 2.*'npm' is not a section that this platform reads"),
            ("dependencies:\n- python=3.9\n- python=3.10\n", "line 3: python is listed twice"),
            ("x: &common\n- numpy\ndependencies:\n- pip: *common\n", "line 1 has an anchor or alias"),
            ("a: !!python/object:os.system x\ndependencies: 1\n", "has no list"),
        ],
    )
    def test_error_names_the_line_and_what_to_write(self, text, sentence):
        with pytest.raises(InvalidCondaFile, match=sentence):
            parse_conda_file(text)

    def test_conda_packages_are_refused_with_name_and_line(self):
        with pytest.raises(CondaPackagesNotSupported) as refusal:
            parse_conda_file("dependencies:\n- python=3.9\n- libgdal=3.4\n- conda-forge::cudatoolkit\n- pip\n")
        assert "libgdal=3.4 (line 3), conda-forge::cudatoolkit (line 4)" in refusal.value.message
        assert "remove libgdal, cudatoolkit: a library of conda" in refusal.value.message

    @pytest.mark.parametrize(
        ("package", "pip_line"),
        [
            ("numpy=1.21.2=py39hdbf815f_0", "numpy==1.21.2"),
            ("numpy=1.21", "numpy==1.21.*"),
            ("numpy==1.21", "numpy==1.21"),
            ("numpy 1.21.*", "numpy==1.21.*"),
            ("numpy>=1.21, <2", "numpy>=1.21,<2"),
            ("conda-forge::pytorch=1.13.1", "torch==1.13.1"),
            ("py-xgboost", "xgboost"),
            ("msgpack-python=1.0.3=h1_0", "msgpack==1.0.3"),
        ],
    )
    def test_refused_conda_package_comes_with_its_line_for_the_pip_section(self, package, pip_line):
        with pytest.raises(
            CondaPackagesNotSupported, match=re.escape(f"on the Python package index: {pip_line}") + "$"
        ):
            parse_conda_file(f"dependencies:\n- python=3.9\n- {package}\n")

    def test_libraries_of_condas_python_are_ignored_with_a_note(self):
        parts = ("_libgcc_mutex=0.1=main", "vs2015_runtime=14.27", "ca-certificates", "openssl=1.1.1k=h27cfd23_0")
        listed = "".join(f"- {part}\n" for part in parts)
        read = parse_conda_file(f"dependencies:\n- python=3.9.5=h12debd9_4\n{listed}- pip:\n  - numpy\n")
        assert read.notes[1] == (
            "conda.yaml, line 4: vs2015_runtime=14.27 is ignored; the platform's interpreter has a library of its own"
        )
        assert len(read.notes) == len(parts)

    def test_entries_without_effect_are_noted(self):
        read = parse_conda_file("name: x\nvariables: {A: b}\nprefix: /opt\ndependencies:\n- python=3.9\n")
        assert [note.split(";")[0] for note in read.notes] == [
            "conda.yaml, line 2: 'variables' is without effect",
            "conda.yaml, line 3: 'prefix' is without effect",
        ]
