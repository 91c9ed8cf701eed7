"""How one resource names an asset: by its id, or as az does."""

import re
from dataclasses import dataclass

from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.errors import ReferencedResourceMissing

_ARM_ID = re.compile(
    r"(?P<workspace>/subscriptions/.+)/(?P<kind>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)", re.I
)
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Reference:
    name: str
    version: str


def read_reference(workspace: Workspace, kind: str, text: str) -> Reference:
    """An ARM id of this workspace, or az's short form `azureml:name:version`."""
    plain = text.removeprefix("azureml:").strip()
    found = _ARM_ID.fullmatch(plain)
    if found is not None and found["kind"].lower() == kind:
        if found["workspace"].lower() != workspace.arm_id.lower():
            raise ReferencedResourceMissing(
                f"{text!r} lies in another workspace: register it in {workspace.path.name!r} and name it there",
                target=f"properties.{kind}",
            )
        return Reference(found["name"].removeprefix("azureml:"), found["version"])
    name, colon, version = plain.partition(":")
    if not colon:
        name, _, version = plain.partition("@")
    if not name or not version or "/" in plain:
        raise ReferencedResourceMissing(
            f"{text!r} names nothing here: give the id of a registered version, …/{kind}/<name>/versions/<version>"
        )
    return Reference(name, version)


def not_registered(noun: str, named: Reference, target: str) -> ReferencedResourceMissing:
    return ReferencedResourceMissing(
        f"{noun} {named.name!r} version {named.version!r} is not registered in this workspace: register it first",
        target=target,
    )
