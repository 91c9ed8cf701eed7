"""The sentence for the report of a failed uv run."""

from builder.installers.uv_errors import failure_sentence
from modelyard.core.domain.declared_text import mask_credentials


class TestFailureSentence:
    def test_resolver_explanation_becomes_one_sentence(self):
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

    def test_explanation_drawn_with_box_characters_becomes_one_sentence(self):
        output = (
            "  × No solution found when resolving dependencies:\n  ╰─▶ Because nosuch was not found and\n      so on.\n"
        )
        assert failure_sentence(output) == "Because nosuch was not found and so on."

    def test_other_failure_keeps_the_error_and_its_cause(self):
        output = "Resolved 3\nerror: Failed to build `uuid==1.30`\n  cause: The build backend returned an error\n"
        assert failure_sentence(output) == "Failed to build `uuid==1.30`: The build backend returned an error"

    def test_long_output_keeps_its_beginning_and_end(self):
        sentence = failure_sentence("error: it starts " + "x " * 5000 + "it ends")
        assert len(sentence) < 1600
        assert sentence.startswith("it starts")
        assert sentence.endswith("it ends")

    def test_empty_output_points_to_the_build_log(self):
        assert "build log" in failure_sentence("")

    def test_credentials_of_an_index_url_are_masked(self):
        assert mask_credentials("from https://me:secret@a.example/simple/") == "from https://****@a.example/simple/"
        assert "secret" not in failure_sentence("error: Failed to fetch https://me:secret@a.example/simple")
