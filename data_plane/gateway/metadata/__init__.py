"""Answers about the server and its models, in MLflow's and Open Inference's form."""
