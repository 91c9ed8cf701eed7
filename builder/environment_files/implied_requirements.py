"""Requirements of `mlflow.pyfunc`, added to the requirements of a model's files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from builder.environment_files.requirements import distribution_name, parse_requirement

_MLFLOW = ("mlflow", "mlflow-skinny")
SETUPTOOLS_WITH_PKG_RESOURCES = "setuptools<81"
# Up to 2.15 MLflow imports pkg_resources without a requirement on setuptools.
_FIRST_MLFLOW_WITHOUT_PKG_RESOURCES = Version("2.16.0")

# mlflow-skinny requires neither pandas nor numpy, but loads no model without pandas and numpy. Each pair is an MLflow
# version and the bounds of the full mlflow below the version.
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
    """The requirements to add to the model's; `mlflow_version` is MLmodel's."""
    listed = {distribution_name(line) for line in requirements}
    implied = [] if listed.intersection(_MLFLOW) else [_mlflow(mlflow_version)]
    mlflow = _listed_mlflow(requirements) or (_release(mlflow_version) if implied else None)
    frames = (frame for frame in _data_frame_requirements(mlflow) if distribution_name(frame) not in listed)
    implied.extend(ImpliedRequirement(frame, "MLflow needs the package to load a model") for frame in frames)
    if mlflow is not None and mlflow < _FIRST_MLFLOW_WITHOUT_PKG_RESOURCES and _setuptools_is_free(requirements):
        implied.append(_setuptools(str(mlflow)))
    return implied


def requirements_implied_by_versions(
    versions: Mapping[str, str], requirements: Sequence[str]
) -> list[ImpliedRequirement]:
    """The requirements to add once MLflow's version is resolved; `versions` are the resolved versions by name."""
    mlflow = _release(versions.get("mlflow-skinny") or versions.get("mlflow"))
    if mlflow is None or mlflow >= _FIRST_MLFLOW_WITHOUT_PKG_RESOURCES:
        return []
    setuptools = _release(versions.get("setuptools"))
    if not _setuptools_is_free(requirements) or (setuptools is not None and setuptools < Version("81")):
        return []
    return [_setuptools(str(mlflow))]


def _mlflow(version: str | None) -> ImpliedRequirement:
    reason = "the model lists no mlflow, and the scoring script loads the model with mlflow.pyfunc"
    if version is None:
        return ImpliedRequirement("mlflow-skinny", f"{reason}; MLmodel names no version")
    if _release(version) is None:
        return ImpliedRequirement(
            "mlflow-skinny", f"{reason}; MLmodel names {version}, which is not a released version"
        )
    return ImpliedRequirement(f"mlflow-skinny=={version}", reason)


def _data_frame_requirements(mlflow: Version | None) -> tuple[str, ...]:
    if mlflow is None:
        return _NO_BOUNDS
    return next((needs for below, needs in _BOUNDS if mlflow < below), _NO_BOUNDS)


def _setuptools(mlflow: str) -> ImpliedRequirement:
    return ImpliedRequirement(
        SETUPTOOLS_WITH_PKG_RESOURCES, f"MLflow {mlflow} imports pkg_resources, which later setuptools lack"
    )


def _listed_mlflow(requirements: Sequence[str]) -> Version | None:
    """MLflow's version, if a requirement pins it."""
    for line in requirements:
        requirement = parse_requirement(line)
        if requirement is not None and distribution_name(line) in _MLFLOW:
            pinned = _pinned(requirement.specifier)
            if pinned is not None:
                return pinned
    return None


def _pinned(specifier: SpecifierSet) -> Version | None:
    exact = [part.version for part in specifier if part.operator in {"==", "==="}]
    return _release(exact[0].removesuffix(".*")) if exact else None


def _setuptools_is_free(requirements: Sequence[str]) -> bool:
    """Whether no requirement restricts the version of setuptools."""
    listed = [parse_requirement(line) for line in requirements if distribution_name(line) == "setuptools"]
    return all(requirement is not None and not requirement.specifier for requirement in listed)


def _release(version: str | None) -> Version | None:
    """Parse a version. None: a development build or a local label, absent from every index."""
    try:
        parsed_version = Version(version or "")
    except InvalidVersion:
        return None
    return None if parsed_version.is_devrelease or parsed_version.local else parsed_version
