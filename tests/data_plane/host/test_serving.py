"""From a built generation to serving workers, and to the deletion."""

import os
import signal

from data_plane.replicas.local.machine import usable_cores
from modelyard.core.db.rows import OnlineDeploymentRow, OnlineEndpointRow, RoutingRow
from modelyard.core.domain.deployment import Probe
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.logs import STORAGE_INITIALIZER
from tests.builder.packages import make_wheel
from tests.data_plane.host.host_harness import ENVIRONMENT, LOCK, answering
from tests.data_plane.replicas.worker_harness import eventually

SUCCEEDED, FAILED = ProvisioningState.SUCCEEDED, ProvisioningState.FAILED

# Models that raise, die or never finish loading.
RAISES = """
    def init():
        raise ValueError("the weights are of another version")

    def run(input_data, params=None):
        pass
"""
ANSWERS_FROM_A_PACKAGE = """
    import alpha

    def init():
        pass

    def run(input_data, params=None):
        return alpha.GREETING
"""
DIES = """
    import os, signal

    def init():
        os.kill(os.getpid(), signal.SIGSEGV)

    def run(input_data, params=None):
        pass
"""
LOADS_FOR_EVER = """
    import threading

    def init():
        threading.Event().wait()

    def run(input_data, params=None):
        pass
"""
IMPATIENT = Probe(initial_delay_seconds=0, period_seconds=0.5, failure_threshold=1)


class TestDeployment:
    def test_deployment_serves_once_all_workers_are_ready(self, harness):
        harness.deploy(answering("hello"), instances=2)
        harness.start_host()
        harness.eventually_is(SUCCEEDED, serving=1, operation="Succeeded")
        assert len(harness.routed()) == 2
        assert harness.answers() == {"hello"}
        assert {row.state for row in harness.worker_rows()} == {"Ready"}

    def test_deployment_succeeds_once_gateways_have_applied_it(self, harness):
        harness.start_host()
        eventually(lambda: harness.operations()["endpoint wines"] == "Succeeded")
        harness.gateway.is_attentive.clear()
        harness.deploy(answering("hello"))
        harness.eventually_is(ProvisioningState.CREATING, serving=1)
        eventually(harness.routed)
        assert harness.deployment().operation == "InProgress"
        harness.gateway.is_attentive.set()
        harness.eventually_is(SUCCEEDED, operation="Succeeded")

    def test_model_sees_its_files_and_variables_and_no_platform_variable(self, harness):
        harness.deploy(
            """
            import os

            def init():
                pass

            def run(input_data, params=None):
                folder = os.environ["AZUREML_MODEL_DIR"]
                secrets = [name for name in os.environ if name.startswith("MODELYARD")]
                return repr([open(folder + "/model/weights").read(), os.environ["COLOUR"], secrets])
            """,
            COLOUR="red",
        )
        harness.start_host()
        harness.eventually_is(SUCCEEDED)
        assert harness.answers() == {"['weights', 'red', []]"}

    def test_model_that_raises_fails_the_deployment_with_its_error(self, harness):
        harness.deploy(RAISES)
        harness.start_host()
        shown = harness.eventually_is(FAILED, operation="Failed")
        assert shown.code == "ResourceNotReady"
        assert shown.message.startswith("ValueError: the weights are of another version. ")
        assert "get-logs -n blue -e wines" in shown.message
        assert "the weights are of another version" in harness.model_log()
        eventually(lambda: not harness.workers() and not harness.worker_rows())

    def test_model_whose_process_dies_is_started_three_times(self, harness):
        harness.deploy(DIES)
        harness.start_host()
        shown = harness.eventually_is(FAILED)
        assert "SIGSEGV" in shown.message
        assert harness.model_log().count("Worker started") == 3

    def test_model_beyond_the_readiness_probe_fails_the_deployment(self, harness):
        harness.deploy(LOADS_FOR_EVER, readiness=IMPATIENT)
        harness.start_host()
        shown = harness.eventually_is(FAILED)
        assert shown.message.startswith("the model was not loaded within 0.5 s (readinessProbe). ")
        eventually(lambda: not harness.workers())

    def test_missing_environment_fails_the_deployment_with_the_reason(self, harness):
        harness.deploy(answering("hello"))
        (harness.data_dir.environments / ENVIRONMENT / "bin" / "python").unlink()
        harness.start_host()
        reason = f"environments/{LOCK}.json is not in the object store"
        assert reason in harness.eventually_is(FAILED).message
        assert f"failed: {reason}" in harness.model_log(STORAGE_INITIALIZER)


class TestEnvironmentFromAnotherMachine:
    def test_environment_is_restored_and_the_deployments_log_tells_of_it(self, harness, tmp_path):
        harness.move_environment_away(make_wheel(tmp_path, "alpha", code="GREETING = 'hello from a wheel'"))
        harness.deploy(ANSWERS_FROM_A_PACKAGE)
        harness.start_host()
        harness.eventually_is(SUCCEEDED, serving=1)
        assert harness.answers() == {"hello from a wheel"}
        log = harness.model_log(STORAGE_INITIALIZER)
        assert "fetching 1 packages" in log
        assert f"environment {ENVIRONMENT} is complete" in log

    def test_unpublished_environment_is_removed(self, harness):
        harness.forget_environment()
        harness.start_host()
        eventually(lambda: not list(harness.data_dir.environments.iterdir()))


class TestUpdate:
    def test_new_generation_takes_over_once_ready(self, harness):
        harness.deploy(answering("old"))
        harness.start_host()
        harness.eventually_is(SUCCEEDED, serving=1)
        old = harness.pids()
        harness.deploy(answering("new"))
        harness.eventually_is(SUCCEEDED, serving=2)
        assert harness.answers() == {"new"}
        eventually(lambda: not harness.pids() & old)

    def test_old_workers_stay_until_gateways_know_the_new(self, harness):
        harness.deploy(answering("old"))
        harness.start_host()
        harness.eventually_is(SUCCEEDED, serving=1)
        old = harness.pids()
        harness.gateway.is_attentive.clear()
        harness.deploy(answering("new"))
        eventually(lambda: harness.routed() and not harness.routed() & old)
        assert old < harness.pids()
        harness.gateway.is_attentive.set()
        eventually(lambda: not harness.pids() & old)

    def test_failed_update_leaves_the_old_generation_serving(self, harness):
        harness.deploy(answering("old"))
        harness.start_host()
        harness.eventually_is(SUCCEEDED, serving=1)
        old = harness.pids()
        harness.deploy(RAISES)
        harness.eventually_is(FAILED, serving=1)
        eventually(lambda: harness.pids() == old)
        assert harness.answers() == {"old"}


class TestScaling:
    def test_scaling_adds_and_removes_workers_in_place(self, harness):
        harness.deploy(answering("hello"))
        harness.start_host()
        harness.eventually_is(SUCCEEDED)
        first = harness.pids()
        harness.scale(2)
        harness.eventually_is(SUCCEEDED)
        assert len(harness.routed()) == 2
        assert first < harness.routed()
        harness.scale(1)
        harness.eventually_is(SUCCEEDED)
        assert harness.routed() == harness.pids() == first


class TestSeveralWorkersPerInstance:
    def test_workers_per_instance_are_started_routed_and_scaled(self, harness):
        harness.deploy(answering("hello"), instances=2, WORKER_COUNT="2")
        harness.start_host()
        harness.eventually_is(SUCCEEDED)
        first = harness.routed()
        assert len(first) == 4
        assert harness.route().instance_count == 2
        harness.scale(1)
        harness.eventually_is(SUCCEEDED)
        eventually(lambda: harness.pids() == harness.routed())
        assert len(harness.routed() & first) == 2
        assert harness.route().instance_count == 1
        harness.scale(2)
        harness.eventually_is(SUCCEEDED)
        assert len(harness.routed()) == 4

    def test_workers_per_instance_share_the_cores(self, harness):
        harness.deploy(
            """
            import os

            def init():
                pass

            def run(input_data, params=None):
                return os.environ["OMP_NUM_THREADS"]
            """,
            WORKER_COUNT="2",
        )
        harness.start_host()
        harness.eventually_is(SUCCEEDED)
        assert harness.answers() == {str(max(1, usable_cores() // 2))}


class TestDeletion:
    def test_deleted_deployment_ends_its_workers_and_then_its_row(self, harness):
        harness.deploy(answering("hello"))
        harness.start_host()
        harness.eventually_is(SUCCEEDED)
        harness.delete(OnlineDeploymentRow)
        eventually(lambda: not harness.rows(OnlineDeploymentRow))
        assert not harness.workers()
        assert not harness.routed()
        assert harness.operations()["delete"] == "Succeeded"
        left = [
            path.name for path in (*harness.data_dir.workers.iterdir(), *harness.data_dir.worker_run_files.iterdir())
        ]
        assert left == []

    def test_deleted_endpoint_deletes_its_deployments(self, harness):
        harness.deploy(answering("hello"))
        harness.start_host()
        harness.eventually_is(SUCCEEDED)
        harness.delete(OnlineEndpointRow)
        eventually(lambda: not harness.rows(OnlineEndpointRow))
        assert not harness.workers()
        assert harness.gateway.snapshot().endpoints == {}


class TestDeadWorker:
    def test_killed_worker_is_replaced_and_its_exit_reason_is_shown(self, harness):
        harness.deploy(answering("hello"))
        harness.start_host()
        harness.eventually_is(SUCCEEDED)
        (old,) = harness.pids()
        os.kill(old, signal.SIGKILL)
        eventually(lambda: harness.routed() and harness.routed() != {old})
        assert harness.answers() == {"hello"}

        def told():
            (row,) = harness.worker_rows()
            return row if row.state == "Ready" and row.restarts == 1 else None

        assert "SIGKILL" in eventually(told).last_exit_reason

    def test_dead_worker_leaves_the_snapshot_before_its_replacement_is_ready(self, harness):
        harness.deploy(answering("hello"))
        harness.start_host()
        harness.eventually_is(SUCCEEDED)
        before = harness.gateway.snapshot()
        # The replacement never becomes ready.
        (bundle,) = harness.data_dir.bundles.glob("*/score.py")
        bundle.write_text("import threading\n\ndef init():\n    threading.Event().wait()\n\ndef run(x):\n    pass\n")
        os.kill(harness.pids().pop(), signal.SIGKILL)
        eventually(lambda: not harness.routed())
        after = harness.gateway.snapshot()
        assert (after.revision, after.sequence) == (before.revision, before.sequence + 1)
        assert "blue" in after.endpoints["wines"].deployments

    def test_worker_that_fails_its_liveness_probes_is_killed_and_replaced(self, harness):
        harness.deploy(
            answering("hello"),
            liveness=Probe(initial_delay_seconds=0, period_seconds=0.1, timeout_seconds=0.1, failure_threshold=2),
        )
        harness.start_host()
        harness.eventually_is(SUCCEEDED)
        (old,) = harness.pids()
        os.kill(old, signal.SIGSTOP)
        eventually(lambda: harness.routed() and harness.routed() != {old})
        eventually(lambda: "liveness probes in a row" in str(harness.worker_rows()[0].last_exit_reason))


def test_requested_revision_is_recorded_as_applied(harness):
    harness.start_host()
    eventually(lambda: harness.rows(RoutingRow)[0].applied == 1)
    assert harness.operations() == {"endpoint wines": "Succeeded"}
