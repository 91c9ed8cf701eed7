"""Texts that a model sends to the host: they fail that deployment alone."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from data_plane.host.database_sync import DatabaseSync
from data_plane.host.reports import GenerationFailed, GenerationReady
from data_plane.host.role import HostRole
from data_plane.host.wanted import Slot
from data_plane.host.worker_statuses import WorkerStatus
from modelyard.core.db.rows import GenerationRow, OnlineDeploymentRow, OnlineEndpointRow, WorkerRow
from modelyard.core.db.unit_of_work import open_database
from modelyard.core.domain.lifecycle import ProvisioningState
from tests.data_plane.host.host_harness import HostHarness, answering
from tests.data_plane.replicas.worker_harness import eventually

RAISING = """
    def init():
        raise RuntimeError({message!r})

    def run(input_data, params=None):
        return 1
"""


def states(harness: HostHarness) -> dict[str, tuple[str, str | None]]:
    with harness._sessions() as session:
        rows = session.execute(
            select(
                OnlineEndpointRow.name, OnlineDeploymentRow.provisioning_state, OnlineDeploymentRow.failure_message
            ).join(OnlineEndpointRow)
        )
        return {name: (state, message) for name, state, message in rows}


@pytest.mark.parametrize(
    ("message", "shown"),
    [("bad \0 byte", "bad \\x00 byte"), ("half \ud800 pair", "half \\ud800 pair"), ("\x1b[2J" * 9999, "\\x1b[2J")],
)
def test_load_error_with_unstorable_text_fails_its_deployment_and_others_can_be_changed(harness, message, shown):
    harness.endpoint("cheeses")
    harness.deploy(RAISING.format(message=message))
    harness.start_host()
    eventually(lambda: states(harness)["wines"][0] == ProvisioningState.FAILED)
    assert shown in str(states(harness)["wines"][1])
    harness.deploy(answering("hello"), endpoint="cheeses")
    eventually(lambda: states(harness)["cheeses"][0] == ProvisioningState.SUCCEEDED)
    assert harness.host.poll() is None


@pytest.fixture
def sync(harness: HostHarness, database_url: str) -> Iterator[DatabaseSync]:
    engine = open_database(database_url)
    role = HostRole(harness.data_dir.run / "host.lease")
    assert role.take_machine()
    syncing = DatabaseSync(engine, role, lambda: None)
    syncing.start()
    yield syncing
    syncing.close()
    engine.dispose()


class TestRefusedFacts:
    def test_report_that_the_database_refuses_does_not_stop_the_others(self, harness, sync):
        harness.endpoint("cheeses")
        harness.deploy(answering("old"))
        harness.deploy(answering("new"), endpoint="cheeses")
        wines, cheeses = sorted(generation.id for generation in harness.rows(GenerationRow))
        refused = GenerationFailed(wines, "NUL \0")
        sync.submit((refused, GenerationReady(cheeses)), frozenset())
        eventually(lambda: {g.id: g.state for g in harness.rows(GenerationRow)}[cheeses] == "Serving")
        assert not sync.has_failed.is_set()

    @pytest.mark.parametrize("text", ["NUL \0", "half a pair \ud800"])
    def test_status_that_the_database_refuses_does_not_stop_the_others(self, harness, sync, text):
        harness.deploy(answering("hello"))
        (deployment,) = harness.rows(OnlineDeploymentRow)

        def status(number: int, reason: str) -> WorkerStatus:
            slot = Slot(deployment.id, 1, number)
            return WorkerStatus(f"w{number}", slot, "Ready", 1, 0, reason, 1.0)

        sync.submit((), frozenset({status(0, text), status(1, "fine")}))
        eventually(lambda: [row.worker_id for row in harness.rows(WorkerRow)] == ["w1"])
        sync.submit((), frozenset({status(2, "next")}))
        eventually(lambda: [row.worker_id for row in harness.rows(WorkerRow)] == ["w2"])
        assert not sync.has_failed.is_set()
