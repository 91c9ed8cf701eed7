"""The number of SQL statements of a GET request is the same for a page of 2 entries and for a page of 20."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select

from modelyard.core.db.rows import BuiltEnvironmentRow, GenerationRow, MiniBatchRow, OnlineDeploymentRow, WorkerRow
from modelyard.core.db.rows.jobs import JobRow
from modelyard.core.domain.bundle import SCORING_SCRIPT
from modelyard.core.domain.lifecycle import MiniBatchState
from modelyard.core.domain.required_roles import OpenAccess
from tests.control_plane.control import SUBSCRIPTION, Control, anonymous

FEW, MANY = 2, 20
FIRST = "thing-0"
FIXED = {"list_skus", "list_vm_sizes", "list_usages", "list_model_files", "list_job_files", "list_child_runs"}
"""Lists whose length is that of a machine, a manifest or a folder, not a number of rows."""


@pytest.fixture
def add(control: Control) -> Callable[[int], None]:
    """Adds the entry of a number to every list."""
    model = control.register("model")
    control.place()
    control.store.put(f"bundles/{'b' * 64}/{SCORING_SCRIPT}", [b"pass"])
    return lambda number: add_entries(control, model, number)


def add_entries(control: Control, model: str, number: int) -> None:
    """A resource of each noun, and an entry below the first model, endpoint, deployment and job."""
    name, place = f"thing-{number}", "azureml://datastores/workspaceblobstore/paths/rows/"
    contents = {
        "models": {"modelUri": place},
        "environments": {"condaFile": "dependencies: [python=3.11]"},
        "data": {"dataUri": place},
        "codes": {"codeUri": place},
    }
    for collection, properties in contents.items():
        for path in {f"{name}/versions/1", f"{FIRST}/versions/{number + 1}"}:
            control.put(f"/{collection}/{path}", {"properties": properties})
    control.put(f"/computes/{name}", {"properties": {}})
    control.put(f"/datastores/{name}", {"properties": {}})
    scope = control.in_workspace(name).workspace
    roles = [{"role": "reader"}, {"role": "reader", "scope": scope}]
    control.put(f"/tokens/{name}", {"properties": {"subject": name, "roles": roles}})
    control.endpoint(name)
    control.deployment(f"/onlineEndpoints/{FIRST}", model, name)
    control.batch_endpoint(name)
    control.batch_deployment(f"/batchEndpoints/{FIRST}", model, name)
    body = {"name": name, "inputData": {"in": control.place()}}
    control.submit(f"/batchEndpoints/{FIRST}", body, **{"azureml-model-deployment": FIRST})
    add_rows(control, number, name)


def add_rows(control: Control, number: int, name: str) -> None:
    """The rows that builder, host and batch workers add."""
    lock_hash = f"{number:064x}"
    with control.sessions.begin() as session:
        deployments = dict(iter(session.execute(select(OnlineDeploymentRow.name, OnlineDeploymentRow.id))))
        session.add(BuiltEnvironmentRow(lock_hash=lock_hash, folder=name, python_version="3.11"))
        generation = session.scalars(
            select(GenerationRow).where(GenerationRow.deployment_id == deployments[name])
        ).one()
        generation.lock_hash = lock_hash
        for key in {deployments[FIRST], deployments[name]}:
            session.add(
                WorkerRow(
                    worker_id=f"{key}-{number}", deployment_id=key, generation=1, slot=number, state="Ready", pid=1
                )
            )
        job = session.scalars(select(JobRow.id).where(JobRow.name == FIRST)).one()
        session.add(MiniBatchRow(job_id=job, number=number, state=MiniBatchState.COMPLETED, spans=[]))


def routes(control: Control) -> dict[str, str]:
    """The path of every GET route that needs a role, with the first resource of each noun."""
    document = anonymous.get(f"{control.url}/openapi.json").json()
    endpoint = control.get(f"/onlineEndpoints/{FIRST}")
    operation = endpoint["properties"]["properties"]["AzureAsyncOperationUri"].partition("?")[0].rpartition("/")[2]
    values = {
        "subscription": SUBSCRIPTION, "resource_group": "local", "workspace": "default", "location": "local",
        "version": "1", "operation_id": operation,
    }  # fmt: skip
    return {
        item["get"]["operationId"]: re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], FIRST), path)
        for path, item in document["paths"].items()
        if "get" in item and item["get"]["x-required-role"] not in set(OpenAccess)
    }


def measure(control: Control) -> dict[str, tuple[int, int]]:
    """Statements and length of the list, by route. The length of a resource is 0."""
    found = {}
    for name, path in routes(control).items():
        counts = []
        # Now and then a request reads the credentials again, and never the next request too.
        for _ in range(2):
            with statements(control) as seen:
                answer = control.http.get(path)
            assert answer.is_success, (name, answer.text)
            counts.append(len(seen))
        document: Any = answer.json() if answer.headers.get("content-type") == "application/json" else None
        entries = document.get("value") if isinstance(document, dict) else None
        found[name] = (min(counts), len(entries) if isinstance(entries, list) else 0)
    return found


@contextmanager
def statements(control: Control) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        seen.append(statement)

    event.listen(control.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(control.engine, "before_cursor_execute", note)


def test_number_of_queries_does_not_grow_with_the_entries_of_a_list(control: Control, add: Callable[[int], None]):
    for number in range(FEW):
        add(number)
    few = measure(control)
    for number in range(FEW, MANY):
        add(number)
    many = measure(control)
    lists = {name for name in few if name.startswith("list_")} - FIXED
    assert len(lists) > 15
    assert {name: (few[name][1], many[name][1]) for name in lists if many[name][1] - few[name][1] < MANY - FEW} == {}
    assert {name: (few[name][0], many[name][0]) for name in few if few[name][0] != many[name][0]} == {}
    assert max(count for count, _ in many.values()) <= 10


def test_list_has_the_values_that_a_get_of_each_resource_has(control: Control, add: Callable[[int], None]):
    for number in range(FEW):
        add(number)
    assets = ("/models", "/environments", "/data", "/codes")
    online, batch = f"/onlineEndpoints/{FIRST}/deployments", f"/batchEndpoints/{FIRST}/deployments"
    for path in (*assets, "/onlineEndpoints", "/batchEndpoints", online, batch, "/tokens"):
        listed = {entry["name"]: entry for entry in control.get(path)["value"]}
        assert len(listed) >= FEW
        assert listed == {name: control.get(f"{path}/{name}") for name in listed}
