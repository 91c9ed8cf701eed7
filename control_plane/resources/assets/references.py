"""References to a version of an asset: an ARM id, an azureml:// URI, or the short form of `az`."""

import re
from dataclasses import dataclass

from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from modelyard.core.errors import ReferencedResourceMissing

LATEST = "latest"
_PREFIX = "azureml:"
# Behind the prefix: an ARM id, or a URI with the whole workspace or its location and name alone.
_LONG = re.compile(
    r"/{0,2}(?:subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)(?:/providers/[^/]+)?"
    r"|locations/[^/]+)/workspaces/(?P<workspace>[^/]+)"
    r"/(?P<kind>\w+)/(?P<name>[^/]+)/(?:versions(?:/labels)?|labels)/(?P<version>[^/]+)/?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Reference:
    name: str
    version: str


def read_reference(workspace: Workspace, kind: str, text: str) -> Reference:
    """Read an ARM id or a URI of this workspace, or the short form `azureml:name:version` or `azureml:name@latest`.

    `kind` is a collection.
    """
    plain = _without_prefix(text.strip())
    found = _LONG.fullmatch(plain)
    if found is not None and found["kind"].lower() == kind:
        if not _is_of(workspace, found):
            raise ReferencedResourceMissing(
                f"{text!r} belongs to another workspace: register the asset in {workspace.path.name!r}",
                target=f"properties.{kind}",
            )
        return Reference(_without_prefix(found["name"]), found["version"])
    name, colon, version = plain.partition(":")
    if not colon:
        name, _, version = plain.partition("@")
    if not name or not version or "/" in plain:
        raise ReferencedResourceMissing(
            f"{text!r} is not a reference to a version: send the id of a registered version, "
            f"…/{kind}/<name>/versions/<version>"
        )
    return Reference(name, version)


def _without_prefix(text: str) -> str:
    return text[len(_PREFIX) :] if text.lower().startswith(_PREFIX) else text


def _is_of(workspace: Workspace, found: re.Match[str]) -> bool:
    own = workspace.path
    if found["subscription"] is None:
        return found["workspace"].lower() == own.name.lower()
    named = WorkspacePath(found["subscription"], found["group"], found["workspace"])
    return named.text.lower() == own.text.lower()


def version_not_registered(noun: str, named: Reference, target: str) -> ReferencedResourceMissing:
    return ReferencedResourceMissing(
        f"{noun} {named.name!r} version {named.version!r} is not registered in this workspace: "
        "register the version first",
        target=target,
    )
