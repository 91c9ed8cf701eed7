"""Rules for CSV, Parquet and JSON tables that `/invocations` and batch jobs share."""
