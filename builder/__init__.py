"""The builder: Celery workers turn a model folder into an environment, a scoring script and a bundle."""
