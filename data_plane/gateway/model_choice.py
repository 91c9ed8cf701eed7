"""The deployment that a path of Open Inference means, by the name of an endpoint, a registered model or a deployment.

For the name of the endpoint or of the model, the traffic decides among the deployments that serve the model. The name
of a deployment chooses that deployment, even without traffic, like the header `azureml-model-deployment`.
"""

from data_plane.gateway.errors import UnknownModel
from data_plane.gateway.request import Request
from data_plane.gateway.routing_table import LiveDeployment, LiveEndpoint
from data_plane.scoring.codecs.open_inference.paths import RequestedModel, requested_model


def choose(request: Request, endpoint: LiveEndpoint) -> LiveDeployment:
    requested = requested_model(request.path_below)
    if request.named_deployment is None and _is_only_a_deployments(requested.name, endpoint):
        request.deployment_in_path = requested.name
    named = request.named_deployment
    if named is not None:
        return _checked(endpoint.choose(named), requested, endpoint)
    if requested == (endpoint.name, None):
        return endpoint.choose(None)
    chosen = endpoint.choose_among(lambda deployment: _serves(deployment, requested, endpoint))
    if chosen is None:
        raise UnknownModel(requested.name, requested.version)
    return chosen


def _is_only_a_deployments(name: str, endpoint: LiveEndpoint) -> bool:
    if name == endpoint.name or name not in endpoint.deployments:
        return False
    return not any(_has_model(deployment, name) for deployment in endpoint.deployments.values())


def _checked(deployment: LiveDeployment, requested: RequestedModel, endpoint: LiveEndpoint) -> LiveDeployment:
    if requested.version is None and requested.name in (deployment.route.name, endpoint.name):
        return deployment
    if not _serves(deployment, requested, endpoint):
        raise UnknownModel(requested.name, requested.version)
    return deployment


def _serves(deployment: LiveDeployment, requested: RequestedModel, endpoint: LiveEndpoint) -> bool:
    if not deployment.is_usable:
        return False
    is_named = requested.name in (endpoint.name, deployment.route.name, deployment.bundle.model.name)
    return is_named and requested.version in (None, deployment.bundle.model.version)


def _has_model(deployment: LiveDeployment, name: str) -> bool:
    return deployment.is_usable and deployment.bundle.model.name == name
