"""The order of test files and their distribution over two processes, in a small project with these hooks."""

from pathlib import Path

import pytest

from tests import scheduling

pytest_plugins = ["pytester"]

CONFTEST = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(scheduling.__file__).parents[1])!r})
from tests import scheduling
scheduling._DURATIONS = Path(__file__).parent / "durations.txt"
from tests.scheduling import *
"""
FILES = ("tests/test_short.py", "tests/test_long.py", "tests/e2e/test_a.py", "tests/e2e/test_deaths.py")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    for name in FILES:
        file = pytester.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("def test_it(): pass\n")
    (pytester.path / "tests" / "conftest.py").write_text(CONFTEST)
    (pytester.path / "tests" / "durations.txt").write_text("9.5  tests/e2e\n7.0  tests/test_long.py\n")
    return pytester


def test_longest_file_begins_and_tests_that_restart_the_platform_come_first_in_their_unit(
    project: pytest.Pytester,
) -> None:
    listed = project.runpytest_subprocess("--collect-only", "-q", "tests").outlines
    assert [line.partition("::")[0] for line in listed if "::" in line] == [
        "tests/e2e/test_deaths.py",
        "tests/e2e/test_a.py",
        "tests/test_long.py",
        "tests/test_short.py",
    ]


def test_files_that_share_a_platform_run_in_one_process(project: pytest.Pytester) -> None:
    shown = project.runpytest_subprocess("-v", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "tests")
    process = {line.split("::")[0].split()[-1]: line[:5] for line in shown.outlines if "PASSED" in line}
    assert process["tests/e2e/test_a.py"] == process["tests/e2e/test_deaths.py"]
    assert len(process) == len(FILES)


def test_recorded_durations_name_each_unit(project: pytest.Pytester) -> None:
    project.runpytest_subprocess("-q", "--record-durations", "tests")
    lines = (project.path / "tests" / "durations.txt").read_text().splitlines()
    assert {line.split()[1] for line in lines} == {"tests/e2e", "tests/test_long.py", "tests/test_short.py"}
