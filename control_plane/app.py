"""The control plane's web application."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from control_plane.features.batch_deployments.routes import router as batch_deployments
from control_plane.features.batch_endpoints.routes import router as batch_endpoints
from control_plane.features.blobs.routes import router as blobs
from control_plane.features.codes.routes import router as codes
from control_plane.features.computes.routes import router as computes
from control_plane.features.data.routes import router as data
from control_plane.features.datastores.routes import router as datastores
from control_plane.features.environments.routes import router as environments
from control_plane.features.events.routes import router as events
from control_plane.features.health.routes import router as health
from control_plane.features.identity.routes import router as identity
from control_plane.features.jobs.routes import router as jobs
from control_plane.features.jobs.routes import stored_files
from control_plane.features.models.routes import downloads
from control_plane.features.models.routes import router as models
from control_plane.features.online_deployments.routes import router as online_deployments
from control_plane.features.online_endpoints.routes import router as online_endpoints
from control_plane.features.operations.routes import router as operations
from control_plane.features.run_history.routes import discovery
from control_plane.features.run_history.routes import router as run_history
from control_plane.features.tokens.routes import router as tokens
from control_plane.features.uploads.routes import router as uploads
from control_plane.features.workspaces.routes import router as workspaces
from control_plane.services import Services
from control_plane.web.arm_path import ArmPathMiddleware
from control_plane.web.authentication import AuthenticationMiddleware
from control_plane.web.blob_protocol import BlobProtocolMiddleware
from control_plane.web.body_limit import BodyLimitMiddleware
from control_plane.web.deadline import DeadlineMiddleware
from control_plane.web.errors import ErrorMiddleware, answer_http_exception, answer_invalid_body
from control_plane.web.openapi import openapi_document
from control_plane.web.request_limit import RequestLimitMiddleware
from control_plane.web.telemetry import PathTemplateMiddleware, TelemetryMiddleware

_DESCRIPTION = (
    "Managed endpoints for MLflow models, in the shapes of Azure Resource Manager for "
    "Microsoft.MachineLearningServices. Keys, enums and the fixed words of paths are read in any case. Read-only "
    "fields of a PUT are ignored; a Warning header names each other field that has no effect."
)
ROUTERS = (
    health,
    identity,
    workspaces,
    models,
    downloads,
    uploads,
    environments,
    data,
    datastores,
    codes,
    computes,
    online_endpoints,
    online_deployments,
    batch_endpoints,
    batch_deployments,
    jobs,
    stored_files,
    discovery,
    run_history,
    operations,
    events,
    tokens,
)


def create_app(services: Services) -> FastAPI:
    app = FastAPI(
        title="Modelyard",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.services = services
    for router in ROUTERS:
        app.include_router(router)
    # The protocol of Azure's Blob service, which the OpenAPI document leaves out.
    app.include_router(blobs)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_exception_handler(RequestValidationError, answer_invalid_body)
    # From the innermost to the outermost layer.
    app.add_middleware(PathTemplateMiddleware)
    app.add_middleware(BodyLimitMiddleware, largest=services.max_json_bytes)
    app.add_middleware(ArmPathMiddleware)
    app.add_middleware(RequestLimitMiddleware, most=services.pending_requests, at_once=services.working_requests)
    app.add_middleware(AuthenticationMiddleware, verifier=services.verifier)
    app.add_middleware(DeadlineMiddleware, dependencies=services.dependencies, seconds=services.request_seconds)
    app.add_middleware(ErrorMiddleware)
    app.add_middleware(BlobProtocolMiddleware)
    app.add_middleware(TelemetryMiddleware, telemetry=services.telemetry)
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
    return app
