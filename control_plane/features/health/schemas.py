"""The responses of the public paths."""

import re

from control_plane.resources.arm_body import ArmBody

_WORDS = re.compile(r"[A-Za-z0-9]+")


class DependencyBody(ArmBody):
    name: str
    """`database` or `broker`."""
    message: str


class HealthBody(ArmBody):
    status: str
    """`healthy`, or `degraded` while a server that the platform depends on cannot be used; `ready` at /ready."""
    unavailable: tuple[DependencyBody, ...] = ()


class CloudAuthentication(ArmBody):
    login_endpoint: str


class CloudSuffixes(ArmBody):
    storage: str = "core.windows.net"


class CloudBody(ArmBody):
    """An entry of Resource Manager's cloud metadata, in the form that Azure's SDK reads."""

    name: str
    portal: str
    resource_manager: str
    authentication: CloudAuthentication
    suffixes: CloudSuffixes = CloudSuffixes()

    @classmethod
    def at(cls, base: str) -> "CloudBody":
        return cls(
            name=_name_of(base),
            # Azure's SDK derives the name of a token audience from the text after the second dot.
            portal="https://portal.modelyard.local",
            resource_manager=f"{base}/",
            authentication=CloudAuthentication(login_endpoint=base),
        )


def _name_of(base: str) -> str:
    """A name for each base URL: Azure's SDK keeps the first URL of a name for the life of its process."""
    place = base.removeprefix("https://").replace("://", "-")
    return "Modelyard-" + "-".join(_WORDS.findall(place))
