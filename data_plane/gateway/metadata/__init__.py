"""Answers about the server and the models, in MLflow's and Open Inference's form."""
