"""The order of the test files, longest first, and the process of each file.

`pytest --record-durations` writes the measured seconds of each file to `durations.txt`.
"""

from collections import Counter
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

_TESTS = Path(__file__).parent
_DURATIONS = _TESTS / "durations.txt"
_SHARED_PLATFORMS = ("tests/e2e", "tests/sdk")
"""The files of each folder share a platform, so a single process runs all files of the folder."""
_OWN_PLATFORMS = ("test_machines.py", "test_upgrade.py")
_RESTARTING = ("test_deaths.py",)
"""Restart the shared platform: first, while few deployments have to start again."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-durations", action="store_true", help=f"write the seconds of each file to {_DURATIONS}")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-durations") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_DurationsRecorder())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seconds = _recorded_seconds()
    items.sort(key=lambda item: (-seconds[unit_of(item.nodeid)], item.path.name not in _RESTARTING))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> "_Scheduling":
    return _Scheduling(config, log)


class _Scheduling(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """The file of a test, or for a test on the shared platform the folder."""
    file = nodeid.partition("::")[0]
    if file.endswith(_OWN_PLATFORMS):
        return file
    return next((folder for folder in _SHARED_PLATFORMS if file.startswith(f"{folder}/")), file)


class _DurationsRecorder:
    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[unit_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        lines = [f"{seconds:7.1f}  {unit}\n" for unit, seconds in self._seconds.most_common()]
        _DURATIONS.write_text("".join(lines))


def _recorded_seconds() -> Counter[str]:
    """Seconds by unit; 0 for a new file."""
    lines = (line.split() for line in _DURATIONS.read_text().splitlines())
    return Counter({unit: float(seconds) for seconds, unit in lines})
