"""References to registered assets in YAML: `azureml:name:version`, `azureml:name@latest`, or an ARM id."""

import re
from dataclasses import dataclass

from modelyard.client.errors import InvalidDocument

_ARM_ID = re.compile(r"/subscriptions/.+/(?P<kind>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)", re.I)
_PREFIX = "azureml:"


@dataclass(frozen=True, slots=True)
class AssetReference:
    """A name and a version; None is the latest version."""

    name: str
    version: str | None


@dataclass(frozen=True, slots=True)
class ArmId:
    text: str


def read_reference(text: str, *, noun: str) -> AssetReference | ArmId:
    """Parse a reference. Raises InvalidDocument for text that names no asset of the workspace."""
    named = text.removeprefix(_PREFIX)
    if named.startswith("//"):
        raise InvalidDocument(f"{noun} {text!r} is in a registry or a job: register the {noun} here and use its name")
    if named.startswith("/subscriptions/"):
        return ArmId(named)
    name, at, label = named.partition("@")
    if at and name and label == "latest":
        return AssetReference(name, None)
    name, colon, version = named.partition(":")
    if text.startswith(_PREFIX) and colon and name and version:
        return AssetReference(name, version)
    raise InvalidDocument(
        f"{noun} {text!r} is not a reference: write azureml:<name>:<version> or azureml:<name>@latest"
    )


def short_reference(arm_id: str) -> str:
    """Shorten an ARM id to `azureml:name:version`. Other text stays."""
    found = _ARM_ID.fullmatch(arm_id)
    return f"{_PREFIX}{found['name']}:{found['version']}" if found else arm_id
