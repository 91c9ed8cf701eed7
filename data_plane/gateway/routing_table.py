"""What the gateway routes by: the latest snapshot, made ready for use.

A deployment's generation is compiled once and kept from snapshot to snapshot; one that is replaced or gone answers
what it has taken before it lets go of its workers.
"""

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data_plane.gateway.credentials import Credentials
from data_plane.gateway.refusals import DeploymentBroken, NoTraffic, UnknownDeployment, UnknownEndpoint
from data_plane.gateway.target import Target
from data_plane.signature import CompiledSignature, InvalidSignature, compile_signature
from modelyard.core.domain.bundle import BUNDLE_FILE, Bundle
from modelyard.core.domain.routing import DeploymentRoute, EndpointRoute, RoutingSnapshot

_log = logging.getLogger(__name__)

MakeTarget = Callable[[DeploymentRoute], Target]


@dataclass(frozen=True, slots=True)
class LiveDeployment:
    route: DeploymentRoute
    target: Target
    compiled: CompiledSignature | None
    """None when the bundle cannot be read; `fault` says why."""
    fault: str = ""

    @property
    def signature(self) -> CompiledSignature:
        if self.compiled is None:
            raise DeploymentBroken(self.route.name, self.fault)
        return self.compiled

    def serves(self, route: DeploymentRoute) -> bool:
        """Whether a newer route is of the same generation."""
        return (self.route.generation, self.route.bundle_dir) == (route.generation, route.bundle_dir)


@dataclass(frozen=True, slots=True)
class LiveEndpoint:
    name: str
    credentials: Credentials
    deployments: Mapping[str, LiveDeployment]
    weighted: tuple[tuple[str, ...], tuple[int, ...]]
    """The deployments with a positive weight, and their weights."""

    def choose(self, named: str | None) -> LiveDeployment:
        """The deployment a caller names, whatever its weight; else one by the weights."""
        if named is not None:
            deployment = self.deployments.get(named) or self.deployments.get(named.lower())
            if deployment is None:
                raise UnknownDeployment(named, tuple(self.deployments))
            return deployment
        names, weights = self.weighted
        if not names:
            raise NoTraffic(self.name)
        name = names[0] if len(names) == 1 else random.choices(names, weights)[0]
        return self.deployments[name]

    @property
    def is_ready(self) -> bool:
        return any(self.deployments[name].target.is_ready for name in self.weighted[0])


class RoutingTable:
    def __init__(self, make_target: MakeTarget) -> None:
        self._make_target = make_target
        self._endpoints: dict[str, LiveEndpoint] = {}

    def endpoint(self, name: str) -> LiveEndpoint:
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise UnknownEndpoint(name)
        return endpoint

    def apply(self, snapshot: RoutingSnapshot) -> None:
        before = self._targets()
        self._endpoints = {name: self._endpoint(route) for name, route in snapshot.endpoints.items()}
        kept = self._targets()
        for identity, target in before.items():
            if identity not in kept:
                target.retire()

    def close(self) -> None:
        self.apply(RoutingSnapshot(0, 0))

    def _targets(self) -> dict[int, Target]:
        return {id(live.target): live.target for each in self._endpoints.values() for live in each.deployments.values()}

    def _endpoint(self, route: EndpointRoute) -> LiveEndpoint:
        present = self._endpoints.get(route.name)
        serving = present.deployments if present else {}
        deployments = {name: self._deployment(each, serving.get(name)) for name, each in route.deployments.items()}
        weights = {name: weight for name, weight in route.traffic.items() if weight > 0 and name in deployments}
        return LiveEndpoint(route.name, Credentials(route), deployments, (tuple(weights), tuple(weights.values())))

    def _deployment(self, route: DeploymentRoute, serving: LiveDeployment | None) -> LiveDeployment:
        if serving is None or not serving.serves(route):
            target = self._make_target(route)
            return LiveDeployment(route, target, *_compile(route))
        serving.target.update(route)
        if serving.compiled is None:
            return LiveDeployment(route, serving.target, *_compile(route))
        return LiveDeployment(route, serving.target, serving.compiled)


def _compile(route: DeploymentRoute) -> tuple[CompiledSignature | None, str]:
    """One broken deployment must not keep the others from being routed to."""
    try:
        bundle = Bundle.from_json((Path(route.bundle_dir) / BUNDLE_FILE).read_bytes())
        return compile_signature(bundle.signature, type_hints=bundle.type_hints), ""
    except InvalidSignature as error:
        fault = str(error)
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = f"its bundle cannot be read: {error!r}"
    _log.error("Deployment %s, generation %s: %s", route.name, route.generation, fault)
    return None, fault
