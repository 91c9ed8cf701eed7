"""Plan the environment of a model folder. Pure: the plan reads files, installs no package and asks no index.

conda.yaml counts, else python_env.yaml, else requirements.txt. Missing requirements of MLflow are added.
A note for the build log tells each ignored line, addition and choice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder.environment_files.conda_file import parse_conda_file
from builder.environment_files.implied_requirements import implied_requirements
from builder.environment_files.model_paths import path_in_model, read_text
from builder.environment_files.pip_lines import PipLine
from builder.environment_files.python_env_file import parse_python_env_file
from builder.environment_files.python_version import (
    KNOWN_MINORS,
    ChosenPython,
    PythonRequest,
    choose_python,
    exact_version,
)
from builder.environment_files.requirements import RequirementPolicy, collect_requirements
from builder.errors import NoEnvironmentFile
from modelyard.core.domain.environment_spec import EnvironmentSpec
from modelyard.core.domain.mlmodel import MLModel

_CONDA_FILE = "conda.yaml"
_PYTHON_ENV_FILE = "python_env.yaml"
_REQUIREMENTS_FILE = "requirements.txt"
_MLMODEL = "MLmodel"


@dataclass(frozen=True, slots=True)
class AvailablePythons:
    """The Pythons for a model without a Python version."""

    default: str = "3.11"
    minors: Sequence[str] = KNOWN_MINORS


@dataclass(frozen=True, slots=True)
class PlanRules:
    """Interpreters of this machine, and the rules of the operator."""

    pythons: AvailablePythons = field(default_factory=AvailablePythons)
    requirements: RequirementPolicy = field(default_factory=RequirementPolicy)


@dataclass(frozen=True, slots=True)
class EnvironmentPlan:
    spec: EnvironmentSpec
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _EnvironmentFile:
    """The content of an environment file."""

    name: str
    folder: Path
    python: PythonRequest
    lines: tuple[PipLine, ...]
    notes: tuple[str, ...] = ()


def plan_environment(model_folder: Path, mlmodel: MLModel, rules: PlanRules) -> EnvironmentPlan:
    """Plan the environment of the model's own files. Raises InvalidEnvironment."""
    file = _read_environment_file(model_folder, mlmodel)
    return _plan(file, model_folder, mlmodel, rules)


def plan_from_conda_file(text: str, model_folder: Path, mlmodel: MLModel, rules: PlanRules) -> EnvironmentPlan:
    """Plan the environment of a registered Environment with the conda file `text`. Raises InvalidEnvironment."""
    return _plan(_conda(text, model_folder, _CONDA_FILE), model_folder, mlmodel, rules)


def _plan(file: _EnvironmentFile, folder: Path, mlmodel: MLModel, rules: PlanRules) -> EnvironmentPlan:
    python = _python(file, mlmodel, rules.pythons)
    asked = collect_requirements(folder, file.folder, file.lines, rules.requirements)
    implied = implied_requirements(asked.lines, mlflow_version=mlmodel.mlflow_version)
    spec = EnvironmentSpec(
        python=python.minor,
        asked_patch=python.patch,
        requirements=(*asked.lines, *(each.requirement for each in implied)),
        constraints=asked.constraints,
        sources=asked.sources,
        local_files=asked.local_files,
    )
    notes = (
        f"environment of {file.name}, Python {python.patch or python.minor}",
        python.note,
        *file.notes,
    )
    return EnvironmentPlan(spec, _without_gaps((*notes, *asked.notes, *(each.note for each in implied))))


def _read_environment_file(folder: Path, mlmodel: MLModel) -> _EnvironmentFile:
    conda = mlmodel.conda_env or _CONDA_FILE
    if _present(folder, conda):
        return _conda(read_text(folder / conda, name=conda), (folder / conda).parent, conda)
    python_env = mlmodel.python_env or _PYTHON_ENV_FILE
    if _present(folder, python_env):
        parsed = parse_python_env_file(read_text(folder / python_env, name=python_env), name=python_env)
        return _EnvironmentFile(python_env, (folder / python_env).parent, parsed.python, parsed.pip_lines)
    if _present(folder, _REQUIREMENTS_FILE):
        line = PipLine(f"-r {_REQUIREMENTS_FILE}", "the model folder")
        return _EnvironmentFile(_REQUIREMENTS_FILE, folder, PythonRequest(), (line,))
    raise NoEnvironmentFile


def _present(folder: Path, name: str) -> bool:
    """Whether the folder has the file. Raises PathLeavesModelFolder."""
    if not Path(name).is_absolute() and ".." not in Path(name).parts:
        try:
            if not (folder / name).exists():
                return False
        except OSError:
            return False
    return path_in_model(folder, folder, name, where=_MLMODEL).is_file()


def _conda(text: str, folder: Path, name: str) -> _EnvironmentFile:
    parsed = parse_conda_file(text, name=name)
    return _EnvironmentFile(name, folder, parsed.python, parsed.pip_lines, parsed.notes)


def _python(file: _EnvironmentFile, mlmodel: MLModel, pythons: AvailablePythons) -> ChosenPython:
    trained_with = exact_version(mlmodel.python_version, where=_MLMODEL) if mlmodel.python_version else None
    return choose_python(file.python, trained_with=trained_with, minors=pythons.minors, default=pythons.default)


def _without_gaps(notes: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(note for note in notes if note)
