"""Which state may follow which, for each lifecycle on its own: every pair of states is a case."""

import re
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest

import modelyard
from modelyard.core.domain.lifecycle import (
    BuildState,
    GenerationState,
    IllegalTransition,
    JobState,
    MiniBatchState,
    OperationStatus,
    ProvisioningState,
    State,
    check_transition,
)

# State -> the states that may follow, in words of their own: a change of the product's table needs a change here.
ALLOWED: dict[type[StrEnum], dict[str, str]] = {
    ProvisioningState: {
        "Creating": "Succeeded Failed Canceled Deleting",
        "Updating": "Succeeded Failed Canceled Deleting",
        "Scaling": "Succeeded Failed Canceled Deleting",
        "Succeeded": "Updating Scaling Deleting",
        # A deployment that never served is created anew by the next PUT.
        "Failed": "Creating Updating Scaling Deleting",
        "Canceled": "Creating Updating Scaling Deleting",
        "Deleting": "Failed",
    },
    OperationStatus: {
        "InProgress": "Succeeded Failed Canceled",
        "Succeeded": "",
        "Failed": "",
        "Canceled": "",
    },
    GenerationState: {
        "Queued": "Building Failed Retired",
        # A builder that takes over an expired lease builds again.
        "Building": "Building Built Failed Retired",
        "Built": "Serving Failed Retired",
        "Serving": "Retired",
        "Retired": "",
        "Failed": "",
    },
    BuildState: {
        "Queued": "Building",
        "Building": "Building Succeeded Failed",
        # An environment that was removed, or that failed for a passing reason, is built again.
        "Succeeded": "Queued",
        "Failed": "Queued",
    },
    JobState: {
        "Queued": "Preparing CancelRequested Failed",
        # A batch worker that takes over an expired lease plans, or puts the output together, again.
        "Preparing": "Preparing Running CancelRequested Failed",
        "Running": "Finalizing CancelRequested Failed",
        "Finalizing": "Finalizing Completed CancelRequested Failed",
        "CancelRequested": "Canceled Failed",
        "Completed": "",
        "Failed": "",
        "Canceled": "",
    },
    MiniBatchState: {
        "Queued": "Completed Failed",
        "Completed": "",
        "Failed": "",
    },
}


@pytest.mark.parametrize("lifecycle", get_args(State), ids=lambda lifecycle: lifecycle.__name__)
def test_every_state_of_every_lifecycle_has_a_case(lifecycle):
    assert set(ALLOWED[lifecycle]) == {str(state) for state in lifecycle}


@pytest.mark.parametrize(
    ("current", "wanted"),
    [
        pytest.param(current, wanted, id=f"{lifecycle.__name__}-{current}-{wanted}")
        for lifecycle in get_args(State)
        for current in lifecycle
        for wanted in lifecycle
    ],
)
def test_a_transition_is_allowed_exactly_where_the_table_names_it(current, wanted):
    if wanted in ALLOWED[type(current)][current].split():
        check_transition(current, wanted)
    else:
        with pytest.raises(IllegalTransition, match=f"from {current} to {wanted}"):
            check_transition(current, wanted)


def test_succeeded_of_each_lifecycle_has_followers_of_its_own():
    check_transition(BuildState.SUCCEEDED, BuildState.QUEUED)
    with pytest.raises(IllegalTransition):
        check_transition(OperationStatus.SUCCEEDED, BuildState.QUEUED)


def test_no_module_but_the_lifecycle_sets_a_state():
    """Rows change states in core/db/lifecycle.py, beside reason, operation and audit event."""
    assignment = re.compile(r"\.(?:provisioning_state|state|status) = |\bfinish\([^)]*\bstate=")
    root = Path(modelyard.__file__).parent.parent
    folders = ("builder", "control_plane", "data_plane/host", "data_plane/batch", "modelyard/core")
    setting = {
        str(file.relative_to(root))
        for folder in folders
        for file in (root / folder).rglob("*.py")
        if assignment.search(file.read_text())
    }
    assert setting == {"modelyard/core/db/lifecycle.py"}
