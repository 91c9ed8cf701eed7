"""The step and the percentage that an operation under way reports."""

import pytest
from sqlalchemy import update

from modelyard.core.db.rows import GenerationRow
from modelyard.core.domain.lifecycle import GenerationState
from modelyard.core.domain.operation_step import OperationStep
from tests.control_plane.control import Control

OF_A_BUILDER = [OperationStep.WAITING, OperationStep.RESOLVING, OperationStep.INSTALLING, OperationStep.CHECKING]


def reported(control: Control, **generation: object) -> tuple[str, int]:
    """Step and percentage while a deployment's generation is in this state."""
    answer = control.ask("PUT", f"{control.endpoint()}/deployments/blue", {"properties": {"model": control.register()}})
    with control.sessions.begin() as session:
        session.execute(update(GenerationRow).values(**generation))
    operation = control.operation(answer)
    return operation["properties"]["step"], operation["percentComplete"]


@pytest.mark.parametrize("step", OF_A_BUILDER)
def test_step_that_the_builder_recorded_is_reported_with_its_percentage(control, step):
    assert reported(control, state=GenerationState.BUILDING, step=step) == (step, step.percent)


def test_deployment_that_waits_for_the_build_of_another_is_nowhere_near_its_end(control):
    _, percent = reported(control, state=GenerationState.BUILDING, step="waiting")
    assert percent < OperationStep.INSTALLING.percent


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (GenerationState.QUEUED, OperationStep.QUEUED),
        (GenerationState.BUILT, OperationStep.STARTING_WORKERS),
        (GenerationState.SERVING, OperationStep.ROUTING),
    ],
)
def test_step_follows_from_the_state_of_the_generation(control, state, step):
    recorded = step if state == GenerationState.BUILT else None
    assert reported(control, state=state, step=recorded) == (step, step.percent)


def test_step_that_only_a_newer_builder_knows_does_not_break_the_operation(control):
    step, percent = reported(control, state=GenerationState.BUILDING, step="warming up")
    assert step in list(OperationStep)
    assert 0 < percent < 100


@pytest.mark.parametrize(
    ("method", "path", "step"),
    [("PUT", "/onlineEndpoints/ep-one", OperationStep.ROUTING), ("POST", "/pruneEnvironments", OperationStep.PRUNING)],
)
def test_operation_without_a_deployment_reports_its_own_step(control, method, path, step):
    body = {"location": "local", "properties": {"authMode": "Key"}} if method == "PUT" else None
    operation = control.operation(control.ask(method, path, body))
    assert (operation["properties"]["step"], operation["percentComplete"]) == (step, step.percent)
