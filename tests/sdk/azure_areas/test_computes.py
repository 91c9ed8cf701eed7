"""Computes by public calls of the Azure SDK."""

import pytest
from azure.ai.ml.entities import AmlCompute
from azure.core.exceptions import ResourceNotFoundError


@pytest.fixture(scope="module")
def cluster(ml, release):
    name = f"cpu-{release}"
    ml.compute.begin_create_or_update(AmlCompute(name=name, size="STANDARD_DS3_V2", max_instances=3)).result()
    yield name
    ml.compute.begin_delete(name).result()
    with pytest.raises(ResourceNotFoundError):
        ml.compute.get(name)


def test_cluster_is_read_and_listed_as_created(ml, cluster):
    compute = ml.compute.get(cluster)
    assert (compute.type, compute.max_instances) == ("amlcompute", 3)
    assert cluster in {compute.name for compute in ml.compute.list()}


def test_sizes_usage_and_nodes_can_be_listed(ml, cluster):
    assert list(ml.compute.list_sizes())
    assert list(ml.compute.list_usage()) is not None
    assert list(ml.compute.list_nodes(cluster)) == []
