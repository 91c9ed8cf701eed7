"""The one table of who may use which route: the role that each route of both ports needs.

The control plane and the gateway enforce the table, and both publish it as `x-required-role` in their OpenAPI
documents. A route without an entry stops the process that serves it from starting.
"""

from collections.abc import Mapping
from enum import StrEnum

from modelyard.core.domain.roles import Role


class OpenAccess(StrEnum):
    """Instead of a role."""

    NONE = "none"
    """Every client may use the route, without a credential."""
    IDENTITY_HEADER = "identity-header"
    """The header X-IDENTITY-HEADER carries a token, with any role."""
    SIGNED_URL = "signed-url"
    """The URL carries its permission, which a caller with a role asked for. The Blob routes take tokens, too."""


RequiredRole = Role | OpenAccess

_OPERATIONS: Mapping[RequiredRole, str] = {
    OpenAccess.NONE: "get_health get_readiness get_cloud_metadata get_discovery",
    OpenAccess.IDENTITY_HEADER: "get_identity_token",
    OpenAccess.SIGNED_URL: (
        "get_blob put_file head_file get_file get_stored_file "
        "get_blob_container head_blob_container put_blob_container "
        "head_container_blob get_container_blob put_container_blob delete_container_blob"
    ),
    Role.SCORER: "submit_job get_submitted_job get_token",
    Role.READER: (
        "list_workspaces list_workspaces_of_subscription get_workspace "
        "list_models get_model list_model_versions get_model_version list_model_files "
        "list_environments get_environment list_environment_versions get_environment_version list_built_environments "
        "list_data_assets get_data_asset list_data_versions get_data_version "
        "list_codes get_code list_code_versions get_code_version "
        "list_computes get_compute list_compute_nodes list_vm_sizes list_usages "
        "list_datastores get_datastore list_datastore_secrets "
        "list_online_endpoints get_online_endpoint "
        "list_online_deployments get_online_deployment get_logs list_skus get_scoring_script list_workers "
        "list_batch_endpoints get_batch_endpoint list_batch_deployments get_batch_deployment get_build_log "
        "list_jobs list_jobs_of_endpoint list_jobs_of_deployment get_job list_job_files "
        "list_runs_of_endpoint list_runs_of_deployment get_run get_run_details list_child_runs get_run_data "
        "resolve_data_uris "
        "get_operation get_operation_result list_events"
    ),
    Role.CONTRIBUTOR: (
        "put_model delete_model put_model_version delete_model_version start_pending_upload "
        "put_environment delete_environment put_environment_version delete_environment_version prune_environments "
        "put_data_asset delete_data_asset put_data_version delete_data_version start_pending_data_upload "
        "put_dataset_version "
        "put_code delete_code put_code_version delete_code_version start_pending_code_upload "
        "put_compute delete_compute list_workspace_keys "
        "put_datastore delete_datastore "
        "put_online_endpoint patch_online_endpoint delete_online_endpoint list_keys regenerate_keys "
        "put_online_deployment patch_online_deployment delete_online_deployment "
        "put_batch_endpoint patch_batch_endpoint delete_batch_endpoint list_batch_endpoint_keys "
        "put_batch_deployment patch_batch_deployment delete_batch_deployment "
        "put_job patch_job cancel_job patch_run"
    ),
    Role.OWNER: (
        "put_workspace delete_workspace verify_audit_events "
        "list_access_tokens get_access_token put_access_token delete_access_token"
    ),
}
"""Operation ids of the control plane."""

_CONTROL_PLANE = {operation: role for role, operations in _OPERATIONS.items() for operation in operations.split()}

SCORING_PORT: Mapping[str, RequiredRole] = {
    "/": OpenAccess.NONE,
    "/health": OpenAccess.NONE,
    "/{endpoint}": Role.SCORER,
    "/{endpoint}/score": Role.SCORER,
    "/{endpoint}/swagger.json": Role.SCORER,
    "/{endpoint}/invocations": Role.SCORER,
    "/{endpoint}/ping": Role.SCORER,
    "/{endpoint}/health": Role.SCORER,
    "/{endpoint}/version": Role.SCORER,
    "/{endpoint}/v2": Role.SCORER,
    "/{endpoint}/v2/health/live": Role.SCORER,
    "/{endpoint}/v2/health/ready": Role.SCORER,
    "/{endpoint}/v2/models/{name}": Role.SCORER,
    "/{endpoint}/v2/models/{name}/ready": Role.SCORER,
    "/{endpoint}/v2/models/{name}/infer": Role.SCORER,
    "/{endpoint}/v2/repository/index": Role.SCORER,
    "/{endpoint}/v2/{unknown}": Role.SCORER,
}


class RouteWithoutRole(Exception):
    def __init__(self, route: str) -> None:
        super().__init__(f"the route {route!r} has no entry in modelyard/core/domain/required_roles.py: add the role")


def role_of_operation(operation_id: str) -> RequiredRole:
    """The role for an operation of the control plane. Raises RouteWithoutRole."""
    try:
        return _CONTROL_PLANE[operation_id]
    except KeyError:
        raise RouteWithoutRole(operation_id) from None


def open_scoring_paths() -> frozenset[str]:
    """The paths of the scoring port that need no credential."""
    return frozenset(path for path, role in SCORING_PORT.items() if role == OpenAccess.NONE)


def role_below_endpoint(path: str) -> Role:
    """The role for a path template below an endpoint of the scoring port. Raises RouteWithoutRole."""
    role = SCORING_PORT.get(f"/{{endpoint}}/{path}".removesuffix("/"))
    if not isinstance(role, Role):
        raise RouteWithoutRole(path)
    return role
