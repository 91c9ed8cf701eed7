"""The line to change in conda.yaml, for a failed import."""

import pytest

from builder.import_error_hints import explain_import_error


class TestHints:
    @pytest.mark.parametrize(
        ("last_line", "hint"),
        [
            ("ModuleNotFoundError: No module named 'sklearn'", 'add "scikit-learn" under pip:'),
            ("ModuleNotFoundError: No module named 'pkg_resources'", 'add "setuptools<81" under pip:'),
            ("ModuleNotFoundError: No module named 'some_thing.part'", 'add "some-thing" under pip:'),
            ("ModuleNotFoundError: No module named 'imp'", "write python=3.11"),
            ("ModuleNotFoundError: No module named 'distutils'", "setuptools<81"),
            ("ModuleNotFoundError: No module named 'pandas.core.indexes.numeric'", 'pin "pandas<2"'),
            ("ValueError: numpy.dtype size changed, may indicate binary incompatibility.", 'pin "numpy<2"'),
            ("AttributeError: `np.float_` was removed in the NumPy 2.0 release.", 'pin "numpy<2"'),
            ("AttributeError: module 'numpy' has no attribute 'bool'.", 'pin "numpy<1.24"'),
            ("TypeError: Descriptors cannot be created directly.", 'pin "protobuf<3.21"'),
            ("ImportError: cannot import name 'Mapping' from 'collections'", "write python=3.9"),
            (
                "ImportError: libgomp.so.1: cannot open shared object file: No such file",
                "system library that has libgomp",
            ),
            ("RuntimeError: something else", "pin the package of the failing import"),
        ],
    )
    def test_import_error_names_the_line_to_change(self, last_line, hint):
        failure = explain_import_error(f'Traceback (most recent call last):\n  File "x.py", line 1\n{last_line}\n')
        assert hint in failure.hint
        assert failure.error == last_line

    @pytest.mark.parametrize(
        ("file", "package", "python"),
        [
            ("conda.yaml", 'In conda.yaml: add "scikit-learn" under pip:', "In conda.yaml: write python=3.11"),
            ("envs/mine.yml", 'In envs/mine.yml: add "scikit-learn" under pip:', "In envs/mine.yml: write python=3.11"),
            (
                "python_env.yaml",
                'In python_env.yaml: add "scikit-learn" under dependencies:',
                "In python_env.yaml: write python: '3.11'",
            ),
            (
                "requirements.txt",
                'In requirements.txt: add "scikit-learn"',
                "In requirements.txt: write python_version: '3.11' in MLmodel",
            ),
        ],
    )
    def test_hint_is_in_the_words_of_the_models_own_file(self, file, package, python):
        assert explain_import_error("ModuleNotFoundError: No module named 'sklearn'", file).hint == package
        assert explain_import_error("ModuleNotFoundError: No module named 'imp'", file).hint.startswith(python)

    def test_interpreter_without_output_is_reported_as_such(self):
        assert "without a message" in explain_import_error("").error
