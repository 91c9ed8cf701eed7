"""The builder: Celery workers that turn a model folder into an environment, a scoring script and a bundle."""
