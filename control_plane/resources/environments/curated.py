"""Names of Azure's curated environments, and the conda specifications that stand for them on this platform."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from control_plane.resources.environments.conda_file import check_conda_file
from modelyard.core.domain.bounded_yaml import LARGEST_BYTES, RefusedYaml, load_yaml
from modelyard.core.errors import InvalidEnvironment, InvalidSetting, ReferencedResourceMissing

VARIABLE = "MODELYARD_CURATED_ENVIRONMENTS"
REGISTRY = "azureml"
_OWN_TABLE = Path(__file__).with_name("curated_environments.yaml")
_URI = re.compile(
    r"azureml://registries/(?P<registry>[^/]+)/environments/(?P<name>[^/]+)"
    r"(?:/(?:versions|labels)/(?P<version>[^/]+))?/?",
    re.I,
)
_SHORT = re.compile(r"(?:azureml:)?(?P<name>AzureML-[-._a-z0-9]+)(?:[:@](?P<version>[-._a-z0-9]+))?", re.I)
_PREFIX = "azureml-"


@dataclass(frozen=True, slots=True)
class CuratedName:
    """A curated environment by `azureml://registries/azureml/…`, or by `AzureML-…` with a version or without."""

    name: str
    version: str | None
    is_in_registry: bool

    @classmethod
    def read(cls, text: str) -> "CuratedName | None":
        """None: the text names no curated environment. Raises ReferencedResourceMissing for another registry."""
        found = _URI.fullmatch(text.strip())
        if found is not None:
            if found["registry"].lower() != REGISTRY:
                raise ReferencedResourceMissing(
                    f"{text!r} is in a registry, and this platform reads no registries: register the environment in "
                    "the workspace",
                    target="properties.environmentId",
                )
            return cls(found["name"], found["version"], is_in_registry=True)
        found = _SHORT.fullmatch(text.strip())
        return None if found is None else cls(found["name"], found["version"], is_in_registry=False)

    @property
    def uri(self) -> str:
        """One spelling for all ways to name an environment. The version has no meaning here."""
        return f"azureml://registries/{REGISTRY}/environments/{_key(self.name)}/labels/latest"


@dataclass(frozen=True, slots=True)
class CuratedEnvironments:
    conda_files: Mapping[str, str]
    """By name in lower case, without AzureML-."""

    @classmethod
    def load(cls, more: str | None) -> "CuratedEnvironments":
        """The platform's table, and over it the operator's file of the same form. Raises InvalidSetting."""
        conda_files = _table(_OWN_TABLE)
        return cls(conda_files if more is None else {**conda_files, **_table(Path(more))})

    def get(self, curated: CuratedName) -> str:
        """The conda specification. Raises ReferencedResourceMissing with the known names."""
        found = self.conda_files.get(_key(curated.name))
        if found is None:
            known = ", ".join(sorted(self.conda_files))
            raise ReferencedResourceMissing(
                f"the curated environment {curated.name!r} has no specification on this platform, which knows "
                f"{known}: register an environment with a condaFile, or ask the operator to add the name to the file "
                f"of {VARIABLE}",
                target="properties.environmentId",
            )
        return found


def _key(name: str) -> str:
    return name.lower().removeprefix(_PREFIX)


def _table(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            document = load_yaml(file.read(LARGEST_BYTES + 1))
    except OSError as error:
        raise InvalidSetting(f"{VARIABLE} names the file {path}, which cannot be read: {error.strerror}") from None
    except RefusedYaml as refusal:
        raise InvalidSetting(f"{VARIABLE} names the file {path}, which is refused: {refusal}") from None
    if not isinstance(document, dict):
        raise InvalidSetting(f"{VARIABLE} names the file {path}, which must map names to conda specifications as text")
    return {_key(name): _checked(path, name, text) for name, text in document.items()}


def _checked(path: Path, name: str, text: object) -> str:
    if not isinstance(text, str):
        raise InvalidSetting(f"{VARIABLE}: the specification of {name!r} in {path} must be text: write '{name}: |'")
    try:
        return check_conda_file(text)
    except InvalidEnvironment as error:
        raise InvalidSetting(f"{VARIABLE}: the specification of {name!r} in {path} is not valid: {error}") from None
