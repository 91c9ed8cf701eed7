"""Why an environment cannot be made: what the builder alone can find out, each with what to change.

InvalidEnvironment (modelyard.core.errors)     what the model's files ask for is not understood or not supported
├── InvalidCondaFile                  conda.yaml is malformed
├── InvalidPythonEnvFile              python_env.yaml is malformed
├── InvalidRequirement                a line of the pip section or of a requirements file
├── PathLeavesModelFolder             a file asked for outside the model folder, directly or through a link
├── CondaPackagesNotSupported         real conda packages
├── UnsupportedPython                 a version that no model worker runs on
└── NoEnvironmentFile                 nothing says what the model needs
BuildFailed (modelyard.core.errors)            it is understood, but cannot be made here and now
├── NoInterpreter                     no Python of that version on this machine, and none to be had
├── ResolutionFailed                  no set of versions satisfies the requirements
├── InstallFailed                     a package does not download or build
├── ImportCheckFailed                 it installs, and the model's loader cannot be imported
├── NotInTheStore                     what another machine built cannot be had from the object store
└── OtherPlatform                     it was built on another kind of machine
"""

from modelyard.core.errors import BuildFailed, InvalidEnvironment


class InvalidCondaFile(InvalidEnvironment):
    code = "InvalidCondaFile"


class InvalidPythonEnvFile(InvalidEnvironment):
    code = "InvalidPythonEnvFile"


class InvalidRequirement(InvalidEnvironment):
    code = "InvalidRequirement"


class PathLeavesModelFolder(InvalidEnvironment):
    code = "PathLeavesModelFolder"

    def __init__(self, path: str, where: str) -> None:
        super().__init__(
            f"{where} asks for {path!r}, which leaves the model folder; put the file into the folder and name it by "
            "a path relative to it",
            target=path,
        )


class CondaPackagesNotSupported(InvalidEnvironment):
    code = "CondaPackagesNotSupported"

    def __init__(self, packages: list[str], where: str) -> None:
        super().__init__(
            f"{where} lists conda packages ({', '.join(packages)}), which are not supported yet; "
            "move each under 'pip:' by its name on the Python package index"
        )


class UnsupportedPython(InvalidEnvironment):
    code = "UnsupportedPython"


class NoEnvironmentFile(InvalidEnvironment):
    code = "NoEnvironmentFile"

    def __init__(self) -> None:
        super().__init__(
            "the model folder has no conda.yaml, python_env.yaml or requirements.txt, so nothing says which packages "
            "the model needs; log the model again with MLflow, or add a conda.yaml"
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
