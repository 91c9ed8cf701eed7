"""The latest routing snapshot, made ready for use.

A generation of a deployment is loaded once and kept from snapshot to snapshot. A replaced or deleted generation answers
all accepted requests, then closes the connections to the workers.
"""

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data_plane.gateway.credentials import Credentials
from data_plane.gateway.errors import DeploymentBroken, NoTraffic, UnknownDeployment, UnknownEndpoint
from data_plane.gateway.rate_limits import EndpointLimiter, MakeLimiter
from data_plane.gateway.upstream import Broken, Upstream
from data_plane.scoring.loaded_bundle import LoadedBundle, UnusableBundle, load_bundle
from modelyard.core.adapters.openid import OpenIdVerifier
from modelyard.core.domain.bundle import Bundle
from modelyard.core.domain.routing import DeploymentRoute, EndpointRoute, RoutingSnapshot

_log = logging.getLogger(__name__)

MakeUpstream = Callable[[DeploymentRoute, LoadedBundle], Upstream]


@dataclass(frozen=True, slots=True)
class LiveDeployment:
    route: DeploymentRoute
    upstream: Upstream
    loaded: LoadedBundle | str
    """Or why the bundle cannot be used."""

    @property
    def is_usable(self) -> bool:
        return not isinstance(self.loaded, str)

    @property
    def loaded_bundle(self) -> LoadedBundle:
        """Raises DeploymentBroken."""
        if isinstance(self.loaded, str):
            raise DeploymentBroken(self.route.name, self.loaded)
        return self.loaded

    @property
    def bundle(self) -> Bundle:
        """Raises DeploymentBroken."""
        return self.loaded_bundle.bundle

    def serves(self, route: DeploymentRoute) -> bool:
        """Whether a newer route is of the same generation."""
        return (self.route.generation, self.route.bundle_dir) == (route.generation, route.bundle_dir)


class LiveEndpoint:
    """One endpoint of the latest snapshot. A request that holds the object while its body arrives sees every change."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.deployments: Mapping[str, LiveDeployment] = {}
        self._weighted: tuple[tuple[str, ...], tuple[int, ...]] = (), ()
        """The deployments with a positive weight, and their weights."""

    def update(
        self,
        route: EndpointRoute,
        deployments: Mapping[str, LiveDeployment],
        openid: OpenIdVerifier,
        limiter: EndpointLimiter | None,
    ) -> None:
        self.credentials = Credentials(route, openid)
        self.limiter = limiter
        self.deployments = deployments
        weights = {name: weight for name, weight in route.traffic.items() if weight > 0 and name in deployments}
        self._weighted = tuple(weights), tuple(weights.values())
        self.mirror = self._mirror(route.mirror_traffic)

    def close(self) -> None:
        """Stop serving: the endpoint is not in the latest snapshot."""
        self.deployments, self._weighted, self.mirror = {}, ((), ()), None

    def _mirror(self, percent_by_name: Mapping[str, int]) -> tuple[LiveDeployment, int] | None:
        """Return the mirror's deployment, and the percentage of copied requests."""
        for name, percent in percent_by_name.items():
            if percent > 0 and name in self.deployments:
                return self.deployments[name], percent
        return None

    def choose(self, named: str | None) -> LiveDeployment:
        """Return the named deployment, even without traffic. Without a name, draw by the weights."""
        if named is not None:
            deployment = self.deployments.get(named) or self.deployments.get(named.lower())
            if deployment is None:
                raise UnknownDeployment(named, tuple(self.deployments))
            return deployment
        names, weights = self._weighted
        if not names:
            raise NoTraffic(self.name)
        name = names[0] if len(names) == 1 else random.choices(names, weights)[0]
        return self.deployments[name]

    def choose_among(self, is_candidate: Callable[[LiveDeployment], bool]) -> LiveDeployment | None:
        """Draw by the weights among the candidates. Returns None without a candidate."""
        weights = {
            name: weight for name, weight in zip(*self._weighted, strict=True) if is_candidate(self.deployments[name])
        }
        if not weights:
            return None
        return self.deployments[random.choices(tuple(weights), tuple(weights.values()))[0]]

    @property
    def is_usable(self) -> bool:
        return all(deployment.is_usable for deployment in self.deployments.values())

    @property
    def is_ready(self) -> bool:
        return any(self.deployments[name].upstream.is_ready for name in self._weighted[0])


class RoutingTable:
    def __init__(self, make_upstream: MakeUpstream, openid: OpenIdVerifier, make_limiter: MakeLimiter) -> None:
        self._make_upstream = make_upstream
        self._openid = openid
        self._make_limiter = make_limiter
        self._endpoints: dict[str, LiveEndpoint] = {}
        self._routes: dict[str, EndpointRoute] = {}
        """The applied routes. A route with an unusable bundle is missing, so that the next snapshot tries again."""

    def endpoint(self, name: str) -> LiveEndpoint:
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise UnknownEndpoint(name)
        return endpoint

    def apply(self, snapshot: RoutingSnapshot) -> None:
        """Apply the routes that are other objects than in the snapshot before."""
        gone = [self._endpoints.pop(name) for name in self._endpoints.keys() - snapshot.endpoints.keys()]
        changed = [route for name, route in snapshot.endpoints.items() if self._routes.get(name) is not route]
        before = [*gone, *(self._endpoints[route.name] for route in changed if route.name in self._endpoints)]
        upstreams = [live.upstream for endpoint in before for live in endpoint.deployments.values()]
        for endpoint in gone:
            endpoint.close()
        for route in changed:
            self._update(route)
        self._routes = {name: route for name, route in snapshot.endpoints.items() if self._endpoints[name].is_usable}
        kept = {id(live.upstream) for route in changed for live in self._endpoints[route.name].deployments.values()}
        for upstream in upstreams:
            if id(upstream) not in kept:
                upstream.retire()

    def close(self) -> None:
        self.apply(RoutingSnapshot(0, 0))

    def _update(self, route: EndpointRoute) -> None:
        endpoint = self._endpoints.setdefault(route.name, LiveEndpoint(route.name))
        serving = endpoint.deployments
        deployments = {name: self._deployment(each, serving.get(name)) for name, each in route.deployments.items()}
        endpoint.update(route, deployments, self._openid, self._make_limiter(route))

    def _deployment(self, route: DeploymentRoute, serving: LiveDeployment | None) -> LiveDeployment:
        if serving is None or not serving.serves(route) or not serving.is_usable:
            return self._loaded(route)
        serving.upstream.update(route)
        return LiveDeployment(route, serving.upstream, serving.loaded)

    def _loaded(self, route: DeploymentRoute) -> LiveDeployment:
        """An unusable bundle breaks one deployment, and the routes to the rest stay."""
        try:
            loaded = load_bundle(Path(route.bundle_dir))
        except UnusableBundle as unusable:
            reason = str(unusable)
            _log.error("Deployment %s, generation %s: %s", route.name, route.generation, reason)
            return LiveDeployment(route, Broken(route.name, reason), reason)
        return LiveDeployment(route, self._make_upstream(route, loaded), loaded)
