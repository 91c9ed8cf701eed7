"""A registered code: a folder with a scoring script, by content hash."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from control_plane.resources.assets.asset import VersionHead, VersionQuery, VersionSpec
from modelyard.core.domain.model_manifest import ModelManifest

HASH_PATTERN = "^[0-9a-zA-Z]{1,128}$"
_HASH = re.compile("[0-9a-zA-Z]{1,128}")


@dataclass(frozen=True, slots=True)
class CodeHash:
    """The hash that a client has computed over its folder, for clients that look for the same code again."""

    value: str
    version: str | None
    """The client's way of hashing."""

    @classmethod
    def in_properties(cls, properties: Mapping[str, str]) -> "CodeHash | None":
        """The hash as Azure's SDK writes it. None: the client gives none, or a text that is no hash."""
        value, version = properties.get("hash_sha256", ""), properties.get("hash_version", "")
        return cls(value, version if _HASH.fullmatch(version) else None) if _HASH.fullmatch(value) else None


@dataclass(frozen=True, slots=True)
class CodeQuery(VersionQuery):
    """A list of versions; with a hash, of the versions of all names that have the hash."""

    hash: CodeHash | None = None


@dataclass(frozen=True, slots=True)
class CodeVersionSpec(VersionSpec):
    code_uri: str | None


@dataclass(frozen=True, slots=True)
class CodeContent:
    """The files, stored under their hashes."""

    uri: str
    manifest: ModelManifest
    folder_name: str


@dataclass(frozen=True, slots=True)
class CodeVersion:
    head: VersionHead
    code_uri: str
    manifest: ModelManifest
