"""The states of every lifecycle, and the allowed transitions."""

from collections.abc import Mapping
from enum import StrEnum

from modelyard.core.errors import Conflict


class ProvisioningState(StrEnum):
    """State of an endpoint or deployment, in Azure's words."""

    CREATING = "Creating"
    UPDATING = "Updating"
    SCALING = "Scaling"
    DELETING = "Deleting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def is_final(self) -> bool:
        return self in {self.SUCCEEDED, self.FAILED, self.CANCELED}


class OperationStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


class GenerationState(StrEnum):
    """State of one generation. Each PUT that changes the processes of a deployment makes a generation."""

    QUEUED = "Queued"
    BUILDING = "Building"
    BUILT = "Built"
    """Bundle and environment exist; the host starts the workers."""
    SERVING = "Serving"
    RETIRED = "Retired"
    FAILED = "Failed"


class BuildState(StrEnum):
    """State of the build of one environment, shared by all generations with the same specification."""

    QUEUED = "Queued"
    BUILDING = "Building"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class JobState(StrEnum):
    """State of a batch job, in Azure's words."""

    QUEUED = "Queued"
    PREPARING = "Preparing"
    """A batch worker cuts the input into mini-batches."""
    RUNNING = "Running"
    FINALIZING = "Finalizing"
    """All mini-batches have ended; a batch worker assembles the output."""
    CANCEL_REQUESTED = "CancelRequested"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def is_final(self) -> bool:
        return self in {self.COMPLETED, self.FAILED, self.CANCELED}


ENDED_JOBS = tuple(state for state in JobState if state.is_final)


class MiniBatchState(StrEnum):
    """State of a mini-batch. The worker that scores a queued mini-batch holds the lease."""

    QUEUED = "Queued"
    COMPLETED = "Completed"
    FAILED = "Failed"
    """No file of the mini-batch could be scored."""


State = ProvisioningState | OperationStatus | GenerationState | BuildState | JobState | MiniBatchState

_P, _O, _G, _B, _J, _M = ProvisioningState, OperationStatus, GenerationState, BuildState, JobState, MiniBatchState
_SETTLED = frozenset({_P.UPDATING, _P.SCALING, _P.DELETING})
_ENDED = frozenset({_P.SUCCEEDED, _P.FAILED, _P.CANCELED, _P.DELETING})

# A table for each lifecycle: "Succeeded" is a state of several lifecycles, and StrEnum members of equal text are equal.
_NEXT: Mapping[type[State], Mapping[State, frozenset[State]]] = {
    ProvisioningState: {
        _P.CREATING: _ENDED,
        _P.UPDATING: _ENDED,
        _P.SCALING: _ENDED,
        _P.SUCCEEDED: _SETTLED,
        # A deployment that never served is created anew by the next PUT.
        _P.FAILED: _SETTLED | {_P.CREATING},
        _P.CANCELED: _SETTLED | {_P.CREATING},
        _P.DELETING: frozenset({_P.FAILED}),
    },
    OperationStatus: {
        _O.IN_PROGRESS: frozenset({_O.SUCCEEDED, _O.FAILED, _O.CANCELED}),
    },
    GenerationState: {
        _G.QUEUED: frozenset({_G.BUILDING, _G.FAILED, _G.RETIRED}),
        _G.BUILDING: frozenset({_G.BUILDING, _G.BUILT, _G.FAILED, _G.RETIRED}),
        _G.BUILT: frozenset({_G.SERVING, _G.FAILED, _G.RETIRED}),
        _G.SERVING: frozenset({_G.RETIRED}),
    },
    BuildState: {
        _B.QUEUED: frozenset({_B.BUILDING}),
        _B.BUILDING: frozenset({_B.BUILDING, _B.SUCCEEDED, _B.FAILED}),
        _B.SUCCEEDED: frozenset({_B.QUEUED}),
        _B.FAILED: frozenset({_B.QUEUED}),
    },
    JobState: {
        _J.QUEUED: frozenset({_J.PREPARING, _J.CANCEL_REQUESTED, _J.FAILED}),
        _J.PREPARING: frozenset({_J.PREPARING, _J.RUNNING, _J.CANCEL_REQUESTED, _J.FAILED}),
        _J.RUNNING: frozenset({_J.FINALIZING, _J.CANCEL_REQUESTED, _J.FAILED}),
        _J.FINALIZING: frozenset({_J.FINALIZING, _J.COMPLETED, _J.CANCEL_REQUESTED, _J.FAILED}),
        _J.CANCEL_REQUESTED: frozenset({_J.CANCELED, _J.FAILED}),
    },
    MiniBatchState: {
        _M.QUEUED: frozenset({_M.COMPLETED, _M.FAILED}),
    },
}


class IllegalTransition(Conflict):
    code = "IllegalTransition"

    def __init__(self, current: State, wanted: State) -> None:
        super().__init__(f"the state cannot change from {current} to {wanted}")


def check_transition(current: State, wanted: State) -> None:
    if wanted not in _NEXT[type(current)].get(current, frozenset()):
        raise IllegalTransition(current, wanted)
