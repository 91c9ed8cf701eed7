"""The Python client of a Modelyard platform. Light: it may be installed beside any MLflow."""

from modelyard.client.client import Client
from modelyard.client.errors import ApiError, ClientError, ScoringRefused
from modelyard.client.platform import Platform, find_platform

__all__ = ["ApiError", "Client", "ClientError", "Platform", "ScoringRefused", "find_platform"]
