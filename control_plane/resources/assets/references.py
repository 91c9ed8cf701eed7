"""References to a version of an asset: an ARM id, or the short form of `az`."""

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
    """Read an ARM id of this workspace, or the short form `azureml:name:version`. `kind` is a collection."""
    plain = text.removeprefix("azureml:").strip()
    found = _ARM_ID.fullmatch(plain)
    if found is not None and found["kind"].lower() == kind:
        if found["workspace"].lower() != workspace.arm_id.lower():
            raise ReferencedResourceMissing(
                f"{text!r} belongs to another workspace: register the asset in {workspace.path.name!r}",
                target=f"properties.{kind}",
            )
        return Reference(found["name"].removeprefix("azureml:"), found["version"])
    name, colon, version = plain.partition(":")
    if not colon:
        name, _, version = plain.partition("@")
    if not name or not version or "/" in plain:
        raise ReferencedResourceMissing(
            f"{text!r} is not a reference to a version: send the id of a registered version, "
            f"…/{kind}/<name>/versions/<version>"
        )
    return Reference(name, version)


def version_not_registered(noun: str, named: Reference, target: str) -> ReferencedResourceMissing:
    return ReferencedResourceMissing(
        f"{noun} {named.name!r} version {named.version!r} is not registered in this workspace: "
        "register the version first",
        target=target,
    )
