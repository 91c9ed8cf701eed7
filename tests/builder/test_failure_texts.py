"""What a failed build says: the resolver's own sentence, and the line to change in conda.yaml."""

import pytest

from builder.import_error_hints import explain_import_error
from builder.installers.uv_errors import failure_sentence, redacted


class TestFailureSentence:
    def test_the_resolvers_reasoning_is_one_sentence(self):
        output = (
            "Using Python 3.10\n"
            "error: No solution found when resolving dependencies\n"
            "  cause: Because pandas==2.2.0 depends on numpy>=1.22.4 and you require numpy==1.19.5, we can conclude\n"
            "         that your requirements and pandas==2.2.0 are incompatible.\n"
        )
        assert failure_sentence(output) == (
            "Because pandas==2.2.0 depends on numpy>=1.22.4 and you require numpy==1.19.5, we can conclude that your "
            "requirements and pandas==2.2.0 are incompatible."
        )

    def test_so_it_is_in_the_drawing_of_older_releases(self):
        output = (
            "  × No solution found when resolving dependencies:\n  ╰─▶ Because nosuch was not found and\n      so on.\n"
        )
        assert failure_sentence(output) == "Because nosuch was not found and so on."

    def test_other_failures_keep_the_error_and_its_causes(self):
        output = "Resolved 3\nerror: Failed to build `uuid==1.30`\n  cause: The build backend returned an error\n"
        assert failure_sentence(output) == "Failed to build `uuid==1.30`: The build backend returned an error"

    def test_long_ones_keep_their_beginning_and_their_end(self):
        sentence = failure_sentence("error: it starts " + "x " * 5000 + "it ends")
        assert len(sentence) < 1600
        assert sentence.startswith("it starts")
        assert sentence.endswith("it ends")

    def test_silence_is_said_to_be_silence(self):
        assert "build log" in failure_sentence("")

    def test_no_password_of_an_index_is_repeated(self):
        assert redacted("from https://me:secret@a.example/simple/") == "from https://****@a.example/simple/"
        assert "secret" not in failure_sentence("error: Failed to fetch https://me:secret@a.example/simple")


class TestRemedies:
    @pytest.mark.parametrize(
        ("last_line", "remedy"),
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
            ("RuntimeError: something else", "pin the package named above"),
        ],
    )
    def test_name_the_line_to_change(self, last_line, remedy):
        failure = explain_import_error(f'Traceback (most recent call last):\n  File "x.py", line 1\n{last_line}\n')
        assert remedy in failure.remedy
        assert failure.error == last_line

    def test_an_interpreter_that_dies_without_a_word_is_said_so(self):
        assert "without a message" in explain_import_error("").error
