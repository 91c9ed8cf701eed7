"""`modelyard workspace` and `modelyard audit` against a control plane."""

import json

from sqlalchemy import update

from modelyard.core.db.rows import AuditEventRow


def test_workspace_is_created_listed_used_and_deleted(modelyard, environment):
    created = modelyard("workspace", "create", "-n", "team-a")
    assert (created.code, json.loads(created.out)["name"]) == (0, "team-a"), created.err
    assert "MODELYARD_WORKSPACE=team-a" in created.err
    listed = json.loads(modelyard("workspace", "list", "-o", "json").out)
    assert [workspace["name"] for workspace in listed] == ["default", "team-a"]
    environment["MODELYARD_WORKSPACE"] = "team-a"
    events = json.loads(modelyard("event", "list", "-o", "json").out)
    assert [event["resource_id"].rpartition("/")[2] for event in events] == ["team-a"]
    assert modelyard("workspace", "delete", "-n", "team-a", "--yes").code == 0
    assert "there is no workspace 'team-a'" in modelyard("event", "list").err


def test_workspace_with_a_resource_is_not_deleted(modelyard, platform):
    platform.control.batch_endpoint()
    done = modelyard("workspace", "delete", "-n", "default", "--yes")
    assert (done.code, "1 batch endpoint" in done.err) == (1, True)


def test_audit_verify_prints_the_head_and_fails_for_a_changed_event(modelyard, platform):
    platform.control.deployment(platform.control.endpoint(), platform.control.register())
    intact = modelyard("audit", "verify")
    head = json.loads(intact.out)["head"]
    assert (intact.code, json.loads(intact.out)["faults"]) == (0, [])
    assert modelyard("audit", "verify", "--checkpoint", head).code == 0
    with platform.control.sessions.begin() as session:
        session.execute(update(AuditEventRow).where(AuditEventRow.id == 2).values(caller="bob"))
    broken = modelyard("audit", "verify")
    assert (broken.code, "event 2 was changed" in broken.err) == (1, True)
