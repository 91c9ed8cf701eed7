"""The steps of a long-running operation: the name on the wire, the share that is done, and a sentence to display."""

from enum import StrEnum
from typing import Self


class OperationStep(StrEnum):
    """A step that the builder records, or that the control plane derives from a deployment's state.

    The order is that of a new deployment; the last three are steps of scaling, deletion and pruning.
    """

    percent: int
    """Rough share of the operation that is done when the step begins."""
    sentence: str
    """For a progress display."""

    def __new__(cls, name: str, percent: int, sentence: str) -> Self:
        step = str.__new__(cls, name)
        step._value_ = name
        step.percent = percent
        step.sentence = sentence
        return step

    QUEUED = "queued", 5, "waiting for a builder"
    WAITING = "waiting", 10, "waiting for another build"
    RESOLVING = "resolving", 15, "resolving packages"
    INSTALLING = "installing", 35, "installing packages"
    CHECKING = "checking", 65, "checking the environment"
    STARTING_WORKERS = "starting workers", 75, "starting workers"
    ROUTING = "routing", 95, "updating the gateways"
    SCALING = "scaling", 75, "adding or draining workers"
    DRAINING_WORKERS = "draining workers", 50, "draining workers"
    PRUNING = "pruning", 50, "removing unused environments"


def step_named(name: str | None) -> OperationStep | None:
    """The step of a wire name. None: only a newer version of the platform knows the step."""
    return next((step for step in OperationStep if step == name), None)


def sentence_of(name: str) -> str:
    """The sentence of a step's wire name; for a step that only a newer platform knows, the name."""
    step = step_named(name)
    return step.sentence if step else name
