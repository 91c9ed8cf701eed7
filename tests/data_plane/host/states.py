"""Wanted and observed states as plain values, for the tests of pure planning."""

from dataclasses import replace
from typing import Any

from data_plane.host.observed import Observed, ObservedWorker, Preparation, RestartHistory
from data_plane.host.wanted import Slot, Wanted, WantedDeployment, WantedEndpoint, WantedGeneration
from data_plane.replicas.port import Phase
from modelyard.core.domain.deployment import DeploymentSpec, Probe
from modelyard.core.domain.lifecycle import ProvisioningState

NOW = 1_000_000.0
DEPLOYMENT = 7


def generation(number: int = 1, **changes: Any) -> WantedGeneration:
    spec = DeploymentSpec(
        model_id="m",
        liveness_probe=Probe(initial_delay_seconds=0, failure_threshold=3),
        readiness_probe=Probe(initial_delay_seconds=10, period_seconds=10, failure_threshold=3),
    )
    wanted = WantedGeneration(
        id=100 + number, number=number, spec=spec, bundle_hash=f"bundle-{number}", lock_hash="l" * 64
    )
    return replace(wanted, **changes)


def wanted(*, revision: int = 1, applied: int = 1, endpoint: dict[str, Any] | None = None, **changes: Any) -> Wanted:
    """An endpoint with a deployment; by default generation 1 serves with one worker."""
    deployment = WantedDeployment(
        id=DEPLOYMENT,
        endpoint="wines",
        name="blue",
        state=ProvisioningState.SUCCEEDED,
        instance_count=1,
        serving=generation(1),
        candidate=None,
    )
    owner = WantedEndpoint(
        id=3,
        name="wines",
        state=ProvisioningState.SUCCEEDED,
        auth_mode="Key",
        key_digests=("a", "b"),
        token_public_key="public",
        traffic={"blue": 100},
        mirror_traffic={},
        deployments=(replace(deployment, **changes),),
    )
    return Wanted(revision=revision, applied=applied, endpoints=(replace(owner, **(endpoint or {})),))


def slot(number: int = 0, generation: int = 1) -> Slot:
    return Slot(DEPLOYMENT, generation, number)


def worker(number: int = 0, generation: int = 1, phase: Phase = Phase.READY, **changes: Any) -> ObservedWorker:
    observed = ObservedWorker(
        worker_id=f"g{generation}-{number}",
        slot=slot(number, generation),
        bundle_hash=f"bundle-{generation}",
        socket=f"/s/{generation}-{number}",
        pid=4000 + number,
        phase=phase,
        started_at=NOW - 5,
    )
    return replace(observed, **changes)


def observed(
    *workers: ObservedWorker, current: bool = True, prepared: tuple[int, ...] = (1, 2), **more: Any
) -> Observed:
    done = {100 + number: Preparation(is_done=True) for number in prepared}
    return Observed(workers=workers, gateways_are_current=current, **{"preparations": done, **more})


def broken(
    times: int = 1, reason: str = "killed by signal 9 (SIGKILL)", final_reason: str | None = None
) -> RestartHistory:
    history = RestartHistory()
    for _ in range(times):
        history = history.failed(reason, now=NOW, final_reason=final_reason)
    return history
