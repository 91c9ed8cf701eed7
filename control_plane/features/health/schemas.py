"""What the open doors answer."""

from control_plane.resources.arm_body import ArmBody


class HealthBody(ArmBody):
    status: str


class CloudAuthentication(ArmBody):
    login_endpoint: str


class CloudSuffixes(ArmBody):
    storage: str = "core.windows.net"


class CloudBody(ArmBody):
    """One entry of Resource Manager's cloud metadata, as Azure's SDK reads it."""

    name: str
    portal: str
    resource_manager: str
    authentication: CloudAuthentication
    suffixes: CloudSuffixes = CloudSuffixes()

    @classmethod
    def at(cls, base: str) -> "CloudBody":
        return cls(
            name="Modelyard",
            # Azure's SDK makes the name of a token audience out of what follows the second dot.
            portal="https://portal.modelyard.local",
            resource_manager=f"{base}/",
            authentication=CloudAuthentication(login_endpoint=base),
        )
