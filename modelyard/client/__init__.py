"""The Python client of a Modelyard platform, light enough to install beside any MLflow."""

from modelyard.client.client import Client
from modelyard.client.errors import ApiError, ClientError, ScoringError
from modelyard.client.platform import Platform, find_platform

__all__ = ["ApiError", "Client", "ClientError", "Platform", "ScoringError", "find_platform"]
