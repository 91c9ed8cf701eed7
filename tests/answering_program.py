"""A program that answers questions line by line: a line of JSON in, a line of JSON out."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).parents[1]


class AnsweringProgram:
    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log

    def send(self, question: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        """Return the next answer. A program that has ended fails the test with the end of its log."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._log.read_text()[-3000:]
        return json.loads(line)

    def ask(self, question: dict[str, Any]) -> Any:
        self.send(question)
        return self.receive()


@contextmanager
def answering(python: Path, program: Path, log: Path) -> Iterator[AnsweringProgram]:
    """Run `program` with the repository as its argument, in the folder of `log`, which gets standard error."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [python, "-I", program, _REPOSITORY],
            cwd=log.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield AnsweringProgram(process, log)
        finally:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait(30)
            process.stdout.close()
