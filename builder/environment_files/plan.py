"""Plan the environment of a model folder. Pure: the plan reads files, installs no package and asks no index.

conda.yaml counts, else python_env.yaml, else requirements.txt. The content of a file decides its form, not the name.
Missing requirements of MLflow are added. A note for the build log tells each ignored line, addition and choice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder.environment_files.environment_file import EnvironmentFile, parse_environment_file
from builder.environment_files.implied_requirements import implied_requirements
from builder.environment_files.model_paths import is_utf8, path_in_model, read_text
from builder.environment_files.python_version import KNOWN_MINORS, ChosenPython, choose_python, exact_version
from builder.environment_files.requirements import RequirementPolicy, collect_requirements
from builder.errors import InvalidRequirement, NoEnvironmentFile
from modelyard.core.domain.declared_text import shown
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


def plan_environment(model_folder: Path, mlmodel: MLModel, rules: PlanRules) -> EnvironmentPlan:
    """Plan the environment of the model's own files. Raises InvalidEnvironment."""
    _check_requirements_of_mlflow(model_folder)
    name, notes = _environment_file_of(model_folder, mlmodel)
    path = model_folder / name
    file = parse_environment_file(read_text(path, name=name), name=name)
    return _plan(file, model_folder, path.parent, mlmodel, rules, notes)


def plan_from_conda_file(text: str, model_folder: Path, mlmodel: MLModel, rules: PlanRules) -> EnvironmentPlan:
    """Plan the environment of a registered Environment with the conda file `text`. Raises InvalidEnvironment."""
    return _plan(parse_environment_file(text, name=_CONDA_FILE), model_folder, model_folder, mlmodel, rules)


def _plan(
    file: EnvironmentFile,
    model_folder: Path,
    base: Path,
    mlmodel: MLModel,
    rules: PlanRules,
    notes_of_choice: Sequence[str] = (),
) -> EnvironmentPlan:
    """Plan the environment of a file in the folder `base`."""
    python = _python(file, mlmodel, rules.pythons)
    asked = collect_requirements(model_folder, base, file.lines, rules.requirements)
    implied = implied_requirements(asked.lines, mlflow_version=mlmodel.mlflow_version)
    spec = EnvironmentSpec(
        python=python.minor,
        asked_patch=python.patch,
        requirements=(*asked.lines, *(each.requirement for each in implied)),
        constraints=asked.constraints,
        sources=asked.sources,
        local_files=asked.local_files,
        file=file.name,
        origins={**{each.requirement: "added by the platform" for each in implied}, **asked.origins},
    )
    notes = (
        f"environment of {file.name}, Python {python.patch or python.minor}",
        *notes_of_choice,
        python.note,
        *file.notes,
        *asked.notes,
        *(each.note for each in implied),
    )
    return EnvironmentPlan(spec, _without_gaps(notes))


def _environment_file_of(folder: Path, mlmodel: MLModel) -> tuple[str, list[str]]:
    """The name of the file that counts, and notes of the files that MLmodel names and the folder lacks."""
    named = (mlmodel.conda_env, mlmodel.python_env)
    candidates = (mlmodel.conda_env or _CONDA_FILE, mlmodel.python_env or _PYTHON_ENV_FILE, _REQUIREMENTS_FILE)
    found = next((name for name in candidates if _present(folder, name)), None)
    if found is None:
        raise NoEnvironmentFile
    missing = [name for name in candidates[: candidates.index(found)] if name in named]
    return found, [f"MLmodel names {shown(name)}, which is not in the model folder; {found} counts" for name in missing]


def _check_requirements_of_mlflow(folder: Path) -> None:
    """Refuse a requirements.txt that MLflow fails to read when the model is loaded."""
    if _present(folder, _REQUIREMENTS_FILE) and not is_utf8(folder / _REQUIREMENTS_FILE):
        raise InvalidRequirement(
            f"{_REQUIREMENTS_FILE} is not UTF-8 text, and MLflow reads it when the model is loaded; save the file as "
            "UTF-8"
        )


def _present(folder: Path, name: str) -> bool:
    """Whether the folder has the file. Raises PathLeavesModelFolder."""
    path = Path(name)
    if not path.is_absolute() and ".." not in path.parts:
        try:
            if not (folder / name).exists():
                return False
        except OSError:
            return False
    return path_in_model(folder, folder, name, where=_MLMODEL).is_file()


def _python(file: EnvironmentFile, mlmodel: MLModel, pythons: AvailablePythons) -> ChosenPython:
    trained_with = exact_version(mlmodel.python_version, where=_MLMODEL) if mlmodel.python_version else None
    return choose_python(file.python, trained_with=trained_with, minors=pythons.minors, default=pythons.default)


def _without_gaps(notes: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(note for note in notes if note)
