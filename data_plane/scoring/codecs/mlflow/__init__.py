"""MLflow's scoring server below each endpoint: `/invocations`, `/ping`, `/health` and `/version`.

`envelope.py` takes a request to the reader of its media type (`json_body.py`, `csv_body.py`, `parquet_body.py`) and
writes the answer; `errors.py` has the bodies of refusals; `server_facts.py` answers what is no scoring.
"""
