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
from data_plane.replicas.port import Replica
from data_plane.scoring.errors import DeploymentBroken, NoTraffic, UnknownDeployment, UnknownEndpoint
from data_plane.scoring.signature import CompiledSignature, InvalidSignature, compile_signature
from modelyard.core.domain.bundle import BUNDLE_FILE, Bundle
from modelyard.core.domain.routing import DeploymentRoute, EndpointRoute, RoutingSnapshot

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoadedBundle:
    """What a generation's bundle says, made ready for use."""

    bundle: Bundle
    signature: CompiledSignature


MakeReplica = Callable[[DeploymentRoute, LoadedBundle | str], Replica]


@dataclass(frozen=True, slots=True)
class LiveDeployment:
    route: DeploymentRoute
    replica: Replica
    contents: LoadedBundle | str
    """Or why the bundle cannot be used."""

    @property
    def signature(self) -> CompiledSignature:
        return self.readable.signature

    @property
    def bundle(self) -> Bundle:
        return self.readable.bundle

    @property
    def is_readable(self) -> bool:
        return not isinstance(self.contents, str)

    @property
    def readable(self) -> LoadedBundle:
        if isinstance(self.contents, str):
            raise DeploymentBroken(self.route.name, self.contents)
        return self.contents

    def serves(self, route: DeploymentRoute) -> bool:
        """Whether a newer route is of the same generation."""
        return (self.route.generation, self.route.bundle_dir) == (route.generation, route.bundle_dir)


class LiveEndpoint:
    """One endpoint as the latest snapshot has it: whoever holds on to it while a body arrives sees what has changed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.deployments: Mapping[str, LiveDeployment] = {}
        self._weighted: tuple[tuple[str, ...], tuple[int, ...]] = (), ()
        """The deployments with a positive weight, and their weights."""

    def update(self, route: EndpointRoute, deployments: Mapping[str, LiveDeployment]) -> None:
        self.credentials = Credentials(route)
        self.deployments = deployments
        weights = {name: weight for name, weight in route.traffic.items() if weight > 0 and name in deployments}
        self._weighted = tuple(weights), tuple(weights.values())
        self.mirror = self._mirror(route.mirror_traffic)

    def close(self) -> None:
        """It is gone from the snapshot."""
        self.deployments, self._weighted, self.mirror = {}, ((), ()), None

    def _mirror(self, percent_by_name: Mapping[str, int]) -> tuple[LiveDeployment, int] | None:
        """The deployment that gets copies of so many percent of the requests. There is one at most."""
        for name, percent in percent_by_name.items():
            if percent > 0 and name in self.deployments:
                return self.deployments[name], percent
        return None

    def choose(self, named: str | None) -> LiveDeployment:
        """The deployment a caller names, whatever its weight; else one by the weights."""
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

    def choose_among(self, suits: Callable[[LiveDeployment], bool]) -> LiveDeployment | None:
        """One by the weights of those that suit."""
        weights = {name: weight for name, weight in zip(*self._weighted, strict=True) if suits(self.deployments[name])}
        if not weights:
            return None
        return self.deployments[random.choices(tuple(weights), tuple(weights.values()))[0]]

    @property
    def is_ready(self) -> bool:
        return any(self.deployments[name].replica.is_ready for name in self._weighted[0])


class RoutingTable:
    def __init__(self, make_replica: MakeReplica) -> None:
        self._make_replica = make_replica
        self._endpoints: dict[str, LiveEndpoint] = {}

    def endpoint(self, name: str) -> LiveEndpoint:
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise UnknownEndpoint(name)
        return endpoint

    def apply(self, snapshot: RoutingSnapshot) -> None:
        before = self._replicas()
        for name in self._endpoints.keys() - snapshot.endpoints.keys():
            self._endpoints.pop(name).close()
        for route in snapshot.endpoints.values():
            self._update(route)
        kept = self._replicas()
        for identity, replica in before.items():
            if identity not in kept:
                replica.retire()

    def close(self) -> None:
        self.apply(RoutingSnapshot(0, 0))

    def _replicas(self) -> dict[int, Replica]:
        return {
            id(live.replica): live.replica for each in self._endpoints.values() for live in each.deployments.values()
        }

    def _update(self, route: EndpointRoute) -> None:
        endpoint = self._endpoints.setdefault(route.name, LiveEndpoint(route.name))
        serving = endpoint.deployments
        deployments = {name: self._deployment(each, serving.get(name)) for name, each in route.deployments.items()}
        endpoint.update(route, deployments)

    def _deployment(self, route: DeploymentRoute, serving: LiveDeployment | None) -> LiveDeployment:
        if serving is None or not serving.serves(route):
            contents = _contents(route)
            return LiveDeployment(route, self._make_replica(route, contents), contents)
        serving.replica.update(route)
        contents = _contents(route) if isinstance(serving.contents, str) else serving.contents
        return LiveDeployment(route, serving.replica, contents)


def _contents(route: DeploymentRoute) -> LoadedBundle | str:
    """One broken deployment must not keep the others from being routed to."""
    try:
        bundle = Bundle.from_json((Path(route.bundle_dir) / BUNDLE_FILE).read_bytes())
        return LoadedBundle(bundle, compile_signature(bundle.signature, type_hints=bundle.type_hints))
    except InvalidSignature as error:
        fault = str(error)
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = f"its bundle cannot be read: {error!r}"
    _log.error("Deployment %s, generation %s: %s", route.name, route.generation, fault)
    return fault
