"""What every resource's body has."""

from datetime import datetime

from control_plane.resources.arm_body import ArmBody, Moment

TYPE_PREFIX = "Microsoft.MachineLearningServices"


class SystemData(ArmBody):
    created_at: Moment
    created_by: str
    created_by_type: str
    last_modified_at: Moment
    last_modified_by: str
    last_modified_by_type: str

    @classmethod
    def of(cls, created_at: datetime, modified_at: datetime) -> "SystemData":
        return cls(
            created_at=created_at,
            created_by="admin",
            created_by_type="User",
            last_modified_at=modified_at,
            last_modified_by="admin",
            last_modified_by_type="User",
        )


class Resource(ArmBody):
    id: str
    name: str
    type: str
    system_data: SystemData
