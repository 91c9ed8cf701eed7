"""A batch endpoint: a URL for jobs, and the default deployment of jobs."""

from dataclasses import dataclass

from control_plane.resources.endpoints.endpoint import Endpoint, EndpointPatch, EndpointSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEndpointSpec(EndpointSpec):
    default_deployment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEndpointPatch(EndpointPatch):
    description: str | None = None
    default_deployment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEndpoint(Endpoint):
    default_deployment: str | None
