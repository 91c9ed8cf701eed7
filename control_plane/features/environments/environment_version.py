"""A registered environment: a conda specification, or an image from which no environment is built here."""

from dataclasses import dataclass

from control_plane.resources.assets.asset import VersionHead, VersionSpec
from control_plane.resources.environments.conda_file import check_conda_file, is_same_specification
from modelyard.core.errors import InvalidEnvironment


@dataclass(frozen=True, slots=True)
class EnvironmentVersionSpec(VersionSpec):
    conda_file: str | None
    image: str | None


@dataclass(frozen=True, slots=True)
class EnvironmentContent:
    """One of the two at least."""

    conda_file: str | None
    image: str | None

    @classmethod
    def of(cls, spec: EnvironmentVersionSpec) -> "EnvironmentContent":
        """Raises InvalidEnvironment."""
        conda_file = spec.conda_file if spec.conda_file and spec.conda_file.strip() else None
        if conda_file is None and not spec.image:
            raise InvalidEnvironment(
                "the environment has no condaFile and no image: list the packages in a conda specification",
                target="properties.condaFile",
            )
        return cls(None if conda_file is None else check_conda_file(conda_file), spec.image)

    def differs_from(self, spec: EnvironmentVersionSpec) -> bool:
        """Whether a PUT asks for other content. Fields that the PUT leaves out stay as they are."""
        if spec.image and spec.image != self.image:
            return True
        if not spec.conda_file or spec.conda_file == self.conda_file:
            return False
        return self.conda_file is None or not is_same_specification(spec.conda_file, self.conda_file)


@dataclass(frozen=True, slots=True)
class EnvironmentVersion:
    head: VersionHead
    content: EnvironmentContent


@dataclass(frozen=True, slots=True)
class BuiltEnvironment:
    """An environment on the disk, and the deployments that run from it."""

    lock_hash: str
    folder: str
    python_version: str
    size_bytes: int
    used_by: tuple[tuple[str, str], ...]
    """Endpoint and deployment."""
