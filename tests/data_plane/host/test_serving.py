"""From a generation that is built to workers that serve, and back to nothing."""

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

# A model that raises, one whose process dies, and one that takes for ever.
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


class TestADeployment:
    def test_serves_when_all_its_workers_are_ready(self, yard):
        yard.deploy(answering("hello"), instances=2)
        yard.start_host()
        yard.eventually_is(SUCCEEDED, serving=1, operation="Succeeded")
        assert len(yard.routed()) == 2
        assert yard.answers() == {"hello"}
        assert {row.state for row in yard.worker_rows()} == {"Ready"}

    def test_is_no_success_before_the_gateways_know_it(self, yard):
        yard.start_host()
        eventually(lambda: yard.operations()["endpoint wines"] == "Succeeded")
        yard.gateway.is_attentive.clear()
        yard.deploy(answering("hello"))
        yard.eventually_is(ProvisioningState.CREATING, serving=1)
        eventually(yard.routed)
        assert yard.deployment().operation == "InProgress"
        yard.gateway.is_attentive.set()
        yard.eventually_is(SUCCEEDED, operation="Succeeded")

    def test_sees_its_model_and_its_variables_and_nothing_of_the_platform(self, yard):
        yard.deploy(
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
        yard.start_host()
        yard.eventually_is(SUCCEEDED)
        assert yard.answers() == {"['weights', 'red', []]"}

    def test_that_raises_fails_with_the_models_own_sentence_and_leaves_no_worker(self, yard):
        yard.deploy(RAISES)
        yard.start_host()
        shown = yard.eventually_is(FAILED, operation="Failed")
        assert shown.code == "ResourceNotReady"
        assert shown.message.startswith("ValueError: the weights are of another version. ")
        assert "get-logs -n blue -e wines" in shown.message
        assert "the weights are of another version" in yard.model_log()
        eventually(lambda: not yard.workers() and not yard.worker_rows())

    def test_whose_process_dies_is_given_three_chances(self, yard):
        yard.deploy(DIES)
        yard.start_host()
        shown = yard.eventually_is(FAILED)
        assert "SIGSEGV" in shown.message
        assert yard.model_log().count("Worker started") == 3

    def test_that_does_not_load_in_time_fails(self, yard):
        yard.deploy(LOADS_FOR_EVER, readiness=IMPATIENT)
        yard.start_host()
        shown = yard.eventually_is(FAILED)
        assert shown.message.startswith("the model was not loaded within 0.5 s (readinessProbe). ")
        eventually(lambda: not yard.workers())

    def test_whose_environment_is_nowhere_fails_and_says_so(self, yard):
        yard.deploy(answering("hello"))
        (yard.data_dir.environments / ENVIRONMENT / "bin" / "python").unlink()
        yard.start_host()
        reason = f"environments/{LOCK}.json is not in the object store"
        assert reason in yard.eventually_is(FAILED).message
        assert f"failed: {reason}" in yard.model_log(STORAGE_INITIALIZER)


class TestAnEnvironmentOfAnotherMachine:
    def test_is_made_here_which_the_deployments_log_tells(self, yard, tmp_path):
        yard.move_environment_away(make_wheel(tmp_path, "alpha", code="GREETING = 'hello from a wheel'"))
        yard.deploy(ANSWERS_FROM_A_PACKAGE)
        yard.start_host()
        yard.eventually_is(SUCCEEDED, serving=1)
        assert yard.answers() == {"hello from a wheel"}
        log = yard.model_log(STORAGE_INITIALIZER)
        assert "fetching 1 packages" in log
        assert f"environment {ENVIRONMENT} is complete" in log

    def test_is_removed_once_it_is_published_no_more(self, yard):
        yard.forget_environment()
        yard.start_host()
        eventually(lambda: not list(yard.data_dir.environments.iterdir()))


class TestAnUpdate:
    def test_takes_over_when_it_is_ready(self, yard):
        yard.deploy(answering("old"))
        yard.start_host()
        yard.eventually_is(SUCCEEDED, serving=1)
        old = yard.pids()
        yard.deploy(answering("new"))
        yard.eventually_is(SUCCEEDED, serving=2)
        assert yard.answers() == {"new"}
        eventually(lambda: not yard.pids() & old)

    def test_leaves_the_old_workers_alone_until_the_gateways_know_the_new(self, yard):
        yard.deploy(answering("old"))
        yard.start_host()
        yard.eventually_is(SUCCEEDED, serving=1)
        old = yard.pids()
        yard.gateway.is_attentive.clear()
        yard.deploy(answering("new"))
        eventually(lambda: yard.routed() and not yard.routed() & old)
        assert old < yard.pids()
        yard.gateway.is_attentive.set()
        eventually(lambda: not yard.pids() & old)

    def test_that_fails_leaves_the_old_one_serving(self, yard):
        yard.deploy(answering("old"))
        yard.start_host()
        yard.eventually_is(SUCCEEDED, serving=1)
        old = yard.pids()
        yard.deploy(RAISES)
        yard.eventually_is(FAILED, serving=1)
        eventually(lambda: yard.pids() == old)
        assert yard.answers() == {"old"}


class TestScaling:
    def test_adds_workers_and_takes_them_away_in_place(self, yard):
        yard.deploy(answering("hello"))
        yard.start_host()
        yard.eventually_is(SUCCEEDED)
        first = yard.pids()
        yard.scale(2)
        yard.eventually_is(SUCCEEDED)
        assert len(yard.routed()) == 2
        assert first < yard.routed()
        yard.scale(1)
        yard.eventually_is(SUCCEEDED)
        assert yard.routed() == yard.pids() == first


class TestSeveralWorkersPerInstance:
    def test_are_started_routed_to_and_scaled_by_instances(self, yard):
        yard.deploy(answering("hello"), instances=2, WORKER_COUNT="2")
        yard.start_host()
        yard.eventually_is(SUCCEEDED)
        first = yard.routed()
        assert len(first) == 4
        assert yard.route().instance_count == 2
        yard.scale(1)
        yard.eventually_is(SUCCEEDED)
        eventually(lambda: yard.pids() == yard.routed())
        assert len(yard.routed() & first) == 2
        assert yard.route().instance_count == 1
        yard.scale(2)
        yard.eventually_is(SUCCEEDED)
        assert len(yard.routed()) == 4

    def test_share_the_cores_of_the_machine(self, yard):
        yard.deploy(
            """
            import os

            def init():
                pass

            def run(input_data, params=None):
                return os.environ["OMP_NUM_THREADS"]
            """,
            WORKER_COUNT="2",
        )
        yard.start_host()
        yard.eventually_is(SUCCEEDED)
        assert yard.answers() == {str(max(1, usable_cores() // 2))}


class TestADeletion:
    def test_of_a_deployment_ends_its_workers_and_then_its_row(self, yard):
        yard.deploy(answering("hello"))
        yard.start_host()
        yard.eventually_is(SUCCEEDED)
        yard.delete(OnlineDeploymentRow)
        eventually(lambda: not yard.rows(OnlineDeploymentRow))
        assert not yard.workers()
        assert not yard.routed()
        assert yard.operations()["delete"] == "Succeeded"
        left = [path.name for path in (*yard.data_dir.workers.iterdir(), *yard.data_dir.worker_run_files.iterdir())]
        assert left == []

    def test_of_an_endpoint_takes_its_deployments_along(self, yard):
        yard.deploy(answering("hello"))
        yard.start_host()
        yard.eventually_is(SUCCEEDED)
        yard.delete(OnlineEndpointRow)
        eventually(lambda: not yard.rows(OnlineEndpointRow))
        assert not yard.workers()
        assert yard.gateway.snapshot().endpoints == {}


class TestAWorkerThatDies:
    def test_is_replaced_and_its_end_is_told(self, yard):
        yard.deploy(answering("hello"))
        yard.start_host()
        yard.eventually_is(SUCCEEDED)
        (old,) = yard.pids()
        os.kill(old, signal.SIGKILL)
        eventually(lambda: yard.routed() and yard.routed() != {old})
        assert yard.answers() == {"hello"}

        def told():
            (row,) = yard.worker_rows()
            return row if row.state == "Ready" and row.restarts == 1 else None

        assert "SIGKILL" in eventually(told).last_exit_reason

    def test_is_no_longer_routed_to_while_there_is_no_other(self, yard):
        yard.deploy(answering("hello"))
        yard.start_host()
        yard.eventually_is(SUCCEEDED)
        before = yard.gateway.snapshot()
        # The next one waits for its turn until the test lets it.
        (bundle,) = yard.data_dir.bundles.glob("*/score.py")
        bundle.write_text("import threading\n\ndef init():\n    threading.Event().wait()\n\ndef run(x):\n    pass\n")
        os.kill(yard.pids().pop(), signal.SIGKILL)
        eventually(lambda: not yard.routed())
        after = yard.gateway.snapshot()
        assert (after.revision, after.sequence) == (before.revision, before.sequence + 1)
        assert "blue" in after.endpoints["wines"].deployments

    def test_of_silence_is_killed_and_replaced(self, yard):
        yard.deploy(
            answering("hello"),
            liveness=Probe(initial_delay_seconds=0, period_seconds=0.1, timeout_seconds=0.1, failure_threshold=2),
        )
        yard.start_host()
        yard.eventually_is(SUCCEEDED)
        (old,) = yard.pids()
        os.kill(old, signal.SIGSTOP)
        eventually(lambda: yard.routed() and yard.routed() != {old})
        eventually(lambda: "liveness probes in a row" in str(yard.worker_rows()[0].last_exit_reason))


def test_the_revision_asked_for_is_recorded_as_applied(yard):
    yard.start_host()
    eventually(lambda: yard.rows(RoutingRow)[0].applied == 1)
    assert yard.operations() == {"endpoint wines": "Succeeded"}
