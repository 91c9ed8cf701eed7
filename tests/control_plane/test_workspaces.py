"""Creating, listing and deleting workspaces."""

import pytest
from sqlalchemy import func, select

from control_plane.reconcile.expire import remove_datastores
from modelyard.core.db.rows import AuditEventRow, DatastoreRemovalRow, JobRow, UploadRow, WorkspaceRow
from tests.control_plane.colleagues import ask_as, make_token
from tests.control_plane.control import Control, anonymous, error_of


@pytest.fixture
def other(control: Control) -> Control:
    return control.in_workspace("other")


def test_unknown_workspace_is_404_until_created(control):
    path = f"/{control.workspace.rpartition('/')[0]}/new"
    assert error_of(control.ask("GET", f"{path}/models"), 404)["code"] == "ResourceNotFound"
    assert control.ask("PUT", path, {"location": "local"}).status_code == 201
    assert control.ask("GET", f"{path}/models").status_code == 200


def test_owner_of_one_workspace_creates_no_other(control, other):
    eve = make_token(control, "eve", {"role": "owner", "scope": other.workspace})
    path = f"/{control.workspace.rpartition('/')[0]}"
    assert ask_as(eve, control, "PUT", f"{path}/more", {"location": "local"}).status_code == 403
    assert ask_as(eve, control, "DELETE", f"{path}/default").status_code == 403


class TestDeletion:
    def test_empty_workspace_is_removed_and_a_second_deletion_is_204(self, control, other):
        assert [other.ask("DELETE", "").status_code for _ in range(2)] == [200, 204]
        assert error_of(other.ask("GET", ""), 404)

    @pytest.mark.parametrize("holding", ["online endpoint", "batch endpoint", "model", "environment", "data asset"])
    def test_workspace_that_holds_a_resource_is_409_and_says_which(self, other, holding):
        match holding:
            case "online endpoint":
                other.endpoint("ep-two")
            case "batch endpoint":
                other.batch_endpoint("be-two")
            case "model":
                other.register()
            case "environment":
                other.put("/environments/e", {"properties": {}})
            case "data asset":
                other.put("/data/d", {"properties": {}})
        error = error_of(other.ask("DELETE", ""), 409)
        assert (error["code"], f"1 {holding}" in error["message"]) == ("WorkspaceNotEmpty", True)
        assert other.ask("GET", "").status_code == 200

    def test_unfinished_job_keeps_the_workspace_and_an_ended_job_goes_with_it(self, other):
        endpoint = other.batch_endpoint("be-two")
        other.batch_deployment(endpoint, other.register())
        job = other.submit(endpoint, {"inputData": {"in": other.place()}})["name"]
        assert other.ask("DELETE", endpoint).status_code == 200
        assert other.ask("DELETE", "/models/m").status_code == 200
        assert "1 unfinished job" in error_of(other.ask("DELETE", ""), 409)["message"]
        other.post(f"/jobs/{job}/cancel")
        assert other.ask("DELETE", "").status_code == 200
        with other.sessions() as session:
            assert session.scalar(select(func.count()).select_from(JobRow)) == 0

    def test_tokens_computes_and_uploads_go_and_events_stay(self, control, other):
        eve = make_token(control, "eve", {"role": "reader", "scope": other.workspace})
        adam = make_token(other, "adam", "reader")
        other.put("/computes/c", {"properties": {}})
        upload = other.start_upload()
        assert anonymous.put(upload.url("f"), content=b"x").status_code == 201
        assert other.ask("DELETE", "").status_code == 200
        assert ask_as(eve, control, "GET", f"/{other.workspace}/models").status_code == 403
        assert ask_as(adam, control, "GET", f"/{control.workspace}/models").status_code == 401
        with control.sessions() as session:
            assert session.scalar(select(func.count()).select_from(UploadRow)) == 0
            last = session.scalars(select(AuditEventRow).order_by(AuditEventRow.id.desc()).limit(1)).one()
        assert (last.action, last.resource_id) == ("delete", other.workspace)
        assert control.get("//audit/verification")["faults"] == []

    def test_new_workspace_of_the_name_has_none_of_the_files_and_roles(self, control, other):
        eve = make_token(control, "eve", {"role": "reader", "scope": other.workspace})
        other.place()
        assert other.ask("DELETE", "").status_code == 200
        again = control.in_workspace("other")
        assert again.datastores != other.datastores
        assert ask_as(eve, control, "GET", f"/{again.workspace}").status_code == 403

    def test_sweep_removes_the_files_of_the_deleted_workspace_alone(self, control, other):
        for workspace in (control, other):
            workspace.place()
        assert other.ask("DELETE", "").status_code == 200
        remove_datastores(control.sessions, control.store)
        assert list(control.store.list("datastores/")) == ["datastores/workspaceblobstore/rows/a.csv"]
        with control.sessions() as session:
            assert session.scalars(select(DatastoreRemovalRow)).all() == []

    def test_files_of_the_first_workspace_go_without_those_of_the_others(self, control, other):
        for workspace in (control, other):
            workspace.place()
        assert control.ask("DELETE", "").status_code == 200
        remove_datastores(control.sessions, control.store)
        assert list(control.store.list("datastores/")) == [f"{other.datastores}/workspaceblobstore/rows/a.csv"]
        with control.sessions() as session:
            assert [row.name for row in session.scalars(select(WorkspaceRow))] == ["other"]


def test_keys_of_a_workspace_are_none(control):
    keys = control.post("/listKeys")
    assert "userStorageKey" in keys
    assert set(keys.values()) == {None}


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/components/c/versions/1", "components"),
        ("/schedules/s", "schedules"),
        ("/serverlessEndpoints/e", "serverless"),
        ("//subscriptions/s/resourceGroups/g/providers/Microsoft.Resources/deployments/d", "ARM templates"),
        ("//subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/registries/r", "registries"),
        ("/models/components/x", "nothing at this path"),
    ],
)
def test_noun_that_the_platform_does_not_have_is_404_with_a_sentence(control, path, named):
    assert named in error_of(control.ask("PUT", path, {}), 404)["message"]
