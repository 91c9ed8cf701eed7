"""Which state may follow which, for each kind of state on its own."""

import pytest

from modelyard.core.domain.lifecycle import (
    BuildState,
    IllegalTransition,
    OperationStatus,
    ProvisioningState,
    check_transition,
)


def test_what_has_succeeded_may_change_again():
    for state in (ProvisioningState.UPDATING, ProvisioningState.SCALING, ProvisioningState.DELETING):
        check_transition(ProvisioningState.SUCCEEDED, state)


def test_a_failed_deployment_may_be_created_anew():
    check_transition(ProvisioningState.FAILED, ProvisioningState.CREATING)


def test_a_succeeded_build_may_be_repeated():
    check_transition(BuildState.SUCCEEDED, BuildState.QUEUED)


def test_an_operation_that_has_ended_stays_as_it_ended():
    with pytest.raises(IllegalTransition):
        check_transition(OperationStatus.SUCCEEDED, OperationStatus.FAILED)


def test_a_change_under_way_admits_no_other():
    with pytest.raises(IllegalTransition):
        check_transition(ProvisioningState.UPDATING, ProvisioningState.SCALING)
