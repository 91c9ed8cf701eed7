"""The sentence that a failed run of uv is reported with."""

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
