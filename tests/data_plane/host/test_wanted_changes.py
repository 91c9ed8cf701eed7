"""The host's reading of changes, with a real Postgres: by notification, by the record of changes, after a restart."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text, update

from data_plane.host import database_sync
from data_plane.host.database_sync import DatabaseSync
from data_plane.host.repository import has_news, read_wanted
from data_plane.host.role import HostRole
from data_plane.host.wanted import Wanted
from modelyard.core.db import lifecycle
from modelyard.core.db.rows import (
    AccessTokenRow,
    AdminTokenRow,
    GenerationRow,
    ModelRow,
    ModelVersionRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    RoleAssignmentRow,
    WantedChangeRow,
)
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import GenerationState, ProvisioningState
from modelyard.core.domain.routing import TokenRoute
from tests.data_plane.replicas.worker_harness import PATIENCE, eventually

_FOR_EVER = 3600.0


def endpoint(name: str, auth_mode: str = "Key") -> OnlineEndpointRow:
    secrets = ("primary_key_encrypted", "secondary_key_encrypted", "token_key_encrypted", "token_public_key")
    return OnlineEndpointRow(
        workspace_id=1,
        name=name,
        auth_mode=auth_mode,
        provisioning_state=ProvisioningState.SUCCEEDED,
        primary_key_digest="1",
        secondary_key_digest="2",
        traffic={},
        mirror_traffic={},
        **dict.fromkeys(secrets, ""),
    )


@pytest.fixture
def rows(sessions: Sessions) -> None:
    """Endpoints a and b, each with a serving deployment, and c, which takes access tokens."""
    with transaction(sessions) as work:
        version = ModelVersionRow(
            model=ModelRow(workspace_id=1, name="m"),
            version="1",
            model_type="mlflow_model",
            model_uri="",
            folder_name="model",
            manifest=[],
            manifest_hash="",
        )
        work.session.add_all([version, endpoint("c", "AADToken")])
        for name in ("a", "b"):
            deployment = OnlineDeploymentRow(
                endpoint=endpoint(name),
                name="blue",
                instance_count=1,
                provisioning_state=ProvisioningState.SUCCEEDED,
                wanted_generation=1,
                serving_generation=1,
            )
            work.session.add(deployment)
            work.session.flush()
            work.session.add(
                GenerationRow(
                    deployment_id=deployment.id,
                    number=1,
                    state=GenerationState.SERVING,
                    spec=DeploymentSpec(model_id="m").to_dict(),
                    model_version_id=version.id,
                    bundle_hash="bundle",
                    lock_hash="lock",
                )
            )


def read(sessions: Sessions, last: Wanted | None = None) -> Wanted:
    with transaction(sessions) as work:
        return read_wanted(work.session, last)


def news(sessions: Sessions, last: Wanted) -> bool:
    with transaction(sessions) as work:
        return has_news(work.session, last)


def execute(sessions: Sessions, statement: str) -> None:
    with transaction(sessions) as work:
        work.session.execute(text(statement))


def by_name(wanted: Wanted) -> dict[str, object]:
    return {endpoint.name: endpoint for endpoint in wanted.endpoints}


CHANGES = {
    "an endpoint's traffic": """UPDATE online_endpoints SET traffic = '{"blue": 100}' WHERE name = 'a'""",
    "a key": "UPDATE online_endpoints SET primary_key_digest = '3' WHERE name = 'a'",
    "an instance count": "UPDATE online_deployments SET instance_count = 2 WHERE endpoint_id = "
    "(SELECT id FROM online_endpoints WHERE name = 'a')",
    "a generation's state": "UPDATE deployment_generations SET state = 'Retired' WHERE deployment_id IN "
    "(SELECT d.id FROM online_deployments d JOIN online_endpoints e ON e.id = d.endpoint_id WHERE e.name = 'a')",
    "a deletion": "UPDATE online_endpoints SET provisioning_state = 'Deleting' WHERE name = 'a'",
}


@pytest.mark.usefixtures("rows")
class TestReadingChanges:
    @pytest.mark.parametrize("change", CHANGES)
    def test_change_of_an_endpoint_is_read_and_all_other_endpoints_stay_the_same_objects(self, sessions, change):
        before = read(sessions)
        assert not news(sessions, before)
        execute(sessions, CHANGES[change])
        assert news(sessions, before)
        after = read(sessions, before)
        assert not news(sessions, after)
        assert by_name(after)["a"] != by_name(before)["a"]
        assert all(by_name(after)[name] is by_name(before)[name] for name in "bc")
        assert by_name(after) == by_name(read(sessions))

    def test_new_and_removed_endpoints_are_read(self, sessions):
        before = read(sessions)
        with transaction(sessions) as work:
            work.session.add(endpoint("d"))
            work.session.delete(
                work.session.scalars(select(OnlineEndpointRow).where(OnlineEndpointRow.name == "a")).one()
            )
        after = read(sessions, before)
        assert by_name(after).keys() == {"b", "c", "d"}
        assert by_name(after) == by_name(read(sessions))

    def test_new_and_revoked_access_tokens_reach_the_endpoints_that_take_them(self, sessions):
        before = read(sessions)
        with transaction(sessions) as work:
            token = AccessTokenRow(workspace_id=1, name="t", subject="ada", digest="d1")
            token.roles = [RoleAssignmentRow(workspace_id=1, role="scorer")]
            work.session.add(token)
        with_token = read(sessions, before)
        assert by_name(with_token)["c"].tokens["d1"].may_score
        assert by_name(with_token)["a"] is by_name(before)["a"]
        execute(sessions, "UPDATE access_tokens SET revoked_at = now()")
        assert by_name(read(sessions, with_token))["c"].tokens == {}

    def test_long_admin_token_scores_until_another_replaces_it(self, sessions):
        before = read(sessions)
        with transaction(sessions) as work:
            work.session.add_all(
                [AdminTokenRow(digest="scrypt", sha256="a1"), AdminTokenRow(digest="short", sha256=None)]
            )
        with_admin = read(sessions, before)
        assert by_name(with_admin)["c"].tokens == {"a1": TokenRoute(may_score=True, expires_at=None)}
        execute(sessions, "DELETE FROM admin_tokens")
        assert by_name(read(sessions, with_admin))["c"].tokens == {}

    def test_use_of_an_access_token_is_no_change(self, sessions):
        with transaction(sessions) as work:
            work.session.add(AccessTokenRow(workspace_id=1, name="t", subject="ada", digest="d1"))
        before = read(sessions)
        execute(sessions, "UPDATE access_tokens SET last_used_at = now()")
        assert not news(sessions, before)

    def test_lease_of_a_build_is_no_change(self, sessions):
        execute(sessions, "UPDATE deployment_generations SET state = 'Building'")
        before = read(sessions)
        execute(sessions, "UPDATE deployment_generations SET lease_until = now(), step = 'resolving'")
        assert not news(sessions, before)

    def test_new_revision_without_other_changes_is_read(self, sessions):
        before = read(sessions)
        with transaction(sessions) as work:
            revision = lifecycle.next_routing_revision(work.session)
        assert news(sessions, before)
        assert read(sessions, before).revision == revision

    def test_change_of_an_open_transaction_is_read_after_its_commit(self, sessions):
        """A transaction that began before a read, and commits after it, is not missed."""
        with sessions.begin() as slow:
            slow.execute(update(OnlineEndpointRow).where(OnlineEndpointRow.name == "a").values(traffic={"x": 1}))
            before = read(sessions)
            execute(sessions, CHANGES["a key"].replace("'a'", "'b'"))
            before = read(sessions, before)
        assert by_name(read(sessions, before))["a"].traffic == {"x": 1}

    def test_read_that_is_rolled_back_leaves_the_changes_on_record(self, sessions):
        before = read(sessions)
        execute(sessions, CHANGES["a key"])
        with sessions() as session:
            read_wanted(session, before)
            session.rollback()
        assert by_name(read(sessions, before))["a"].key_digests == ("3", "2")


@pytest.fixture
def changed() -> threading.Event:
    return threading.Event()


@pytest.fixture
def sync(engine: Engine, tmp_path: Path, changed: threading.Event, rows: None) -> Iterator[DatabaseSync]:
    sync = DatabaseSync(engine, HostRole(tmp_path / "host.lease"), changed.set)
    yield sync
    sync.close()


def sees(sync: DatabaseSync, key: str) -> bool:
    wanted = sync.wanted
    return wanted is not None and any(key in endpoint.key_digests for endpoint in wanted.endpoints)


class TestDatabaseSync:
    def test_change_is_seen_without_waiting_for_a_poll(self, sync, sessions, changed, monkeypatch):
        monkeypatch.setattr(database_sync, "_POLL_SECONDS", _FOR_EVER)
        sync.start()
        assert changed.wait(PATIENCE)
        for key in ("31", "32", "33"):
            execute(sessions, CHANGES["a key"].replace("'3'", f"'{key}'"))
            eventually(lambda key=key: sees(sync, key))

    def test_change_whose_notification_is_lost_is_seen_by_the_next_poll(self, sync, sessions, monkeypatch):
        monkeypatch.setattr(sync._listener, "_channel", "another_channel")
        sync.start()
        eventually(lambda: sync.wanted)
        execute(sessions, CHANGES["a key"])
        eventually(lambda: sees(sync, "3"))

    def test_changes_are_seen_after_every_connection_was_cut(self, sync, sessions, engine):
        """As a restart of Postgres does."""
        sync.start()
        eventually(lambda: sync.wanted)
        for key in ("31", "32"):
            with engine.connect() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            execute(sessions, CHANGES["a key"].replace("'3'", f"'{key}'"))
            eventually(lambda key=key: sees(sync, key))
        assert not sync.has_failed.is_set()

    def test_read_changes_are_taken_off_the_record(self, sync, sessions):
        sync.start()
        eventually(lambda: sync.wanted)
        execute(sessions, CHANGES["a key"])
        eventually(lambda: sees(sync, "3"))
        with sessions() as session:
            assert session.scalars(select(WantedChangeRow)).all() == []

    def test_host_without_the_lease_takes_no_change_off_the_record(self, sync, sessions):
        sync.start()
        eventually(lambda: sync.wanted)
        execute(sessions, "UPDATE named_leases SET lease_token = gen_random_uuid()")
        execute(sessions, CHANGES["a key"])
        eventually(sync.has_failed.is_set)
        with sessions() as session:
            assert len(session.scalars(select(WantedChangeRow)).all()) == 1
