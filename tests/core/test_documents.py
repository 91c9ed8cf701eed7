"""Documents of another version: gateways and hosts are upgraded one after the other, in either order."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from modelyard.core.domain.batch import BatchSettings
from modelyard.core.domain.bundle import Bundle, BundledEnvironment, BundledModel
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.documents import UnreadableFormat, check_format
from modelyard.core.domain.mlmodel import RawSignature
from modelyard.core.domain.model_manifest import ModelFile, ModelManifest
from modelyard.core.domain.routing import DeploymentRoute, EndpointRoute, RoutingSnapshot, WorkerRoute

SNAPSHOT = RoutingSnapshot(
    revision=3,
    sequence=1,
    endpoints={
        "wines": EndpointRoute(
            name="wines",
            auth_mode="Key",
            key_digests=("a", "b"),
            token_public_key=None,
            traffic={"blue": 100},
            mirror_traffic={},
            deployments={
                "blue": DeploymentRoute(
                    name="blue",
                    generation=2,
                    bundle_dir="/bundles/b",
                    workers=(WorkerRoute("g2-0", "/s/g2-0.sock", 42),),
                    request_timeout_seconds=5.0,
                    max_concurrent_requests_per_instance=None,
                    max_queue_wait_seconds=None,
                )
            },
        )
    },
)
BUNDLE = Bundle(
    endpoint="wines",
    deployment="blue",
    generation=2,
    model=BundledModel("m", "1", ModelManifest((ModelFile("m/MLmodel", "0" * 64, 9),)), "m"),
    environment=BundledEnvironment("spec", "lock", "3.11.7", "numpy==2.1.0"),
    flavor="sklearn",
    loader_module="mlflow.sklearn",
    predict_fn="predict",
    mlflow_version="2.22.0",
    signature=RawSignature("[]", None, None),
    type_hints=False,
)
SPEC = DeploymentSpec("/models/m/versions/1")
SETTINGS = BatchSettings()

Document = tuple[Any, Callable[[Any], Any], dict[str, Any]]
DOCUMENTS: dict[str, Document] = {
    "routing snapshot": (SNAPSHOT, lambda it: RoutingSnapshot.from_json(encoded(it)), json.loads(SNAPSHOT.to_json())),
    "bundle": (BUNDLE, lambda it: Bundle.from_json(encoded(it)), json.loads(BUNDLE.to_json())),
    "deployment's specification": (SPEC, DeploymentSpec.from_dict, SPEC.to_dict()),
    "batch settings": (SETTINGS, BatchSettings.from_dict, SETTINGS.to_dict()),
}
every_document = pytest.mark.parametrize(("value", "read", "document"), DOCUMENTS.values(), ids=DOCUMENTS)


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


FREE_FORM = {"traffic", "mirror_traffic", "environment_variables"}
"""Mappings whose keys are names, not fields."""
BY_NAME = {"endpoints", "deployments"}
"""Mappings of names to objects with fields."""


def with_unknown_fields(value: Any) -> Any:
    """The document with one more field in every object."""
    if isinstance(value, list):
        return [with_unknown_fields(each) for each in value]
    if not isinstance(value, dict):
        return value
    known = {}
    for name, entry in value.items():
        if name in FREE_FORM:
            known[name] = entry
        elif name in BY_NAME:
            known[name] = {key: with_unknown_fields(each) for key, each in entry.items()}
        else:
            known[name] = with_unknown_fields(entry)
    return {**known, "field_of_tomorrow": {"a": 1}}


class TestEveryDocument:
    @every_document
    def test_is_read_as_it_was_written(self, value, read, document):
        assert read(document) == value

    @every_document
    def test_of_a_later_minor_version_is_read_without_its_unknown_fields(self, value, read, document):
        assert read({**with_unknown_fields(document), "version": "1.7"}) == value

    @every_document
    def test_without_a_version_has_version_1(self, value, read, document):
        assert read({name: entry for name, entry in document.items() if name != "version"}) == value

    @every_document
    def test_of_a_later_major_version_is_refused_with_advice(self, value, read, document):
        with pytest.raises(UnreadableFormat, match=r"has format version 2\.1, .* reads versions up to 1: upgrade"):
            read({**document, "version": "2.1"})


def test_version_that_is_no_number_is_refused():
    with pytest.raises(UnreadableFormat, match="the bundle has format version 'new', which is not a version number"):
        check_format({"version": "new"}, noun="the bundle", newest=1)


# The classes and the reader of the release before, whose gateways refuse every unknown field.


@dataclass(frozen=True, slots=True)
class FormerWorkerRoute:
    guest_id: str
    socket: str
    pid: int


@dataclass(frozen=True, slots=True)
class FormerDeploymentRoute:
    name: str
    generation: int
    bundle_dir: str
    workers: tuple[FormerWorkerRoute, ...]
    request_timeout_seconds: float
    max_concurrent_requests_per_instance: int | None
    max_queue_wait_seconds: float | None
    instance_count: int = 1
    batching: str = "auto"
    max_batch_delay_seconds: float = 0.0
    max_batch_rows: int | None = None


@dataclass(frozen=True, slots=True)
class FormerEndpointRoute:
    name: str
    auth_mode: str
    key_digests: tuple[str, ...]
    token_public_key: str | None
    traffic: dict[str, int]
    mirror_traffic: dict[str, int]
    deployments: dict[str, FormerDeploymentRoute]


def read_by_the_release_before(content: bytes) -> dict[str, FormerEndpointRoute]:
    return {name: _former_endpoint(entry) for name, entry in json.loads(content)["endpoints"].items()}


def _former_endpoint(entry: dict[str, Any]) -> FormerEndpointRoute:
    deployments = {name: _former_deployment(route) for name, route in entry["deployments"].items()}
    return FormerEndpointRoute(**{**entry, "key_digests": tuple(entry["key_digests"]), "deployments": deployments})


def _former_deployment(entry: dict[str, Any]) -> FormerDeploymentRoute:
    workers = tuple(FormerWorkerRoute(**worker) for worker in entry["workers"])
    return FormerDeploymentRoute(**{**entry, "workers": workers})


class TestRollingUpgrade:
    def test_gateway_of_the_release_before_reads_the_snapshot_of_this_host(self):
        (worker,) = read_by_the_release_before(SNAPSHOT.to_json())["wines"].deployments["blue"].workers
        assert worker == FormerWorkerRoute("g2-0", "/s/g2-0.sock", 42)

    def test_this_gateway_reads_the_snapshot_of_a_host_of_the_release_before(self):
        document = json.loads(SNAPSHOT.to_json())
        del document["version"]
        route = document["endpoints"]["wines"]["deployments"]["blue"]
        route["workers"] = [{"guest_id": "g2-0", "socket": "/s/g2-0.sock", "pid": 42}]
        assert RoutingSnapshot.from_json(encoded(document)) == SNAPSHOT

    def test_this_gateway_reads_the_snapshot_of_a_host_of_the_release_after(self):
        document = {**with_unknown_fields(json.loads(SNAPSHOT.to_json())), "version": "1.1"}
        route = document["endpoints"]["wines"]["deployments"]["blue"]
        route["workers"] = [{"worker_id": "g2-0", "socket": "/s/g2-0.sock", "pid": 42, "address": "tcp://..."}]
        assert RoutingSnapshot.from_json(encoded(document)) == SNAPSHOT
