"""MLflow's scoring protocol, `POST /{endpoint}/invocations`.

`codec.py` takes a request to the reader of its media type: `json_body.py` here, `csv_body.py` and `parquet_body.py` in
`scoring/tables/`. `errors.py` writes the bodies of errors.
"""
