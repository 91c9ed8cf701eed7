"""The routes for the gateways, from the wanted state and the ready workers: pure."""

from collections.abc import Mapping
from pathlib import Path

from data_plane.host.observed import Observed
from data_plane.host.wanted import Goal, Wanted, WantedDeployment, WantedEndpoint
from modelyard.core.domain.routing import DeploymentRoute, EndpointRoute, WorkerRoute


def build_routes(
    wanted: Wanted, observed: Observed, bundles: Mapping[str, Path], derived_token_keys: tuple[str, ...] = ()
) -> dict[str, EndpointRoute]:
    """`bundles` are the folders of bundles on this machine, by hash: the gateway reads the signature there."""
    return RouteBuilder(derived_token_keys).build(wanted, observed, bundles)


class RouteBuilder:
    """Builds the routes again and again: unchanged routes stay the same objects, also between two wanted states."""

    def __init__(self, derived_token_keys: tuple[str, ...] = ()) -> None:
        self._derived_token_keys = derived_token_keys
        self._wanted = Wanted(revision=0, applied=0)
        self._routes: dict[str, EndpointRoute] = {}

    def build(self, wanted: Wanted, observed: Observed, bundles: Mapping[str, Path]) -> dict[str, EndpointRoute]:
        """Return the routes as `build_routes` does: the same dictionary as at the last call if nothing has changed."""
        last, routes = self._routes, self._routes
        if wanted is not self._wanted:
            known = {endpoint.id: endpoint for endpoint in self._wanted.endpoints}
            routes = {
                endpoint.name: last[endpoint.name]
                if known.get(endpoint.id) is endpoint and endpoint.name in last
                else self._endpoint(endpoint, observed, bundles)
                for endpoint in wanted.endpoints
                if not endpoint.is_being_deleted
            }
        changed = {
            endpoint.name: route
            for endpoint in wanted.active_endpoints
            if not endpoint.is_being_deleted
            and (route := self._endpoint(endpoint, observed, bundles)) != routes[endpoint.name]
        }
        self._wanted, self._routes = wanted, {**routes, **changed} if changed else routes
        return self._routes

    def _endpoint(self, endpoint: WantedEndpoint, observed: Observed, bundles: Mapping[str, Path]) -> EndpointRoute:
        by_key, by_role = endpoint.auth_mode == "Key", endpoint.auth_mode == "AADToken"
        routes = [_deployment(deployment, observed, bundles) for deployment in endpoint.deployments]
        return EndpointRoute(
            name=endpoint.name,
            auth_mode=endpoint.auth_mode,
            key_digests=endpoint.key_digests if by_key else (),
            token_public_key=None if by_key else endpoint.token_public_key,
            traffic=endpoint.traffic,
            mirror_traffic=endpoint.mirror_traffic,
            deployments={route.name: route for route in routes if route is not None},
            workspace=endpoint.workspace if by_role else None,
            tokens=endpoint.tokens if by_role else {},
            derived_token_keys=self._derived_token_keys if by_role else (),
            requests_per_second=endpoint.rate_limit.requests_per_second,
            requests_per_day=endpoint.rate_limit.requests_per_day,
        )


def _deployment(
    deployment: WantedDeployment, observed: Observed, bundles: Mapping[str, Path]
) -> DeploymentRoute | None:
    generation = deployment.serving
    if deployment.is_being_deleted or generation is None or generation.bundle_hash not in bundles:
        return None
    settings = generation.spec.request_settings
    return DeploymentRoute(
        name=deployment.name,
        generation=generation.number,
        bundle_dir=str(bundles[generation.bundle_hash]),
        workers=_workers(Goal(deployment, generation), observed),
        request_timeout_seconds=settings.request_timeout_seconds,
        max_concurrent_requests_per_instance=settings.max_concurrent_requests_per_instance,
        max_queue_wait_seconds=settings.max_queue_wait_seconds,
        instance_count=deployment.instance_count,
        batching=settings.batching,
        max_batch_delay_seconds=settings.max_batch_delay_seconds,
        max_batch_rows=settings.max_batch_rows,
    )


def _workers(goal: Goal, observed: Observed) -> tuple[WorkerRoute, ...]:
    ready = (observed.ready_worker(slot, goal) for slot in goal.slots)
    return tuple(WorkerRoute(worker.worker_id, worker.socket, worker.pid) for worker in ready if worker is not None)
