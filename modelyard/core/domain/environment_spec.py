"""The specification of an environment (the requirements) and the lock (every package at one version).

The spec hash finds the lock, the lock hash finds the environment. Both hash text without a path of this machine, so
that the same model gives the same hashes on every machine.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property

LOCAL_FILES_VARIABLE = "MODELYARD_WHEELS"
"""Requirements and locks name a file of the model as `${MODELYARD_WHEELS}/<sha256>/<file name>`."""


@dataclass(frozen=True, slots=True)
class PackageSources:
    """Sources of packages, in pip's words."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    no_index: bool = False
    pre: bool = False
    no_binary: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()

    def over(self, base: "PackageSources") -> "PackageSources":
        """Combine with `base` as pip combines a requirements file (self) with pip's configuration (base)."""
        return PackageSources(
            index_url=self.index_url or base.index_url,
            extra_index_urls=_united(base.extra_index_urls, self.extra_index_urls),
            find_links=_united(base.find_links, self.find_links),
            trusted_hosts=_united(base.trusted_hosts, self.trusted_hosts),
            no_index=self.no_index or (base.no_index and self.index_url is None),
            pre=self.pre or base.pre,
            no_binary=_united(base.no_binary, self.no_binary),
            only_binary=_united(base.only_binary, self.only_binary),
        )


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A wheel or source archive in the model folder."""

    path: str
    """Relative to the model folder."""
    sha256: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def requirement(self) -> str:
        return f"{self.folder}/{self.name}"

    @property
    def folder(self) -> str:
        return f"${{{LOCAL_FILES_VARIABLE}}}/{self.sha256}"


@dataclass(frozen=True)
class EnvironmentSpec:
    python: str
    """Minor version, "3.10"."""
    requirements: tuple[str, ...]
    asked_patch: str | None = None
    """Patch version in the model's files, "3.10.11": preferred, not required."""
    constraints: tuple[str, ...] = ()
    sources: PackageSources = field(default_factory=PackageSources)
    local_files: tuple[LocalFile, ...] = ()
    exclude_newer: datetime | None = None
    """Time limit: packages published later are ignored."""
    file: str = field(default="conda.yaml", compare=False)
    """The name of the environment file, for messages."""
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The place of each requirement, constraint and index in the model's files, "conda.yaml, line 7", for messages."""

    def digest(self, *, platform: str, machine_sources: PackageSources) -> str:
        """The spec hash: of the requirements, the platform and the package sources."""
        document = {
            "python": self.python,
            "asked_patch": self.asked_patch,
            "requirements": self.requirements,
            "constraints": self.constraints,
            "sources": asdict(self.sources.over(machine_sources)),
            "local_files": sorted((file.name, file.sha256) for file in self.local_files),
            "exclude_newer": self.exclude_newer.isoformat() if self.exclude_newer else None,
            "platform": platform,
        }
        return _sha256(json.dumps(document, sort_keys=True))


@dataclass(frozen=True)
class EnvironmentLock:
    """Every package of an environment at one version, for one interpreter version and one platform."""

    text: str
    """In the format of the installer that resolved the lock, and read by that installer only."""
    python: str
    """Full version, "3.10.13"."""
    platform: str

    @cached_property
    def digest(self) -> str:
        return _sha256(f"{self.python}\n{self.platform}\n{self.text}")


def normalised(name: str) -> str:
    """A distribution's name in the form that indexes compare."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _united(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
