"""Which Python a model asks for, in every notation."""

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
    def test_one_version_is_taken_as_it_is(self, written, minor, patch):
        python = chosen(written)
        assert (python.minor, python.patch) == (minor, patch)

    @pytest.mark.parametrize("written", [">=3.8,<3.12", ">=3.9", "<3.11,>=3.7", "=3", "~=3.10.0", "", "=*"])
    def test_a_range_is_settled_by_what_the_model_was_trained_with(self, written):
        python = chosen(written, trained_with=TRAINED)
        assert (python.minor, python.patch) == ("3.10", "3.10.4")

    def test_a_range_without_that_gets_the_newest_python_of_the_machine_in_it(self):
        assert chosen(">=3.8,<3.12").minor == "3.9"
        assert "using 3.9" in chosen(">=3.8,<3.12").note

    def test_a_range_that_the_machine_has_no_python_for_gets_one_to_fetch(self):
        assert chosen(">=3.10,<3.12", minors=()).minor == "3.11"

    def test_the_training_version_outside_of_the_range_does_not_count(self):
        assert chosen(">=3.11", trained_with=TRAINED).minor == "3.12"

    def test_nothing_asked_and_nothing_known_is_the_platforms_own_and_said_so(self):
        assert chosen("").minor == "3.11"
        assert "names no Python version" in chosen("").note

    @pytest.mark.parametrize("written", ["=3.7", "=2.7.18", "=3.6.15"])
    def test_a_version_without_model_workers_is_refused_with_the_line_to_change(self, written):
        with pytest.raises(UnsupportedPython, match=r"write python=3\.8 or newer in conda\.yaml"):
            chosen(written)

    def test_a_range_of_old_versions_is_refused(self):
        with pytest.raises(UnsupportedPython, match="no supported version"):
            chosen("<3.8")

    @pytest.mark.parametrize("written", ["=three", "[version='3.8']", ">=3.8 or 3.9"])
    def test_what_is_no_version_is_refused_with_examples(self, written):
        with pytest.raises(UnsupportedPython, match=r"conda\.yaml, line 4.*python=3\.10\.11"):
            chosen(written)


class TestExactVersions:
    def test_a_release_candidate_counts_as_its_release(self):
        assert exact_version("3.12.0rc2", where="MLmodel") == PythonRequest("3.12", "3.12.0")

    def test_other_text_is_refused(self):
        with pytest.raises(UnsupportedPython, match="python_env"):
            exact_version("cpython", where="python_env.yaml")
