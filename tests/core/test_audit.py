"""Audit events: written in the transaction of the change, with the caller, the states and the changed fields."""

import pytest
from sqlalchemy import select, update

from modelyard.core.db import lifecycle
from modelyard.core.db.audit import audited, record
from modelyard.core.db.leases import claim
from modelyard.core.db.rows import (
    AuditEventRow,
    GenerationRow,
    JobRow,
    ModelRow,
    ModelVersionRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    WorkspaceRow,
)
from modelyard.core.db.unit_of_work import Sessions
from modelyard.core.domain.audit import AuditAction, changed_fields
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.domain.caller import SYSTEM_BATCH, SYSTEM_BUILDER, SYSTEM_HOST, Caller, CallerKind
from modelyard.core.domain.lifecycle import GenerationState, JobState, ProvisioningState

ADA = Caller("ada", CallerKind.USER, request_id="r-1")
WORKSPACE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.MachineLearningServices/workspaces/default"
)
BLUE = f"{WORKSPACE}/onlineEndpoints/ep/deployments/blue"


@pytest.fixture
def deployment(sessions: Sessions) -> int:
    """The id of a deployment that is being created, with one queued generation."""
    with sessions.begin() as session:
        workspace = session.scalars(select(WorkspaceRow.id)).one()
        model = ModelRow(workspace_id=workspace, name="m")
        version = ModelVersionRow(
            model=model, version="1", model_type="mlflow_model", model_uri="", folder_name="m", manifest=[],
            manifest_hash="",
        )  # fmt: skip
        keys = dict.fromkeys(
            (
                "primary_key_encrypted", "secondary_key_encrypted", "primary_key_digest", "secondary_key_digest",
                "token_key_encrypted", "token_public_key",
            ),
            "secret",
        )  # fmt: skip
        endpoint = OnlineEndpointRow(
            workspace_id=workspace, name="ep", auth_mode="Key", provisioning_state=ProvisioningState.SUCCEEDED, **keys
        )
        row = OnlineDeploymentRow(
            endpoint=endpoint,
            name="blue",
            instance_count=1,
            provisioning_state=ProvisioningState.CREATING,
            wanted_generation=1,
        )
        row.generations = [GenerationRow(number=1, state=GenerationState.QUEUED, spec={}, model_version=version)]
        session.add(row)
        session.flush()
        return row.id


def events(sessions: Sessions) -> list[tuple[str, str, str, str | None, str | None]]:
    """Caller, action, the end of the resource's id, and both states, from the oldest event on."""
    with sessions() as session:
        rows = session.scalars(select(AuditEventRow).order_by(AuditEventRow.id)).all()
    return [
        (row.caller, row.action, row.resource_id.removeprefix(f"{WORKSPACE}/"), row.from_state, row.to_state)
        for row in rows
    ]


class TestChangedFields:
    def test_only_fields_that_differ_are_named(self):
        before, after = {"tags": {"a": "1"}, "kind": None}, {"tags": {"a": "2"}, "kind": None}
        assert changed_fields(before, after) == {"tags": {"from": {"a": "1"}, "to": {"a": "2"}}}

    def test_values_of_environment_variables_are_hidden(self):
        before = {"environment_variables": {"PASSWORD": "old"}}
        after = {"environment_variables": {"PASSWORD": "new", "TOKEN": "t"}}
        assert changed_fields(before, after) == {
            "environment_variables": {"from": {"PASSWORD": "***"}, "to": {"PASSWORD": "***", "TOKEN": "***"}}
        }

    def test_long_value_is_cut(self):
        shown = changed_fields({}, {"description": "x" * 5000})["description"]["to"]
        assert shown.endswith("… (5002 characters)")
        assert len(shown) < 1100


class TestAudited:
    def test_event_names_caller_resource_request_states_and_fields(self, sessions, deployment):
        with sessions.begin() as session:
            row = session.get_one(OnlineDeploymentRow, deployment)
            with audited(session, ADA, AuditAction.UPDATE, row):
                row.tags = {"team": "risk"}
                row.provisioning_state = ProvisioningState.SUCCEEDED
        with sessions() as session:
            event = session.scalars(select(AuditEventRow)).one()
        assert (event.caller, event.caller_kind, event.action) == ("ada", "user", "update")
        assert (event.resource_id, event.request_id) == (BLUE, "r-1")
        assert (event.from_state, event.to_state) == ("Creating", "Succeeded")
        assert event.changes == {"tags": {"from": {}, "to": {"team": "risk"}}}

    def test_block_that_changes_nothing_leaves_no_event(self, sessions, deployment):
        with sessions.begin() as session:
            row = session.get_one(OnlineDeploymentRow, deployment)
            with audited(session, ADA, AuditAction.UPDATE, row):
                row.tags = dict(row.tags)
        assert events(sessions) == []

    def test_event_goes_with_the_transaction_of_its_change(self, sessions, deployment):
        with sessions() as session:
            row = session.get_one(OnlineDeploymentRow, deployment)
            with audited(session, ADA, AuditAction.UPDATE, row):
                row.instance_count = 2
            session.flush()
            session.rollback()
        assert events(sessions) == []

    def test_keys_and_digests_are_in_no_event(self, sessions, deployment):
        with sessions.begin() as session:
            row = session.get_one(OnlineDeploymentRow, deployment).endpoint
            with audited(session, ADA, AuditAction.REGENERATE_KEY, row):
                row.primary_key_encrypted = row.primary_key_digest = "new secret"
                row.provisioning_state = ProvisioningState.UPDATING
        with sessions() as session:
            assert session.scalars(select(AuditEventRow)).one().changes == {}


class TestAuthors:
    def test_creation_and_changes_by_users_name_the_author_in_the_row(self, sessions, deployment):
        bob = Caller("bob", CallerKind.USER)
        with sessions.begin() as session:
            row = session.get_one(OnlineDeploymentRow, deployment)
            record(session, ADA, AuditAction.CREATE, row)
            with audited(session, bob, AuditAction.UPDATE, row):
                row.instance_count = 2
        with sessions() as session:
            row = session.get_one(OnlineDeploymentRow, deployment)
        assert (row.created_by, row.modified_by, row.modified_by_kind) == ("ada", "bob", "user")

    @pytest.mark.parametrize(("caller", "action"), [(SYSTEM_HOST, AuditAction.SUCCEED), (ADA, AuditAction.READ_TOKEN)])
    def test_state_changes_of_the_platform_and_reads_leave_the_author_in_place(
        self, sessions, deployment, caller, action
    ):
        with sessions.begin() as session:
            record(session, caller, action, session.get_one(OnlineDeploymentRow, deployment))
        with sessions() as session:
            assert session.get_one(OnlineDeploymentRow, deployment).modified_by == "admin"


class TestLifecycle:
    @pytest.fixture
    def generation(self, sessions: Sessions, deployment: int) -> int:
        with sessions() as session:
            return session.scalars(select(GenerationRow.id)).one()

    def build(self, sessions: Sessions, generation: int) -> None:
        with sessions.begin() as session:
            held = claim(session, GenerationRow, generation)
            lifecycle.generation_building(session, SYSTEM_BUILDER, generation)
        with sessions.begin() as session:
            assert lifecycle.generation_built(session, SYSTEM_BUILDER, held, bundle_hash="b")

    def test_deployment_leaves_an_event_for_each_state_from_build_to_success(self, sessions, deployment, generation):
        self.build(sessions, generation)
        with sessions.begin() as session:
            lifecycle.generation_ready(session, SYSTEM_HOST, generation)
        with sessions.begin() as session:
            lifecycle.record_applied(session, SYSTEM_HOST, 1)
        blue = "onlineEndpoints/ep/deployments/blue"
        assert events(sessions) == [
            ("system:builder", "start", f"{blue}/generations/1", "Queued", "Building"),
            ("system:builder", "build", f"{blue}/generations/1", "Building", "Built"),
            ("system:host", "serve", f"{blue}/generations/1", "Built", "Serving"),
            ("system:host", "succeed", blue, "Creating", "Succeeded"),
        ]

    def test_report_that_comes_twice_leaves_one_event(self, sessions, deployment, generation):
        self.build(sessions, generation)
        for _ in range(2):
            with sessions.begin() as session:
                lifecycle.generation_ready(session, SYSTEM_HOST, generation)
        assert [action for _, action, *_ in events(sessions)] == ["start", "build", "serve"]

    def test_failure_is_recorded_with_its_reason(self, sessions, deployment, generation):
        with sessions.begin() as session:
            lifecycle.generation_failed(
                session, SYSTEM_BUILDER, generation, code="EnvironmentBuildFailure", message="no numpy 9"
            )
        with sessions() as session:
            event = session.scalars(select(AuditEventRow).where(AuditEventRow.resource_id == BLUE)).one()
        assert (event.action, event.from_state, event.to_state) == ("fail", "Creating", "Failed")
        assert event.changes["failure_message"] == {"from": None, "to": "no numpy 9"}

    def test_generation_that_takes_over_retires_the_generation_before(self, sessions, deployment, generation):
        self.build(sessions, generation)
        with sessions.begin() as session:
            lifecycle.generation_ready(session, SYSTEM_HOST, generation)
            first = session.get_one(GenerationRow, generation)
            second = GenerationRow(
                deployment_id=deployment, number=2, state="Queued", spec={}, model_version_id=first.model_version_id
            )
            session.add(second)
            session.flush()
            session.get_one(OnlineDeploymentRow, deployment).wanted_generation = 2
            newer = second.id
        self.build(sessions, newer)
        with sessions.begin() as session:
            lifecycle.generation_ready(session, SYSTEM_HOST, newer)
        blue = "onlineEndpoints/ep/deployments/blue"
        assert events(sessions)[-2:] == [
            ("system:host", "retire", f"{blue}/generations/1", "Serving", "Retired"),
            ("system:host", "serve", f"{blue}/generations/2", "Built", "Serving"),
        ]

    def test_scaling_is_recorded_when_its_workers_are_ready(self, sessions, deployment):
        self.set_state(sessions, deployment, ProvisioningState.SCALING)
        for _ in range(2):
            with sessions.begin() as session:
                lifecycle.scaled(session, SYSTEM_HOST, deployment, instance_count=1)
        blue = "onlineEndpoints/ep/deployments/blue"
        assert events(sessions) == [("system:host", "scale", blue, "Scaling", "Scaling")]

    def test_deleted_deployment_leaves_its_events_and_a_last_one(self, sessions, deployment):
        self.set_state(sessions, deployment, ProvisioningState.DELETING)
        with sessions.begin() as session:
            lifecycle.deployment_deleted(session, SYSTEM_HOST, deployment)
        blue = "onlineEndpoints/ep/deployments/blue"
        assert events(sessions) == [("system:host", "remove", blue, "Deleting", None)]

    def set_state(self, sessions: Sessions, deployment: int, state: ProvisioningState) -> None:
        with sessions.begin() as session:
            session.execute(
                update(OnlineDeploymentRow).where(OnlineDeploymentRow.id == deployment).values(provisioning_state=state)
            )

    def test_job_leaves_an_event_for_each_state(self, sessions):
        with sessions.begin() as session:
            job = JobRow(
                workspace_id=session.scalars(select(WorkspaceRow.id)).one(), name="j", endpoint="be", deployment="bd",
                bundle_hash="", lock_hash="", settings=BatchSettings().to_dict(), input_kind="UriFolder", input_uri="",
                output_key="", logs_prefix="", state=JobState.QUEUED,
            )  # fmt: skip
            session.add(job)
            session.flush()
            for state in (JobState.PREPARING, JobState.PREPARING, JobState.RUNNING, JobState.FINALIZING):
                lifecycle.move_job(session, SYSTEM_BATCH, job, state)
            lifecycle.end_job(session, SYSTEM_BATCH, job, JobState.FAILED, {"code": "c", "message": "too many"})
        assert [(action, before, after) for _, action, _, before, after in events(sessions)] == [
            ("start", "Queued", "Preparing"),
            ("advance", "Preparing", "Running"),
            ("advance", "Running", "Finalizing"),
            ("fail", "Finalizing", "Failed"),
        ]
