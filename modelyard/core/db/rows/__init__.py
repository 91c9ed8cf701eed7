"""The tables. Rows never leave the repositories and the functions beside this package.

Times are the database's, with zone. Fields that only the program reads are JSONB; fields of a query are columns.
"""

from modelyard.core.db.rows.access_tokens import AccessTokenRow, RoleAssignmentRow
from modelyard.core.db.rows.assets import (
    Asset,
    AssetContainer,
    AssetVersion,
    CodeRow,
    CodeVersionRow,
    DataRow,
    DataVersionRow,
    EnvironmentRow,
    EnvironmentVersionRow,
    ModelRow,
    ModelVersionRow,
)
from modelyard.core.db.rows.audit import AuditChainRow, AuditEventRow
from modelyard.core.db.rows.base import Authored, Base, Leased, NamedResource, Stamped
from modelyard.core.db.rows.datastores import BlobBlockRow, BlobPropertiesRow, DatastoreRow
from modelyard.core.db.rows.deployments import (
    BatchDeploymentRow,
    BatchEndpointRow,
    Deployment,
    Endpoint,
    GenerationRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    WantedChangeRow,
    WorkerRow,
)
from modelyard.core.db.rows.environment_builds import BuiltEnvironmentRow, EnvironmentBuildRow
from modelyard.core.db.rows.jobs import JobRow, MiniBatchRow
from modelyard.core.db.rows.platform import AdminTokenRow, NamedLeaseRow, OperationRow, RoutingRow
from modelyard.core.db.rows.uploads import UploadChunkRow, UploadRow
from modelyard.core.db.rows.workspaces import ComputeRow, DatastoreRemovalRow, WorkspaceRow

__all__ = [
    "AccessTokenRow",
    "AdminTokenRow",
    "Asset",
    "AssetContainer",
    "AssetVersion",
    "AuditChainRow",
    "AuditEventRow",
    "Authored",
    "Base",
    "BatchDeploymentRow",
    "BatchEndpointRow",
    "BlobBlockRow",
    "BlobPropertiesRow",
    "BuiltEnvironmentRow",
    "CodeRow",
    "CodeVersionRow",
    "ComputeRow",
    "DataRow",
    "DataVersionRow",
    "DatastoreRemovalRow",
    "DatastoreRow",
    "Deployment",
    "Endpoint",
    "EnvironmentBuildRow",
    "EnvironmentRow",
    "EnvironmentVersionRow",
    "GenerationRow",
    "JobRow",
    "Leased",
    "MiniBatchRow",
    "ModelRow",
    "ModelVersionRow",
    "NamedLeaseRow",
    "NamedResource",
    "OnlineDeploymentRow",
    "OnlineEndpointRow",
    "OperationRow",
    "RoleAssignmentRow",
    "RoutingRow",
    "Stamped",
    "UploadChunkRow",
    "UploadRow",
    "WantedChangeRow",
    "WorkerRow",
    "WorkspaceRow",
]
