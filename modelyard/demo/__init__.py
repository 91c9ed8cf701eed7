"""`make demo`: train, deploy and score a model on a temporary platform."""
