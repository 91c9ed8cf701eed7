"""Environments by public calls of the Azure SDK."""

import pytest
from azure.ai.ml.entities import BuildContext, Environment
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

CONDA = {"dependencies": ["python=3.11", "pip", {"pip": ["numpy"]}]}


@pytest.fixture(scope="module")
def registered(ml, release):
    name = f"numpy-{release}"
    ml.environments.create_or_update(Environment(name=name, conda_file=CONDA, image="mcr/base:1"))
    return name


def test_conda_file_and_image_are_kept(ml, registered):
    environment = ml.environments.get(registered, version="1")
    assert environment.conda_file["dependencies"] == CONDA["dependencies"]
    assert environment.image == "mcr/base:1"


def test_changed_environment_without_a_version_gets_the_next_version(ml, registered):
    changed = {"dependencies": ["python=3.12", "pip"]}
    made = ml.environments.create_or_update(Environment(name=registered, conda_file=changed, image="mcr/base:1"))
    assert made.version == "2"
    assert ml.environments.get(registered, label="latest").version == "2"


def test_environment_of_an_image_is_registered(ml, release):
    made = ml.environments.create_or_update(Environment(name=f"image-{release}", image="mcr/base:1", version="3"))
    assert (made.image, made.version) == ("mcr/base:1", "3")


def test_archived_environment_leaves_the_list_and_returns(ml, registered):
    ml.environments.archive(registered)
    assert registered not in {environment.name for environment in ml.environments.list()}
    ml.environments.restore(registered)
    assert registered in {environment.name for environment in ml.environments.list()}


def test_archived_version_leaves_the_list_of_versions_and_returns(ml, registered):
    ml.environments.archive(registered, version="1")
    assert "1" not in {environment.version for environment in ml.environments.list(registered)}
    ml.environments.restore(registered, version="1")
    assert "1" in {environment.version for environment in ml.environments.list(registered)}


def test_unknown_environment_is_not_found(ml):
    with pytest.raises(ResourceNotFoundError):
        ml.environments.get("absent", version="1")


def test_build_context_is_refused(ml, inputs, release):
    context = BuildContext(path=inputs / "rows")
    with pytest.raises(HttpResponseError, match="build"):
        ml.environments.create_or_update(Environment(name=f"context-{release}", build=context))
