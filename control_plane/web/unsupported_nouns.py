"""Nouns of Azure Machine Learning that this platform does not have, for the sentence of a 404."""

from collections.abc import Mapping

_NOT_HERE: Mapping[str, str] = {
    "components": "this platform has no components and no pipelines: it serves models online and in batches",
    "schedules": "this platform has no schedules: let cron or CI invoke the batch endpoint",
    "featuresets": "this platform has no feature store",
    "featurestoreentities": "this platform has no feature store",
    "serverlessendpoints": "this platform has no serverless endpoints: use an online endpoint",
    "marketplacesubscriptions": "this platform has no marketplace",
    "connections": "this platform has no connections: pass credentials as environment variables of a deployment",
    "inferencepools": "this platform has no inference pools: use an online endpoint",
    "registries": "this platform has no registries: register the asset in the workspace",
    "virtualclusters": "this platform has no virtual clusters: its workers do the work of every compute",
    "microsoft.resources": "this platform runs no ARM templates: create a workspace with a PUT of its path, or with "
    "`modelyard workspace create`",
}
_SUBSCRIPTIONS = "subscriptions"
_MOST_SEGMENTS = 12


def unsupported_noun(path: str) -> str | None:
    """A sentence for a path of Resource Manager with a noun that the platform does not have. None: another path."""
    segments = path.lower().strip("/").split("/", _MOST_SEGMENTS)
    if segments[0] != _SUBSCRIPTIONS:
        return None
    # Fixed words are at even places; a provider's name follows "providers".
    words = [segment for index, segment in enumerate(segments) if index % 2 == 0 or segments[index - 1] == "providers"]
    return next((_NOT_HERE[word] for word in words if word in _NOT_HERE), None)
