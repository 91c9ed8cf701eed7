"""Public paths: liveness, readiness and the cloud metadata."""

from typing import Annotated

from fastapi import Depends, Request

from control_plane.features.health.schemas import CloudBody, DependencyBody, HealthBody
from control_plane.features.health.service import Health
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import PUBLIC_ERRORS
from control_plane.web.urls import ControlPlaneUrls

router = authorized_router("health", PUBLIC_ERRORS)


async def _service(request: Request) -> Health:
    # Asynchronous: liveness must not wait for a free thread.
    service: Health = request.app.state.services.health
    return service


@router.get("/health")
async def get_health(health: Annotated[Health, Depends(_service)]) -> HealthBody:
    """200 while this process lives, also `degraded`: `unavailable` names the servers that do not answer."""
    unavailable = tuple(
        DependencyBody(name=each.name, message=f"no answer for {each.silent_seconds:.0f} s")
        for each in health.unavailable()
    )
    return HealthBody(status="degraded" if unavailable else "healthy", unavailable=unavailable)


@router.get("/ready")
def get_readiness(caller: RequestCaller, health: Annotated[Health, Depends(_service)]) -> HealthBody:
    """200 while changes can be made; 503 while the database does not answer."""
    health.check_database(caller)
    return HealthBody(status="ready")


@router.get("/metadata/endpoints")
async def get_cloud_metadata(bases: ControlPlaneUrls) -> list[CloudBody]:
    """For ARM_CLOUD_METADATA_URL, by which Azure's tools talk to this platform as a cloud.

    One entry for the URL that was asked, and one for MODELYARD_PUBLIC_URL.
    """
    return [CloudBody.at(base) for base in bases]
