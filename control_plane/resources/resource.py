"""The fields of every resource's body."""

from control_plane.resources.arm_body import ArmBody, Timestamp
from control_plane.resources.authorship import Authorship
from modelyard.core.domain.caller import CallerKind

_ARM_KINDS = {
    CallerKind.USER: "User",
    CallerKind.TOKEN: "User",
    CallerKind.OPENID: "User",
    CallerKind.ENDPOINT_KEY: "Key",
    CallerKind.SIGNED_URL: "Key",
    CallerKind.SYSTEM: "Application",
}


class SystemData(ArmBody):
    created_at: Timestamp
    created_by: str
    created_by_type: str
    """User, Application or Key."""
    last_modified_at: Timestamp
    last_modified_by: str
    last_modified_by_type: str

    @classmethod
    def of(cls, authorship: Authorship) -> "SystemData":
        return cls(
            created_at=authorship.created_at,
            created_by=authorship.created_by,
            created_by_type=_ARM_KINDS[authorship.created_by_kind],
            last_modified_at=authorship.modified_at,
            last_modified_by=authorship.modified_by,
            last_modified_by_type=_ARM_KINDS[authorship.modified_by_kind],
        )


class Resource(ArmBody):
    id: str
    name: str
    type: str
    system_data: SystemData
