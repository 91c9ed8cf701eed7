"""What every model needs to be loaded by `mlflow.pyfunc`, added where its own files do not list it."""

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from builder.environment_files.requirements import distribution_name, parsed
from modelyard.core.domain.environment_spec import EnvironmentLock

_MLFLOW = ("mlflow", "mlflow-skinny")
SETUPTOOLS_WITH_PKG_RESOURCES = "setuptools<81"
# Up to 2.15 MLflow imports pkg_resources, of setuptools, without asking for it.
_FIRST_MLFLOW_WITHOUT_PKG_RESOURCES = Version("2.16.0")

# mlflow-skinny names no bounds for these two, which it cannot load a model without; they are those of the full
# mlflow of that version: below the version in front, the requirements behind.
_BOUNDS = (
    (Version("2.3.0"), ("pandas<2", "numpy<2")),
    (Version("2.16.0"), ("pandas<3", "numpy<2")),
    (Version("3.12.0"), ("pandas<3", "numpy<3")),
)
_NO_BOUNDS = ("pandas", "numpy")


@dataclass(frozen=True, slots=True)
class ImpliedRequirement:
    requirement: str
    reason: str

    @property
    def note(self) -> str:
        return f"added {self.requirement}: {self.reason}"


def implied_requirements(requirements: Sequence[str], *, mlflow_version: str | None) -> list[ImpliedRequirement]:
    """`mlflow_version` is the one that MLmodel names."""
    listed = {distribution_name(line) for line in requirements}
    needs = [] if listed.intersection(_MLFLOW) else [_mlflow(mlflow_version)]
    mlflow = _listed_mlflow(requirements) or (_release(mlflow_version) if needs else None)
    frames = (frame for frame in _frame_needs(mlflow) if distribution_name(frame) not in listed)
    needs.extend(ImpliedRequirement(frame, "MLflow loads no model without it") for frame in frames)
    if mlflow is not None and mlflow < _FIRST_MLFLOW_WITHOUT_PKG_RESOURCES and _setuptools_is_free(requirements):
        needs.append(_setuptools(str(mlflow)))
    return needs


def requirements_implied_by_lock(lock: EnvironmentLock, requirements: Sequence[str]) -> list[ImpliedRequirement]:
    """What shows only once MLflow's version is resolved."""
    mlflow = _release(lock.versions.get("mlflow-skinny") or lock.versions.get("mlflow"))
    if mlflow is None or mlflow >= _FIRST_MLFLOW_WITHOUT_PKG_RESOURCES:
        return []
    setuptools = _release(lock.versions.get("setuptools"))
    if not _setuptools_is_free(requirements) or (setuptools is not None and setuptools < Version("81")):
        return []
    return [_setuptools(str(mlflow))]


def _mlflow(version: str | None) -> ImpliedRequirement:
    reason = "the model lists no mlflow, and a scoring script loads it with mlflow.pyfunc"
    if version is None:
        return ImpliedRequirement("mlflow-skinny", f"{reason}; MLmodel names no version")
    if _release(version) is None:
        return ImpliedRequirement(
            "mlflow-skinny", f"{reason}; MLmodel names {version}, which is not a released version"
        )
    return ImpliedRequirement(f"mlflow-skinny=={version}", reason)


def _frame_needs(mlflow: Version | None) -> tuple[str, ...]:
    if mlflow is None:
        return _NO_BOUNDS
    return next((needs for below, needs in _BOUNDS if mlflow < below), _NO_BOUNDS)


def _setuptools(mlflow: str) -> ImpliedRequirement:
    return ImpliedRequirement(
        SETUPTOOLS_WITH_PKG_RESOURCES, f"MLflow {mlflow} imports pkg_resources, which later ones do not have"
    )


def _listed_mlflow(requirements: Sequence[str]) -> Version | None:
    """MLflow's version where a line pins it."""
    for line in requirements:
        requirement = parsed(line)
        if requirement is not None and distribution_name(line) in _MLFLOW:
            pinned = _pinned(requirement.specifier)
            if pinned is not None:
                return pinned
    return None


def _pinned(specifier: SpecifierSet) -> Version | None:
    exact = [part.version for part in specifier if part.operator in {"==", "==="}]
    return _release(exact[0].removesuffix(".*")) if exact else None


def _setuptools_is_free(requirements: Sequence[str]) -> bool:
    """The model leaves the version of setuptools to us."""
    listed = [parsed(line) for line in requirements if distribution_name(line) == "setuptools"]
    return all(requirement is not None and not requirement.specifier for requirement in listed)


def _release(version: str | None) -> Version | None:
    """A version that an index can have: no development build, no local label."""
    try:
        parsed_version = Version(version or "")
    except InvalidVersion:
        return None
    return None if parsed_version.is_devrelease or parsed_version.local else parsed_version
