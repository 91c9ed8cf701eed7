"""MLflow's client against a deployed model, with the key in the URL."""

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from tests.e2e.models import ROWS, linear_model


@pytest.fixture
def client(platform, tour) -> ScoringServerClient:
    _, _, authority = platform.scoring_url.partition("://")
    host, _, port = authority.rstrip("/").rpartition(":")
    return ScoringServerClient(f"x:{platform.key(tour)}@{host}", f"{port}/{tour}")


class TestMlflowClient:
    def test_client_waits_for_the_endpoint_and_reads_the_mlflow_version_of_the_model(self, client):
        client.wait_server_ready(timeout=30)
        assert client.get_version() == "3.17.2"

    def test_predictions_equal_those_of_the_model(self, client):
        predictions = client.invoke(ROWS).get_predictions("ndarray")
        np.testing.assert_allclose(predictions, linear_model().predict(ROWS), rtol=1e-12)

    def test_columns_are_matched_by_name(self, client):
        assert client.invoke(ROWS[["n", "y", "x"]]) == client.invoke(ROWS)

    def test_error_names_the_violation(self, client):
        with pytest.raises(Exception, match=r"error code 400.*column 'n', row 0: expected long"):
            client.invoke(pd.DataFrame({"x": [1.0], "y": [0.5], "n": [1.5]}))


@pytest.mark.parametrize(
    ("media_type", "write"),
    [
        ("text/csv", lambda frame: frame.to_csv(index=False).encode()),
        ("application/vnd.apache.parquet", lambda frame: frame.to_parquet()),
    ],
    ids=["csv", "parquet"],
)
def test_csv_and_parquet_get_the_answer_of_json(platform, tour, client, media_type, write):
    answer = platform.invoke(tour, write(ROWS), media_type)
    assert answer.status_code == 200
    assert answer.json() == client.invoke(ROWS)
