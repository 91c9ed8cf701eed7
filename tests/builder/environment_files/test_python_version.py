"""A model's Python version, in every notation."""

import pytest

from builder.environment_files.python_version import PythonRequest, choose_python, conda_version, exact_version
from builder.errors import UnsupportedPython

TRAINED = exact_version("3.10.4", where="MLmodel")


def chosen(text: str, *, trained_with: PythonRequest | None = None, minors=("3.12", "3.9")):
    asked = conda_version(text, where="conda.yaml, line 4")
    return choose_python(asked, trained_with=trained_with, minors=minors, default="3.11")


class TestCondaVersions:
    @pytest.mark.parametrize(
        ("written", "minor", "patch"),
        [
            ("=3.10.11", "3.10", "3.10.11"),
            ("==3.10.11", "3.10", "3.10.11"),
            (" 3.10.11", "3.10", "3.10.11"),
            ("=3.10", "3.10", None),
            ("==3.10", "3.10", None),
            ("=3.10.*", "3.10", None),
            (" 3.9.*", "3.9", None),
            ("=3.8.5=h7579374_1", "3.8", "3.8.5"),
            (" 3.8.5 h7579374_1", "3.8", "3.8.5"),
        ],
    )
    def test_exact_conda_version_is_chosen(self, written, minor, patch):
        python = chosen(written)
        assert (python.minor, python.patch) == (minor, patch)

    @pytest.mark.parametrize("written", [">=3.8,<3.12", ">=3.9", "<3.11,>=3.7", "=3", "~=3.10.0", "", "=*"])
    def test_training_version_in_the_range_is_chosen(self, written):
        python = chosen(written, trained_with=TRAINED)
        assert (python.minor, python.patch) == ("3.10", "3.10.4")

    def test_newest_python_of_the_machine_in_the_range_is_chosen(self):
        assert chosen(">=3.8,<3.12").minor == "3.9"
        assert "using 3.9" in chosen(">=3.8,<3.12").note

    def test_range_without_a_python_of_the_machine_chooses_a_version_to_fetch(self):
        assert chosen(">=3.10,<3.12", minors=()).minor == "3.11"

    def test_training_version_outside_the_range_is_ignored(self):
        assert chosen(">=3.11", trained_with=TRAINED).minor == "3.12"

    def test_no_version_at_all_chooses_the_platform_version_with_a_note(self):
        assert chosen("").minor == "3.11"
        assert "names no Python version" in chosen("").note

    @pytest.mark.parametrize("written", ["=3.7", "=2.7.18", "=3.6.15"])
    def test_version_before_3_8_is_refused_with_the_line_to_change(self, written):
        with pytest.raises(UnsupportedPython, match=r"write python=3\.8 or newer in conda\.yaml"):
            chosen(written)

    def test_version_that_yaml_made_of_3_10_is_refused_with_the_place_and_the_quotes_to_write(self):
        with pytest.raises(UnsupportedPython, match=r"^MLmodel asks for Python 3\.1, .*: write '3\.10' in quotes"):
            choose_python(
                PythonRequest(), trained_with=exact_version("3.1", where="MLmodel"), minors=(), default="3.11"
            )

    def test_range_before_3_8_is_refused(self):
        with pytest.raises(UnsupportedPython, match="no supported Python version"):
            chosen("<3.8")

    @pytest.mark.parametrize("written", ["=three", "[version='3.8']", ">=3.8 or 3.9"])
    def test_malformed_version_is_refused_with_examples(self, written):
        with pytest.raises(UnsupportedPython, match=r"conda\.yaml, line 4.*python=3\.10\.11"):
            chosen(written)


class TestExactVersions:
    def test_release_candidate_is_read_as_its_release(self):
        assert exact_version("3.12.0rc2", where="MLmodel") == PythonRequest("3.12", "3.12.0")

    def test_text_without_a_version_is_refused(self):
        with pytest.raises(UnsupportedPython, match="python_env"):
            exact_version("cpython", where="python_env.yaml")
