"""A run of the tests in `azure_areas/`, in an environment with a release of the Azure SDK and without Modelyard."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from tests.cached_environments import cached_environment

AREAS = Path(__file__).with_name("azure_areas")
RELEASES = ("1.35.2", "1.27.1")
"""The newest release, and a release that is older by a year."""
_REQUIREMENTS = ("azure-identity==1.27.0", "pytest>=9", "pytest-timeout>=2.4")
_SECONDS = 900


@dataclass(frozen=True)
class AzureRun:
    failures: Mapping[str, tuple[str, ...]]
    """By area: the name and the error of each failed test. An area without a test is missing."""
    output: str

    @classmethod
    def of(cls, release: str, inputs: Path, variables: Mapping[str, str], *selected: str) -> "AzureRun":
        """`variables` are those of `modelyard client-env`."""
        python = cached_environment(sys.executable, [f"azure-ai-ml=={release}", *_REQUIREMENTS])
        with TemporaryDirectory() as home:
            # No variable of this process reaches the SDK, which reads proxies and credentials from variables.
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": home,
                "MODELYARD_TEST_FOLDER": str(inputs),
                "MODELYARD_TEST_RELEASE": release.replace(".", ""),
                **variables,
            }
            report = Path(home) / "report.xml"
            options = (
                "-q",
                "-p",
                "no:cacheprovider",
                f"--rootdir={AREAS}",
                f"--confcutdir={AREAS}",
                "-c",
                os.devnull,
                f"--junitxml={report}",
            )
            done = subprocess.run(
                [python, "-m", "pytest", *options, *(selected or (str(AREAS),))],
                env=environment,
                cwd=home,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
            assert report.exists(), done.stdout
            return cls(_failures(report), done.stdout)


def areas() -> list[str]:
    return sorted(path.stem.removeprefix("test_") for path in AREAS.glob("test_*.py"))


def _failures(report: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        area = case.attrib["classname"].rpartition(".")[2].removeprefix("test_")
        errors = [f"{case.attrib['name']}: {child.text}" for child in case if child.tag in {"failure", "error"}]
        found[area] = (*found.get(area, ()), *errors)
    return found
