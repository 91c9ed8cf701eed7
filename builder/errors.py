"""The builder's errors. Each message names the fault and the change to make.

InvalidEnvironment (modelyard.core.errors)     the model's environment files are malformed or unsupported
├── InvalidCondaFile                  conda.yaml is malformed
├── InvalidPythonEnvFile              python_env.yaml is malformed
├── InvalidRequirement                a line of the pip section or of a requirements file is malformed or unsupported
│   └── FileOfTrainingMachine        a line names a file of the machine on which the model was trained
├── PathLeavesModelFolder             a named file lies outside the model folder, directly or through a link
├── CondaPackagesNotSupported         conda.yaml lists conda packages
├── UnsupportedPython                 model workers do not run on the Python version
└── NoEnvironmentFile                 the model folder has no environment file
BuildFailed (modelyard.core.errors)            the files are valid, and the build fails on this machine
├── NoInterpreter                     the machine has no Python of the version, and fetching fails
├── ResolutionFailed                  no set of versions satisfies the requirements
├── InstallFailed                     a package does not download or build
├── ImportCheckFailed                 the packages install, and the model's loader does not import
├── NotInTheStore                     the object store lacks the packages of another machine's environment
└── OtherPlatform                     the environment was built on another kind of machine
"""

from modelyard.core.domain.declared_text import shown
from modelyard.core.errors import BuildFailed, InvalidEnvironment


class InvalidCondaFile(InvalidEnvironment):
    code = "InvalidCondaFile"


class InvalidPythonEnvFile(InvalidEnvironment):
    code = "InvalidPythonEnvFile"


class InvalidRequirement(InvalidEnvironment):
    code = "InvalidRequirement"


class FileOfTrainingMachine(InvalidRequirement):
    """A requirement that names a file of another machine, as conda's freeze does."""

    def __init__(self, written: str, where: str, pin: str) -> None:
        super().__init__(
            f"{where}: {written} is a file of the machine on which the model was trained; write {pin} instead"
        )
        self.where = where
        self.pin = pin


class PathLeavesModelFolder(InvalidEnvironment):
    code = "PathLeavesModelFolder"

    def __init__(self, path: str, where: str) -> None:
        super().__init__(
            f"{where} asks for {shown(path)}, which leaves the model folder; put the file into the folder and write "
            "its relative path",
            target=shown(path),
        )


class CondaPackagesNotSupported(InvalidEnvironment):
    code = "CondaPackagesNotSupported"

    def __init__(
        self, packages: list[str], where: str, *, pip_lines: list[str], without_pip_line: list[str] | None = None
    ) -> None:
        move = f"move each package to 'pip:' under its name on the Python package index: {', '.join(pip_lines)}"
        remove = (
            f"remove {', '.join(without_pip_line or ())}: a library of conda; packages of the Python package index "
            "bring the libraries that they need"
        )
        super().__init__(
            f"{where} lists conda packages, which this platform does not install: {', '.join(packages)}; "
            + "; ".join([*([move] if pip_lines else ()), *([remove] if without_pip_line else ())])
        )


class UnsupportedPython(InvalidEnvironment):
    code = "UnsupportedPython"


class NoEnvironmentFile(InvalidEnvironment):
    code = "NoEnvironmentFile"

    def __init__(self) -> None:
        super().__init__(
            "the model folder has no conda.yaml, python_env.yaml or requirements.txt, which list the packages that the "
            "model needs; log the model again with MLflow, or add a conda.yaml"
        )


class NoInterpreter(BuildFailed):
    code = "PythonNotFound"


class ResolutionFailed(BuildFailed):
    code = "EnvironmentResolutionFailure"


class InstallFailed(BuildFailed):
    code = "EnvironmentInstallFailure"


class ImportCheckFailed(BuildFailed):
    code = "EnvironmentCheckFailure"


class NotInTheStore(BuildFailed):
    code = "EnvironmentNotInStore"


class OtherPlatform(BuildFailed):
    code = "EnvironmentPlatformMismatch"
