"""The Azure SDK, unmodified, against a platform over https: two releases, one test for each area of `azure_areas/`."""

import pytest

from tests.sdk.azure_run import RELEASES, areas


@pytest.mark.parametrize("area", areas())
@pytest.mark.parametrize("release", RELEASES)
def test_public_calls_of_an_area_work(azure_run, release, area):
    run = azure_run(release)
    assert area in run.failures, run.output
    assert not run.failures[area], "\n\n".join(run.failures[area])
