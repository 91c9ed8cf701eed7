"""How YAML names a registered asset: `azureml:name:version`, `azureml:name@latest`, or its ARM id."""

import re
from dataclasses import dataclass

from modelyard.client.errors import InvalidDocument

_ARM_ID = re.compile(r"/subscriptions/.+/(?P<kind>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)", re.I)
_PREFIX = "azureml:"


@dataclass(frozen=True, slots=True)
class AssetReference:
    """`version` None asks for the latest one."""

    name: str
    version: str | None


@dataclass(frozen=True, slots=True)
class ArmId:
    text: str


def read_reference(text: str, *, noun: str) -> AssetReference | ArmId:
    """Raises InvalidDocument for what names no asset of this workspace."""
    named = text.removeprefix(_PREFIX)
    if named.startswith("//"):
        raise InvalidDocument(f"{noun} {text!r} lies in a registry or a job; register it here and name it instead")
    if named.startswith("/subscriptions/"):
        return ArmId(named)
    name, at, label = named.partition("@")
    if at and name and label == "latest":
        return AssetReference(name, None)
    name, colon, version = named.partition(":")
    if text.startswith(_PREFIX) and colon and name and version:
        return AssetReference(name, version)
    raise InvalidDocument(f"{noun} {text!r} names nothing: write azureml:<name>:<version> or azureml:<name>@latest")


def short_reference(arm_id: str) -> str:
    """The short form of an ARM id, as YAML takes it; anything else unchanged."""
    found = _ARM_ID.fullmatch(arm_id)
    return f"{_PREFIX}{found['name']}:{found['version']}" if found else arm_id
